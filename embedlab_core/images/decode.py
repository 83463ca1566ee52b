"""Encoded bytes -> RGB pixels of the size a model wants."""

import hashlib
import io
import mmap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import BinaryIO, TypeVar, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, UnidentifiedImageError

from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.colours import LARGE_PIXELS, alpha_of, averaged, to_rgb
from embedlab_core.images.damage import JPEG_BLOCK, Opened, missing_share, stored_blocks
from embedlab_core.images.frames import is_sequence, meant_frame
from embedlab_core.images.memory import (
    DECODE_MEMORY,
    Head,
    coefficient_bytes,
    decoding_bytes,
    raw_bytes,
    too_much_memory,
)
from embedlab_core.images.metadata import DAMAGED, JPEG_START, captured, orientation, without_metadata
from embedlab_core.images.raw import FULL_SIZE, is_raw, open_raw
from embedlab_core.images.resize import Interpolation, PixelSpec, ResizeMode, resized
from embedlab_core.images.samples import with_all_bits

__all__ = [
    "DecodedImage",
    "Interpolation",
    "PixelSpec",
    "ResizeMode",
    "decode_image",
    "decode_picture",
    "memory_needed",
    "to_rgb",
]

# A JPEG is decoded at a reduced DCT scale only while it stays at least this many times larger than the model's input,
# so that the final resize still averages over source pixels (Pillow's own `reducing_gap` guidance: 2 is nearly exact).
DCT_GAP = 2

# Pillow refuses pictures of more pixels than 2 * Image.MAX_IMAGE_PIXELS, 179 million. Phones make JPEGs of 200 million,
# which decode in little memory at a reduced scale.
_JPEG_PIXELS = 500_000_000

# EXIF orientation -> what turns the stored pixels upright. ImageOps.exif_transpose does the same, but also writes the
# other metadata anew, which fails on values of unusual types.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTER_TURNED = (5, 6, 7, 8)

# Pillow hands these to Ghostscript, a program that no stranger's file should start, whatever its name says it is.
_SCRIPTS = ("EPS",)

Result = TypeVar("Result")

# A file as bytes, or open for reading: a large one need not be in memory.
Source = bytes | BinaryIO


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """pixels: uint8 (size, size, 3) RGB. width, height: of the upright original, in pixels.

    pixel_hash: 64 bits of `pixels` and of the alpha at that size, never 0. missing: the share of the picture, 0 to 1,
    that its file has lost. captured: EXIF capture time, seconds since 1970 as if UTC; None if unknown.
    """

    pixels: npt.NDArray[np.uint8]
    width: int
    height: int
    pixel_hash: int
    missing: float = 0.0
    captured: int | None = None


@dataclass(frozen=True, slots=True)
class _Upright:
    """rgb: turned upright. alpha: of the same size, mode L; None if opaque. width, height: of the original, upright."""

    rgb: Image.Image
    alpha: Image.Image | None
    width: int
    height: int
    missing: float
    captured: int | None


def decode_image(source: Source, spec: PixelSpec) -> DecodedImage:
    """Decode the frame that is meant upright, as RGB on a ground that it stands out from, resized as `spec` says.

    Raises ImageDecodeError with the reason; its path is filled in by the caller, which knows it.
    """
    seen = _upright(source, spec.size)
    pixels = np.asarray(resized(seen.rgb, spec))
    alpha = b"" if seen.alpha is None else resized(seen.alpha, spec).tobytes()
    return DecodedImage(pixels, seen.width, seen.height, _hash(pixels, alpha), seen.missing, seen.captured)


def decode_picture(source: Source, size: int) -> Image.Image:
    """Decode as `decode_image` does, in the picture's own proportions, its longer side at most `size` pixels.

    Raises ImageDecodeError as `decode_image` does.
    """
    picture = _upright(source, size).rgb.copy()
    picture.thumbnail((size, size))
    return picture


def memory_needed(source: Source, size: int) -> int:
    """The bytes that decoding takes at most, beside those of `source` itself, for a model's input of `size` pixels.
    Only the head of a file is read.

    Raises ImageDecodeError as `decode_image` does for what is no picture.
    """
    with decode_errors(source) as file:
        return _tried(cast(BinaryIO, Head(file)), lambda candidate: _memory(candidate, size))


def _upright(source: Source, size: int) -> _Upright:
    with decode_errors(source) as file:
        return _tried(file, lambda candidate: _decoded(candidate, size))


def _tried(file: BinaryIO, read: Callable[[BinaryIO], Result]) -> Result:
    """`read` of the file; where that fails, of what it is without its metadata, which must not cost the pixels."""
    try:
        return read(file)
    except DAMAGED:
        bare = without_metadata(file)
        if bare is None:
            raise
        try:
            return read(bare)
        except DAMAGED:
            pass
        raise  # What was wrong with the whole file.


def _memory(file: BinaryIO, size: int) -> int:
    if _is_raw(file):
        return raw_bytes(_length(file))
    with _open(file) as image:
        return _needed(image, file, size)


