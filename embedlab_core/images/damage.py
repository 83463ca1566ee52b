"""How much of a picture is missing though its file opens: an interrupted copy, a recovered card, a flipped bit."""

import io
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageChops

from embedlab_core.images.containers import coded_spans
from embedlab_core.images.jpegstream import JpegStream, read_stream
from embedlab_core.images.metadata import png_chunks

# A JPEG's decoder is fed blocks of so many bytes, so that where it stopped reading tells where the picture ended.
JPEG_BLOCK = 1024

# A run of more equal bytes, all 0 or all 0xFF, ends no coded picture, and of so many more is in the middle of none.
# Coders write even areas as runs too: a byte of one may stand for so many pixels.
_TAIL_RUN = 64
_INNER_RUN = 512
_EVEN_PIXELS = 1000
_LONG_RUN = re.compile(rb"\x00{64,}|\xff{64,}")
_LOSSLESS_EVEN = 2
_LOSSLESS = b"\x2f"  # What the data of VP8L begins with.
_PADDING_BYTES = (0x00, 0xFF)
_DEFLATE = ("tiff_adobe_deflate", "tiff_deflate")
_READ = 2**20

# In a file of stored pixels, what was not copied begins below rows with a picture in them: so many rows, so many levels
# in each, hardly any of them that of the padding, and inside a row: a black or white border begins with one.
_STORED_FORMATS = ("BMP", "DIB", "TIFF", "PPM", "TGA")
_ROWS_ABOVE = 3
_LEAST_LEVELS = 16
_LEAST_OVERLAP = 3
_MOST_FILLER = 0.1
# Rows of a BMP end on a multiple of four bytes.
_ROW_PADDING = 3
_SAMPLE_BITS = {"1": 1, "L": 8, "P": 8, "LA": 16, "I;16": 16, "RGB": 24, "BGR": 24}

# A decoder that gets no more data leaves the rest of a JPEG at the middle of its range.
_UNSENT = (127, 128)


