"""The segments and scans of a JPEG, as far as they follow the standard (ITU-T T.81, annex B), without decoding them."""

import re
import struct
from dataclasses import dataclass, field

_SOI, _EOI, _SOS, _DRI, _DNL = 0xD8, 0xD9, 0xDA, 0xDD, 0xDC
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
# What may stand between scans: tables, restart interval, number of lines, comments, application data, hierarchy.
_BETWEEN = frozenset([0xC4, 0xCC, _SOS, _EOI, 0xDB, _DNL, _DRI, 0xFE, *range(0xE0, 0xF0)])

# In coded data 0xFF is followed by 0, by a restart marker, or by the marker that ends the scan.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
# Before a marker any number of 0xFF may stand; nobody writes so many.
_FILLED = re.compile(rb"\xff{16}")


@dataclass(slots=True)
class JpegStream:
    """scans: (start, end) of the coded data of each. broken_at: the byte where the file leaves the standard; None if it
    never does. ends: whether EOI was reached. restarts_missing: the share of restart markers that a scan of the whole
    picture has and this one has not. complete: False for a progressive one some of whose bits have no scan."""

    scans: list[tuple[int, int]] = field(default_factory=list)
    broken_at: int | None = None
    ends: bool = False
    restarts_missing: float = 0.0
    complete: bool = True
    progressive: bool = False
    components: int = 0


def read_stream(data: bytes) -> JpegStream:
    """Walk `data` from SOI to EOI or to the first fault."""
    stream = JpegStream()
    restart_interval, lines, width, sampling = 0, 0, 0, (1, 1)
    refined: dict[int, list[int | None]] = {}
    place = 2
    while True:
        if place >= len(data):
            break
        if data[place] != 0xFF:
            stream.broken_at = place
            break
        while place < len(data) and data[place] == 0xFF:
            place += 1
        if place + 2 >= len(data):
            stream.ends = place < len(data) and data[place] == _EOI
            break
        marker = data[place]
        if marker == _EOI:
            stream.ends = True
            break
        length = struct.unpack_from(">H", data, place + 1)[0]
        body = data[place + 3 : place + 1 + length]
        if marker == _SOI or length < 2 or (stream.scans and marker not in _BETWEEN):
            stream.broken_at = place - 1
            break
        place += 1 + length
        if marker in _FRAMES and len(body) >= 6:
            stream.progressive = marker in _PROGRESSIVE
            stream.components = body[5]
            lines, width = struct.unpack_from(">HH", body, 1)
            each = [body[at + 1] for at in range(6, len(body) - 2, 3)]
            sampling = (max((one >> 4 for one in each), default=1), max((one & 15 for one in each), default=1))
        elif marker == _DRI and len(body) >= 2:
            restart_interval = struct.unpack_from(">H", body)[0]
        elif marker == _SOS:
            end, fault = _scan(data, place, restart_interval)
            has_all = len(body) < 4 or body[0] >= stream.components
            if has_all and fault is None and restart_interval and not stream.progressive and lines:
                across, down = sampling if stream.components > 1 else (1, 1)
                units = -(-lines // (8 * down)) * -(-width // (8 * across))
                wanted = -(-units // restart_interval) - 1
                found = sum(1 for _ in _RESTART.finditer(data, place, end))
                stream.restarts_missing = max(0.0, 1 - found / wanted) if wanted else 0.0
            _note_scan(refined, body)
            stream.scans.append((place, end))
            if fault is not None:
                stream.broken_at = fault
                break
            place = end
    if stream.progressive:
        stream.complete = len(refined) == stream.components and all(
            bit == 0 for bits in refined.values() for bit in bits
        )
    return stream


def _scan(data: bytes, start: int, restart_interval: int) -> tuple[int, int | None]:
    """Where the coded data ends, and the first place in it that no encoder writes."""
    found = _MARKER.search(data, start)
    end = found.start() if found else len(data)
    fault = found.start() if found and data[found.start() + 1] not in _BETWEEN else None
    if filled := _FILLED.search(data, start, end):
        return end, filled.start()
    expected = 0
    for mark in _RESTART.finditer(data, start, end):
        if not restart_interval or data[mark.start() + 1] & 7 != expected:
            return end, mark.start()
        expected = (expected + 1) & 7
    return end, fault


def _note_scan(refined: dict[int, list[int | None]], body: bytes) -> None:
    """The lowest bit that has been sent of each coefficient of each component."""
    if not body or len(body) < 2 * body[0] + 4:
        return
    names = [body[1 + 2 * at] for at in range(body[0])]
    first, last, bits = body[-3:]
    for name in names:
        lowest = refined.setdefault(name, [None] * 64)
        lowest[first : min(last, 63) + 1] = [bits & 15] * (min(last, 63) + 1 - first)
