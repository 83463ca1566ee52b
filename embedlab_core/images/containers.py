"""Where in a file the coded pixels are: WebP, AVIF, HEIC, TIFF, JPEG 2000."""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from PIL import ExifTags, Image

# Fax codes write white lines as runs of ones.
_FAX = ("group3", "group4", "tiff_ccitt")
_CODED_ITEMS = (b"av01", b"hvc1", b"hev1", b"j2k1", b"jpeg")
_LARGEST_META = 2**24


class Span(NamedTuple):
    """Bytes of a file."""

    start: int
    length: int


def coded_spans(file: BinaryIO, image: Image.Image) -> list[Span]:
    """The coded pixels of `image`, in the order they are decoded; none for formats that are not known here.

    Metadata between them, which may be padded, is left out.
    """
    try:
        if image.format == "WEBP":
            return list(_webp(file))
        if image.format in ("AVIF", "HEIF"):
            return _heif(file)
        if image.format == "JPEG2000":
            return _jpeg_2000(file)
        if image.format == "TIFF" and image.info.get("compression") not in _FAX:
            return _tiff(image)
    except (struct.error, IndexError, ValueError, OverflowError):
        return []  # The decoder understood what stands here; this does not.
    return []


def _webp(file: BinaryIO) -> Iterator[Span]:
    """RIFF chunks VP8 and VP8L, also inside the frames of an animation."""
    place = 12
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        name, length = struct.unpack("<4sI", head)
        if name in (b"VP8 ", b"VP8L"):
            yield Span(place + 8, length)
        # A frame's own chunks begin behind its 16 bytes of header.
        place += 24 if name == b"ANMF" else 8 + length + (length & 1)


def _jpeg_2000(file: BinaryIO) -> list[Span]:
    """From the first start of data to the end of the file."""
    file.seek(0)
    data = file.read()
    start = data.find(b"\xff\x93")
    return [Span(start, len(data) - start)] if start > 0 else []


def _tiff(image: Image.Image) -> list[Span]:
    tags = getattr(image, "tag_v2", {})
    for places, lengths in (
        (ExifTags.Base.StripOffsets, ExifTags.Base.StripByteCounts),
        (ExifTags.Base.TileOffsets, ExifTags.Base.TileByteCounts),
    ):
        if places in tags and lengths in tags:
            pairs = zip(_numbers(tags[places]), _numbers(tags[lengths]), strict=False)
            return [Span(start, length) for start, length in pairs]
    return []


def _numbers(value: object) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (int(str(value)),)


def _heif(file: BinaryIO) -> list[Span]:
    """The extents of the items that are coded pictures (ISO/IEC 14496-12: iinf and iloc in meta)."""
    meta = _box(file, b"meta")
    if meta is None:
        return []
    boxes = dict(_boxes(meta[4:]))
    coded = set(_coded_items(boxes[b"iinf"])) if b"iinf" in boxes else set()
    return [span for item, span in _extents(boxes.get(b"iloc", b"")) if item in coded]


def _box(file: BinaryIO, wanted: bytes) -> bytes | None:
    size = file.seek(0, io.SEEK_END)
    place = 0
    while place + 8 <= size:
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == 1:
            length, head = struct.unpack(">Q", file.read(8))[0], 16
        if name == wanted:
            return file.read(min(length - head, _LARGEST_META)) if length else file.read(_LARGEST_META)
        if length < head:
            return None
        place += length
    return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 0
    while place + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if length < 8:
            return
        yield name, data[place + 8 : place + length]
        place += length


def _coded_items(iinf: bytes) -> Iterator[int]:
    entries = iinf[6:] if iinf[0] == 0 else iinf[8:]
    for name, entry in _boxes(entries):
        if name == b"infe" and entry[0] >= 2:
            wide = entry[0] >= 3
            item = struct.unpack_from(">I" if wide else ">H", entry, 4)[0]
            kind = entry[10:14] if wide else entry[8:12]
            if kind in _CODED_ITEMS:
                yield item


def _extents(iloc: bytes) -> Iterator[tuple[int, Span]]:
    if not iloc:
        return
    version = iloc[0]
    offset_size, length_size, base_size, index_size = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4, iloc[5] & 15
    index_size = index_size if version in (1, 2) else 0
    place = 6

    def number(size: int) -> int:
        nonlocal place
        place += size
        return int.from_bytes(iloc[place - size : place], "big")

    for _ in range(number(4 if version == 2 else 2)):
        item = number(4 if version == 2 else 2)
        method = number(2) & 15 if version in (1, 2) else 0
        number(2)
        base = number(base_size)
        for _ in range(number(2)):
            number(index_size)
            start, length = base + number(offset_size), number(length_size)
            if method == 0 and length:
                yield item, Span(start, length)