def _needed(image: Image.Image, file: BinaryIO, size: int) -> int:
    coefficients = coefficient_bytes(image)
    _draft(image, size)
    return coefficients + decoding_bytes(image, _length(file), _factor(image, size) > 1)


def _decoded(file: BinaryIO, size: int) -> _Upright:
    is_raw_file = _is_raw(file)
    with open_raw(_bytes(file)) if is_raw_file else _open(file) as image:
        original = image.info.get(FULL_SIZE, image.size)
        if not is_raw_file and (needed := _needed(image, file, size)) > DECODE_MEMORY:
            raise ImageDecodeError(too_much_memory(needed, DECODE_MEMORY))
        has_frames = is_sequence(image)
        stored = stored_blocks(image)
        _load(image, size)
        missing = 0.0
        if not is_raw_file:
            consumed = file.tell()
            missing = missing_share(Opened(file, image, stored, consumed, lambda other: _loaded(other, size)))
            file.seek(consumed)  # Later frames are read from here.
        turn, moment = orientation(image), captured(image)
        frame = meant_frame(image) if has_frames else with_all_bits(image, lambda: _open(file))
        width, height = frame.size if has_frames else original
        if turn in _QUARTER_TURNED:
            width, height = height, width
        if (factor := _factor(frame, size)) > 1:
            frame = averaged(frame, factor)
        if turn in _UPRIGHT:
            frame = frame.transpose(_UPRIGHT[turn])
        return _Upright(to_rgb(frame), alpha_of(frame), width, height, missing, moment)


def _is_raw(file: BinaryIO) -> bool:
    """Most RAW files are TIFF files by their first bytes; where their tags stand only the tags tell."""
    if isinstance(file, Head):
        file = file.file
    if isinstance(file, io.BytesIO):
        return is_raw(file.getvalue())
    if not _length(file):
        return False
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return is_raw(data)


def _bytes(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _open(file: BinaryIO) -> Image.Image:
    file.seek(0)
    try:
        image = Image.open(file)
    except Image.DecompressionBombError:
        file.seek(0)
        if file.read(3) != JPEG_START:
            raise
        # Pillow itself imports its plugins when the first picture is opened.
        from PIL import JpegImagePlugin

        file.seek(0)
        image = JpegImagePlugin.JpegImageFile(file)
        if image.width * image.height > _JPEG_PIXELS:
            raise
    if image.format in _SCRIPTS:
        raise ImageDecodeError(f"{image.format} is a program, not a picture")
    return image


def _draft(image: Image.Image, size: int) -> None:
    """A JPEG far larger than `size` will be decoded at a reduced scale."""
    if image.format == "JPEG":
        # draft() keeps the result at least as large as asked for, on both sides.
        image.draft("RGB", (DCT_GAP * size, DCT_GAP * size))


def _load(image: Image.Image, size: int) -> None:
    _draft(image, size)
    if isinstance(image, ImageFile.ImageFile) and image.format in ("JPEG", "MPO"):
        image.decodermaxblock = JPEG_BLOCK
    image.load()


def _loaded(file: BinaryIO, size: int) -> Image.Image:
    with _open(file) as image:
        _load(image, size)
        return image.copy()


def _factor(image: Image.Image, size: int) -> int:
    """How many pixels of a very large picture are averaged into one, each way; it stays far larger than `size`."""
    return min(image.size) // (2 * DCT_GAP * size) if image.width * image.height > LARGE_PIXELS else 1


def _length(file: BinaryIO) -> int:
    place = file.tell()  # Some decoders go on reading from where opening stopped.
    length = file.seek(0, io.SEEK_END)
    file.seek(place)
    return length


def _hash(pixels: npt.NDArray[np.uint8], alpha: bytes) -> int:
    """64 bits, never 0."""
    return int.from_bytes(hashlib.blake2b(pixels.tobytes() + alpha, digest_size=8).digest(), "big") or 1


@contextmanager
def decode_errors(source: Source) -> Iterator[BinaryIO]:
    """`source` as an open file; what goes wrong with it is an ImageDecodeError."""
    _prepare()
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        yield file
    except Image.DecompressionBombError as error:
        raise ImageDecodeError(f"too many pixels to be a photograph ({error})") from error
    except MemoryError as error:
        raise ImageDecodeError("not enough memory to decode it") from error
    except DAMAGED as error:
        raise ImageDecodeError(_reason(file, error)) from error


def _reason(file: BinaryIO, error: Exception) -> str:
    if not _length(file):
        return "the file is empty"
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    text = " ".join(str(error).split()) or type(error).__name__
    return f"damaged image ({text})" if "truncated" not in text else f"truncated image ({text})"


@cache
def _prepare() -> None:
    """HEIC needs a plugin, and so does JPEG XL, whose plugin comes with the extra `jxl`; AVIF is Pillow's own.

    Pillow warns on odd metadata and on large images; neither changes the pixels, and a batch has no use for them. The
    filter is set once: `catch_warnings` for each image would let warnings through where several threads decode.
    """
    warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\.")
    import pillow_heif

    cast(Callable[[], None], pillow_heif.register_heif_opener)()
    if find_spec("pillow_jxl"):
        import pillow_jxl  # noqa: F401  Importing it is what registers it.
