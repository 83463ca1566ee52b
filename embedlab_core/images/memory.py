"""How much memory a picture takes to decode, and one budget that all workers share."""

import io
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import BinaryIO

from PIL import ExifTags, Image

from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.colours import LARGE_PIXELS

# Bytes for reading and decoding, of all workers together.
DECODE_MEMORY = 1_500_000_000

# Opening a picture reads no more.
HEAD_BYTES = 2**24

# What Pillow keeps of a pixel.
_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}

# Copies of all pixels that a decoder makes beside the picture, in bytes a pixel. Measured with Pillow 12 and 13: their
# WebP, AVIF and HEIC decoders hold the canvas, the frame and the bytes that are handed over; OpenJPEG holds 32 bits a
# sample.
_DECODER_BYTES = {"WEBP": 13, "AVIF": 12, "HEIF": 12, "JPEG2000": 16, "GIF": 1, "ICO": 8, "JXL": 12}

# Decoders, or the search for damage, that read the whole file, and how many copies of it there are then.
_FILE_COPIES = {"JPEG": 1, "MPO": 1, "WEBP": 3, "AVIF": 3, "HEIF": 3, "JPEG2000": 2, "JXL": 2}

_RAW_COPIES = 8

# glibc keeps what a thread frees for that thread: eight threads that take turns would hold eight large pictures. From
# such a size on it is told to give the memory back.
_TRIMMED_BYTES = 2**25

# Laying transparency on a ground, and turning a picture upright, copy all pixels of a picture that is not averaged.
_CONVERSION_BYTES = 16
_TURN_BYTES = 4

# The bands that a large picture is averaged in, and what a decoder needs whatever the picture.
_WORKING_BYTES = 96_000_000
_SMALL_WORKING_BYTES = 4_000_000


def raw_bytes(file_bytes: int) -> int:
    """What reading the RAW file of a camera takes: its bytes, and 5 for each pixel of a sensor that is packed well."""
    return _RAW_COPIES * file_bytes


def opening_bytes(file: BinaryIO) -> int:
    """The most that opening a file takes, before anything is decoded."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    start = file.read(12)
    is_read_whole = start.startswith(b"RIFF") or start[4:8] == b"ftyp"
    return (max(_FILE_COPIES.values()) if is_read_whole else 1) * min(size, size if is_read_whole else HEAD_BYTES)


class Head(io.BufferedIOBase):
    """A file that gives at most HEAD_BYTES in all, unless it is asked for as a whole: what claims to have metadata of a
    gigabyte is no reason to read a gigabyte."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._left = HEAD_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.file.read()
        if size > self._left:
            raise OSError(f"more than {HEAD_BYTES // 2**20} MiB of metadata")
        data = self.file.read(size)
        self._left -= len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True


def decoding_bytes(image: Image.Image, file_bytes: int, is_averaged: bool) -> int:
    """The most that decoding `image`, opened but not loaded, takes, beside the `file_bytes` of its file.

    is_averaged: whether it will be averaged in bands rather than converted as a whole.
    """
    pixels = image.width * image.height
    each = _PIXEL_BYTES.get(image.mode, 4) + _DECODER_BYTES.get(image.format or "", 0)
    each += _strip_bytes(image)
    if image.mode.startswith(("I", "F")):
        each += 1  # Its 8 bits.
    if not is_averaged:
        plain = image.mode == "RGB" and "transparency" not in image.info
        each += _TURN_BYTES if plain else _CONVERSION_BYTES
    working = _WORKING_BYTES if pixels > LARGE_PIXELS else _SMALL_WORKING_BYTES
    return _FILE_COPIES.get(image.format or "", 0) * file_bytes + pixels * each + working


def _strip_bytes(image: Image.Image) -> int:
    """Of a TIFF, a pixel of which takes 4: libtiff holds one strip, which may be all of it."""
    if image.format != "TIFF" or image.info.get("compression") == "raw":
        return 0
    rows = getattr(image, "tag_v2", {}).get(ExifTags.Base.RowsPerStrip, image.height)
    return 4 if not isinstance(rows, int) or 4 * rows > image.height else 1


def coefficient_bytes(image: Image.Image) -> int:
    """What libjpeg keeps of a JPEG of several scans before the first pixel: 16 bits for each coefficient.

    Ask before `draft` makes the size smaller.
    """
    layers: list[tuple[int, int, int, int]] = getattr(image, "layer", [])
    if not image.info.get("progressive") or not layers:
        return 0
    most = max(down for _, down, _, _ in layers) * max(across for _, _, across, _ in layers)
    share = sum(down * across for _, down, across, _ in layers) / max(most, 1)
    return int(2 * image.width * image.height * share)


def too_much_memory(needed: int, total: int) -> str:
    return f"needs {needed / 1e9:.1f} GB of memory to decode, more than the {total / 1e9:.1f} GB that there are for it"


class MemoryBudget:
    """So many bytes, lent to one worker after another in the order they ask: a large picture is not overtaken for ever
    by small ones."""

    def __init__(self, total: int = DECODE_MEMORY) -> None:
        self.total = total
        self._free = total
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, wanted: int) -> Iterator[None]:
        """Wait until `wanted` bytes are free, and hold them. Raises ImageDecodeError if there are never so many.

        A thread that holds some must not ask for more: two could wait for each other.
        """
        if wanted > self.total:
            raise ImageDecodeError(too_much_memory(wanted, self.total))
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            try:
                self._changed.wait_for(lambda: self._waiting[0] is turn and wanted <= self._free)
                self._free -= wanted
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
        try:
            yield
        finally:
            if wanted >= _TRIMMED_BYTES:
                _trim()
            with self._changed:
                self._free += wanted
                self._changed.notify_all()


def _trim() -> None:
    """Give freed memory back to the system, where the C library has it otherwise kept."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    import ctypes

    return getattr(ctypes.CDLL(None), "malloc_trim", None)
