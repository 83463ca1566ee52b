"""What a file says beside its pixels: read where it is whole, left out where it keeps the pixels from being read."""

import io
import struct
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO, cast

from PIL import ExifTags, Image

PNG_START = b"\x89PNG\r\n\x1a\n"
JPEG_START = b"\xff\xd8\xff"

# Pillow's format plugins let all of these out on damaged input.
DAMAGED = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    RuntimeError,
    struct.error,
)

# The chunks that make pixels, and the one that says which side is up.
_PNG_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"eXIf")
# Those that may be wrong and are needed all the same: damage in them is judged elsewhere.
_PNG_CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"fdAT")
_LARGEST_EXIF = 2**20
_ADOBE = (b"Adobe", 12)

_CAPTURE_TAGS = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)
# No photograph is older, and no clock is right that is later.
_CAPTURE_YEARS = range(1826, 2200)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1, upright, where the metadata is damaged: that must not cost the picture."""
    try:
        return cast(int, image.getexif().get(ExifTags.Base.Orientation, 1))
    except DAMAGED:
        return 1


def captured(image: Image.Image) -> int | None:
    """When the picture was taken, by EXIF: seconds since 1970 of the camera's clock as if it ran on UTC.

    From DateTimeOriginal, else DateTimeDigitized; None where neither holds a time. DateTime alone is when a program
    wrote the file.
    """
    try:
        details = image.getexif().get_ifd(ExifTags.IFD.Exif)
    except DAMAGED:
        return None
    for tag in _CAPTURE_TAGS:
        if (seconds := _seconds(details.get(tag))) is not None:
            return seconds
    return None


def _seconds(value: object) -> int | None:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        return None
    try:
        # A separator other than the standard's colon is common; what follows the seconds is not read.
        moment = datetime.strptime(text.strip("\0 ")[:19].replace("-", ":").replace("T", " "), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    return int(moment.replace(tzinfo=UTC).timestamp()) if moment.year in _CAPTURE_YEARS else None


def without_metadata(file: BinaryIO) -> BinaryIO | None:
    """The same pixels with only the metadata that is needed to show them; None for formats where that is not at fault.

    Pillow refuses a PNG for the size of its texts or colour profile, and a JPEG, AVIF or HEIC for a segment that it
    cannot parse.
    """
    file.seek(0)
    start = file.read(12)
    file.seek(0)
    try:
        if start.startswith(PNG_START):
            return io.BytesIO(_bare_png(file))
        if start.startswith(JPEG_START):
            return io.BytesIO(_bare_jpeg(file.read()))
        if start[4:8] == b"ftyp":
            return io.BytesIO(_bare_heif(file.read()))
    except (struct.error, IndexError):
        pass  # What is left is not whole: the first error says it best.
    return None


def png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(name, place of its data, length) of every chunk to IEND or the end of the file."""
    place = len(PNG_START)
    name = b""
    while name != b"IEND":
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        length, name = struct.unpack(">I4s", head)
        yield name, place + 8, length
        place += length + 12


def _bare_png(file: BinaryIO) -> bytes:
    parts = [PNG_START]
    for name, place, length in png_chunks(file):
        if name not in _PNG_PIXELS or (name == b"eXIf" and length > _LARGEST_EXIF):
            continue
        file.seek(place - 8)
        chunk = file.read(length + 12)
        if name in _PNG_CRITICAL or zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big"):
            parts.append(chunk)
    return b"".join(parts)


def _bare_jpeg(data: bytes) -> bytes:
    """Without comments and application segments, but for EXIF, and Adobe's, which says how colours are coded."""
    parts = [data[:2]]
    place = 2
    while data[place] == 0xFF and data[place + 1] != 0xDA:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        end = place + 2 + struct.unpack_from(">H", data, place + 2)[0]
        body = data[place + 4 : end]
        is_metadata = marker == 0xFE or 0xE0 <= marker <= 0xEF
        is_adobe = marker == 0xEE and body.startswith(_ADOBE[0]) and len(body) >= _ADOBE[1]
        if not is_metadata or is_adobe or (marker == 0xE1 and body.startswith(b"Exif\0\0")):
            parts.append(data[place:end])
        place = end
    return b"".join([*parts, data[place:]])


def _bare_heif(data: bytes) -> bytes:
    """With items of EXIF and XMP renamed to a type that no reader knows; the offsets of the others stay true."""
    patched = bytearray(data)
    place = 0
    while (place := data.find(b"infe", place + 1)) > 0:
        size = int.from_bytes(data[place - 4 : place], "big")
        entry = data[place : place - 4 + size] if size < 4096 else b""
        for name in (b"Exif", b"mime"):
            if (at := entry.find(name)) > 0:
                patched[place + at : place + at + 4] = b"none"
    return bytes(patched)