class Stored(NamedTuple):
    """A block of pixels that a file holds as they are: its place, the bytes of a row, its rows."""

    offset: int
    stride: int
    rows: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of a picture that was decoded.

    file: all of its bytes. image: loaded. stored: `stored_blocks` of it. consumed: the bytes that the decoder took.
    again: decodes other bytes at the same scale.
    """

    file: BinaryIO
    image: Image.Image
    stored: Sequence[Stored]
    consumed: int
    again: Callable[[BinaryIO], Image.Image]


def missing_share(opened: Opened) -> float:
    """The share of the picture, 0 to 1, that cannot be what was encoded; 0 where nothing says so.

    What follows the first wrong byte of a coded picture cannot be trusted; its share of the bytes is taken for that of
    the area.
    """
    kind = opened.image.format
    if kind in ("JPEG", "MPO"):
        return _jpeg(opened)
    if kind == "PNG":
        return _png(opened.file)
    if opened.stored:
        return _stored(opened.file, opened.stored)
    if opened.image.info.get("compression") in _DEFLATE:
        return _deflated(opened)
    return _padded(opened)


def stored_blocks(image: Image.Image) -> list[Stored]:
    """Of an image that is opened but not loaded, by Pillow's tiles; none if any of it is coded."""
    found = []
    for tile in getattr(image, "tile", []):
        args = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        if image.format not in _STORED_FORMATS or tile.codec_name != "raw" or not isinstance(args[0], str):
            return []
        left, top, right, bottom = tile.extents
        row = -(-(right - left) * _SAMPLE_BITS.get(args[0].split(";16")[0], 32) // 8)
        found.append(Stored(tile.offset, args[1] if len(args) > 1 and args[1] else row, bottom - top))
    return found


def _png(file: BinaryIO) -> float:
    """By the checksum of each chunk of pixels, which Pillow does not look at. Some programs write none that are right:
    the checksum of the pixels themselves has the last word."""
    total = broken_at = 0
    is_broken = False
    for name, place, length in png_chunks(file):
        if name not in (b"IDAT", b"fdAT"):
            continue
        if not is_broken and not _has_right_checksum(file, place, length):
            is_broken, broken_at = True, total
        total += length
    if not is_broken or _inflates(file):
        return 0.0
    return max(1 - broken_at / max(total, 1), 1e-3)


def _has_right_checksum(file: BinaryIO, place: int, length: int) -> bool:
    file.seek(place - 4)
    left, checksum = length + 4, 0
    while left and (block := file.read(min(left, _READ))):
        checksum = zlib.crc32(block, checksum)
        left -= len(block)
    return not left and file.read(4) == checksum.to_bytes(4, "big")


def _inflates(file: BinaryIO) -> bool:
    """Whether the pixels of a PNG end with their own checksum (Adler-32), and it is right."""
    inflate = zlib.decompressobj()
    try:
        for name, place, length in png_chunks(file):
            if name == b"IDAT":
                file.seek(place)
                left = file.read(length)
                while left:
                    inflate.decompress(left, _READ)
                    left = inflate.unconsumed_tail
    except zlib.error:
        return False
    return inflate.eof


def _jpeg(opened: Opened) -> float:
    opened.file.seek(0)
    data = opened.file.read()
    stream = read_stream(data)
    if not stream.scans:
        return 0.0
    start, end = stream.scans[0][0], stream.scans[-1][1]
    broken_at = stream.broken_at
    if broken_at is None and not stream.ends:
        broken_at = _unended(data, stream, opened.consumed)
    if broken_at is not None:
        return min(1.0, max(1 - (broken_at - start) / max(end - start, len(data) - start, 1), 1e-3))
    if stream.restarts_missing:
        return stream.restarts_missing
    if not stream.complete:
        return 1 - 1 / (1 + len(stream.scans))
    if len(stream.scans) > 1 or stream.progressive:
        return _unsent(opened, data, end)
    if opened.consumed + JPEG_BLOCK < end and not _is_padding(data, opened.consumed, end):
        # The picture was full before its data ended: some of the data is another's.
        return 1 - (opened.consumed - start) / (end - start)
    return _unsent(opened, data, end)


def _unended(data: bytes, stream: JpegStream, consumed: int) -> int | None:
    """Where a file that never comes to its end mark went wrong; None if its picture was whole before the padding."""
    padding = len(data) - _tail_run(data)
    is_whole = len(stream.scans) == 1 and not stream.progressive and consumed <= padding + JPEG_BLOCK < len(data)
    return None if is_whole else padding


def _is_padding(data: bytes, start: int, end: int) -> bool:
    return len(data[start:end].strip(b"\0")) == 0 or len(data[start:end].strip(b"\xff")) == 0


def _unsent(opened: Opened, data: bytes, end: int) -> float:
    """A JPEG closed early: the decoder fills up with middle grey, which other bytes in the place of the end change."""
    image = opened.image
    corner = image.getpixel((image.width - 1, image.height - 1))
    levels = corner if isinstance(corner, tuple) else (corner,)
    if not all(level in _UNSENT for level in levels if level is not None):
        return 0.0
    other = opened.again(io.BytesIO(data[:end] + b"\x55\xa6" * max(2**15, end) + b"\xff\xd9"))
    changed = ImageChops.difference(image, other).getbbox()
    return 0.0 if changed is None else (image.height - changed[1]) / image.height


def _stored(file: BinaryIO, blocks: Sequence[Stored]) -> float:
    """Of a file that holds its pixels as they are, to its end."""
    size = file.seek(0, io.SEEK_END)
    run = _tail_run_of(file, size)
    if run < _TAIL_RUN:
        return 0.0
    cut = size - run
    filler = _bytes_at(file, size - 1, 1)
    for block in blocks:
        row, column = divmod(cut - block.offset, block.stride)
        if not _ROWS_ABOVE <= row < block.rows:
            continue
        above = _bytes_at(file, cut - column - _ROWS_ABOVE * block.stride, _ROWS_ABOVE * block.stride)
        rows = [above[at : at + block.stride - _ROW_PADDING] for at in range(0, len(above), block.stride)]
        if any(len(set(pixels)) < _LEAST_LEVELS for pixels in rows):
            continue
        overlaps = [pixels[column:] for pixels in rows]
        if column and len(overlaps[0]) >= _LEAST_OVERLAP and all(_is_picture(part, filler) for part in overlaps):
            return min(1.0, run / sum(each.stride * each.rows for each in blocks))
    return 0.0


def _is_picture(pixels: bytes, filler: bytes) -> bool:
    return pixels.count(filler) <= _MOST_FILLER * len(pixels)


def _bytes_at(file: BinaryIO, place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def _padded(opened: Opened) -> float:
    """Of coded data, in the order it is decoded: all of it after the first run of padding."""
    spans = coded_spans(opened.file, opened.image)
    total = sum(span.length for span in spans)
    even = opened.image.width * opened.image.height // _EVEN_PIXELS
    done = 0
    for number, span in enumerate(spans):
        data = _bytes_at(opened.file, span.start, span.length)
        runs = [(run.start(), len(run.group())) for run in _LONG_RUN.finditer(data)]
        for start, length in runs:
            is_last = start + length == len(data) and number == len(spans) - 1
            if opened.image.format == "WEBP" and data[:1] == _LOSSLESS:
                is_padding = is_last and not _is_even(opened.image, length)
            else:
                is_padding = length > max(even, _TAIL_RUN if is_last else _INNER_RUN)
            if is_padding:
                return 1 - (done + start) / total
        done += span.length
    return 0.0


def _is_even(image: Image.Image, run: int) -> bool:
    """Whether the picture ends in an area of one colour that lossless WebP would code as `run` bytes of 0: with a
    bit or two a pixel. The zeros of a photograph's padding make far fewer pixels."""
    pixels = np.asarray(image).reshape(image.width * image.height, -1)
    others = np.flatnonzero((pixels != pixels[-1]).any(axis=1))
    even = len(pixels) - 1 - int(others[-1]) if others.size else len(pixels)
    return even >= _LOSSLESS_EVEN * run


def _deflated(opened: Opened) -> float:
    """By the checksum of each strip of a TIFF, at which libtiff does not always arrive."""
    spans = coded_spans(opened.file, opened.image)
    intact = [_is_deflated(_bytes_at(opened.file, span.start, span.length)) for span in spans]
    return 1 - intact.index(False) / len(intact) if False in intact else 0.0


def _is_deflated(data: bytes) -> bool:
    """Whether `data` ends with the right checksum."""
    inflate = zlib.decompressobj()
    try:
        while data:
            inflate.decompress(data, _READ)
            data = inflate.unconsumed_tail
    except zlib.error:
        return False
    return inflate.eof


def _tail_run(data: bytes) -> int:
    """How many bytes at the end are all 0 or all 0xFF."""
    if not data or data[-1] not in _PADDING_BYTES:
        return 0
    return len(data) - len(data.rstrip(data[-1:]))


def _tail_run_of(file: BinaryIO, size: int) -> int:
    """`_tail_run` of a file, from its end."""
    run, end, last = 0, size, b""
    while end:
        start = max(0, end - _READ)
        file.seek(start)
        block = file.read(end - start)
        last = last or block[-1:]
        if last[0] not in _PADDING_BYTES:
            return 0
        rest = len(block.rstrip(last))
        run += len(block) - rest
        if rest:
            break
        end = start
    return run
