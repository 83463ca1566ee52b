"""The smallest DNG files that libraw reads: bare sensor values, with or without a preview beside them."""

import io
import struct
from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL import Image

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SIGNED_RATIONAL = 1, 2, 3, 4, 5, 10
_CODES = {_BYTE: "B", _ASCII: "B", _SHORT: "H", _LONG: "I", _RATIONAL: "I", _SIGNED_RATIONAL: "i"}
_Entry = tuple[int, int, Sequence[int]]

_WHITE = 65535


def make_dng(
    image: Image.Image,
    preview: Image.Image | None = None,
    orientation: int = 1,
    taken: str = "",
    kind: Literal["JPEG", "bitmap"] = "JPEG",
    preview_exif: Image.Exif | None = None,
) -> bytes:
    """A DNG (Adobe, "Digital Negative Specification" 1.4) of `image`, RGB with even sides, seen through an RGGB filter.

    orientation: the EXIF number, of sensor and preview. taken: "YYYY:MM:DD hh:mm:ss". preview_exif: what a JPEG preview
    says of itself.
    """
    sensor = _mosaic(image)
    time: list[_Entry] = [(306, _ASCII, f"{taken}\0".encode())] if taken else []
    shared: list[_Entry] = [
        *time,
        (271, _ASCII, b"Tiny\0"),
        (272, _ASCII, b"Tiny One\0"),
        (274, _SHORT, [orientation]),
        (50706, _BYTE, [1, 4, 0, 0]),
        (50708, _ASCII, b"Tiny One\0"),
        # XYZ to camera: that of sRGB.
        (50721, _SIGNED_RATIONAL, _rationals(3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.204, 1.057)),
        (50728, _RATIONAL, _rationals(1, 1, 1)),
    ]
    raw: list[_Entry] = [
        (254, _LONG, [0]),
        (256, _LONG, [image.width]),
        (257, _LONG, [image.height]),
        (258, _SHORT, [16]),
        (259, _SHORT, [1]),
        (262, _SHORT, [32803]),
        (277, _SHORT, [1]),
        (278, _LONG, [image.height]),
        (279, _LONG, [len(sensor)]),
        (33421, _SHORT, [2, 2]),
        (33422, _BYTE, [0, 1, 1, 2]),
        (50717, _LONG, [_WHITE]),
    ]
    if preview is None:
        return _assembled([[*shared, *raw]], [sensor])
    shown = _preview_bytes(preview, kind, preview_exif)
    small: list[_Entry] = [
        (254, _LONG, [1]),
        (256, _LONG, [preview.width]),
        (257, _LONG, [preview.height]),
        (258, _SHORT, [8, 8, 8]),
        (259, _SHORT, [7 if kind == "JPEG" else 1]),
        (262, _SHORT, [6 if kind == "JPEG" else 2]),
        (277, _SHORT, [3]),
        (278, _LONG, [preview.height]),
        (279, _LONG, [len(shown)]),
    ]
    return _assembled([[*shared, *small], raw], [shown, sensor])


def _mosaic(image: Image.Image) -> bytes:
    """Linear light, uint16, of the one colour that each place of the filter lets through."""
    pixels = (np.asarray(image.convert("RGB")) / 255) ** 2.2
    sensor = pixels[:, :, 1].copy()
    sensor[::2, ::2], sensor[1::2, 1::2] = pixels[::2, ::2, 0], pixels[1::2, 1::2, 2]
    return (sensor * _WHITE).astype("<u2").tobytes()


def _preview_bytes(preview: Image.Image, kind: str, exif: Image.Exif | None) -> bytes:
    if kind == "bitmap":
        return preview.tobytes()
    data = io.BytesIO()
    preview.save(data, "JPEG", quality=95, **({"exif": exif} if exif else {}))
    # Cameras begin with the EXIF, Pillow with JFIF, a segment of 18 bytes.
    return data.getvalue()[:2] + data.getvalue()[20:] if exif else data.getvalue()


def _rationals(*numbers: float) -> list[int]:
    return [part for number in numbers for part in (round(number * 10_000), 10_000)]


def _assembled(folders: list[list[_Entry]], strips: list[bytes]) -> bytes:
    """TIFF 6.0, little-endian. The first folder points to the second as its child; each has one strip."""
    head = b"II*\0" + struct.pack("<I", 8)
    first = len(folders[0]) + (2 if len(folders) == 2 else 1)
    starts = [8, 8 + 2 + 12 * first + 4]
    end = starts[1] + (2 + 12 * (len(folders[1]) + 1) + 4 if len(folders) == 2 else 0)
    tail = b""
    body = b""
    for number, (folder, strip) in enumerate(zip(folders, strips, strict=True)):
        entries = [*folder, (273, _LONG, [end + len(tail)])]
        tail += strip + b"\0" * (len(strip) % 2)
        if number == 0 and len(folders) == 2:
            entries.append((330, _LONG, [starts[1]]))
        body += struct.pack("<H", len(entries))
        for tag, kind, values in sorted(entries):
            packed = struct.pack(f"<{len(values)}{_CODES[kind]}", *values)
            count = len(values) // 2 if kind in (_RATIONAL, _SIGNED_RATIONAL) else len(values)
            if len(packed) > 4:
                place = struct.pack("<I", end + len(tail))
                tail += packed + b"\0" * (len(packed) % 2)
                packed = place
            body += struct.pack("<HHI4s", tag, kind, count, packed)
        body += struct.pack("<I", 0)
    return head + body + tail
