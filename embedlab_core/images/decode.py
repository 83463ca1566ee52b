"""Encoded bytes -> RGB pixels of the size a model wants."""

import io
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Literal, cast

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.raw import FULL_SIZE, is_raw, open_raw

ResizeMode = Literal["squash", "shortest", "longest"]
Interpolation = Literal["bilinear", "bicubic"]

# A JPEG is decoded at a reduced DCT scale only while it stays at least this many times larger than the model's input,
# so that the final resize still averages over source pixels (Pillow's own `reducing_gap` guidance: 2 is nearly exact).
DCT_GAP = 2

# Floating-point images have no agreed white: it is taken to be the smaller of these that no pixel exceeds.
_FLOAT_WHITES = (1.0, 255.0)

# Pillow refuses pictures of more pixels than 2 * Image.MAX_IMAGE_PIXELS, 179 million. Phones make JPEGs of 200 million,
# which decode in little memory at a reduced scale; the coefficients of a progressive one may take 3 bytes a pixel.
_JPEG_PIXELS = 500_000_000
_JPEG_START = b"\xff\xd8\xff"

# Pictures of more pixels are averaged over boxes as soon as they are decoded: the copies that laying on white and
# resizing make would take gigabytes.
_LARGE_PIXELS = 2**25
_AVERAGED_MODES = ("L", "LA", "RGB", "RGBA")

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

# Pillow's format plugins let all of these out on damaged input.
_DAMAGED = (
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

# Pillow hands these to Ghostscript, a program that no stranger's file should start, whatever its name says it is.
_SCRIPTS = ("EPS",)

_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True, slots=True)
class PixelSpec:
    """What a model's image tower expects.

    resize: "squash" stretches the whole image to a square; "shortest" scales the short side and crops the centre, as
    CLIP does; "longest" scales the long side and pads with `fill`.
    """

    size: int
    resize: ResizeMode
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    fill: int = 0


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """pixels: uint8 (size, size, 3) RGB. width, height: of the upright original, in pixels."""

    pixels: npt.NDArray[np.uint8]
    width: int
    height: int


def decode_image(data: bytes, spec: PixelSpec) -> DecodedImage:
    """Decode the first frame upright, as RGB on white, resized as `spec` says.

    Raises ImageDecodeError with the reason; its path is filled in by the caller, which knows it.
    """
    with _decode_errors(data), _open(data) as image:
        width, height = image.info.get(FULL_SIZE, image.size)
        resized = _RESIZE[spec.resize](_upright(image, spec.size), spec)
        if _orientation(image) in _QUARTER_TURNED:
            width, height = height, width
        return DecodedImage(pixels=np.asarray(resized), width=width, height=height)


def decode_picture(data: bytes, size: int) -> Image.Image:
    """Decode the first frame upright, as RGB on white, in its own proportions, its longer side at most `size` pixels.

    Raises ImageDecodeError as `decode_image` does.
    """
    with _decode_errors(data), _open(data) as image:
        picture = _upright(image, size).copy()
        picture.thumbnail((size, size))
        return picture


@contextmanager
def _decode_errors(data: bytes) -> Iterator[None]:
    _prepare()
    try:
        yield
    except Image.DecompressionBombError as error:
        raise ImageDecodeError(f"too many pixels to be a photograph ({error})") from error
    except MemoryError as error:
        raise ImageDecodeError("not enough memory to decode it") from error
    except _DAMAGED as error:
        raise ImageDecodeError(_reason(data, error)) from error


def _open(data: bytes) -> Image.Image:
    if is_raw(data):
        return open_raw(data)
    try:
        return Image.open(io.BytesIO(data))
    except Image.DecompressionBombError:
        if not data.startswith(_JPEG_START):
            raise
        # Pillow itself imports its plugins when the first picture is opened.
        from PIL import JpegImagePlugin

        image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        if image.width * image.height > _JPEG_PIXELS:
            raise
        return image


def _upright(image: Image.Image, size: int) -> Image.Image:
    """As RGB on white; a JPEG at a reduced scale if it is far larger than `size`."""
    if image.format in _SCRIPTS:
        raise ImageDecodeError(f"{image.format} is a program, not a picture")
    if image.format == "JPEG":
        # draft() keeps the result at least as large as asked for, on both sides.
        image.draft("RGB", (DCT_GAP * size, DCT_GAP * size))
    image.load()
    orientation = _orientation(image)
    image = _averaged(image, size)
    return to_rgb(image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image)


def _averaged(image: Image.Image, size: int) -> Image.Image:
    """A very large picture smaller, but still far larger than `size`."""
    factor = min(image.size) // (2 * DCT_GAP * size)
    is_plain = image.mode in _AVERAGED_MODES and "transparency" not in image.info
    if image.width * image.height <= _LARGE_PIXELS or factor < 2 or not is_plain:
        return image
    return image.resize((image.width // factor, image.height // factor), Image.Resampling.BOX)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, upright, where the metadata is damaged: that must not cost the picture."""
    try:
        return cast(int, image.getexif().get(ExifTags.Base.Orientation, 1))
    except _DAMAGED:
        return 1


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode -> RGB: transparency is laid on white, deep grayscale is scaled to 8 bits."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return _deep_gray_to_rgb(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _deep_gray_to_rgb(image: Image.Image) -> Image.Image:
    """Modes I;16, I and F. Pillow's own convert() clips at 255, which turns most 16-bit images white."""
    values = np.asarray(image, dtype=np.float32)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    white = _FLOAT_WHITES[bool(values.max(initial=0.0) > 1.0)] if image.mode == "F" else 65535.0
    gray = np.clip(values * (255.0 / white) + 0.5, 0, 255).astype(np.uint8)
    return Image.fromarray(gray).convert("RGB")


def _squash(image: Image.Image, spec: PixelSpec) -> Image.Image:
    return image.resize((spec.size, spec.size), _RESAMPLING[spec.interpolation])


def _shortest(image: Image.Image, spec: PixelSpec) -> Image.Image:
    """torchvision's Resize(size) then CenterCrop(size), with their rounding."""
    width, height = image.size
    if width <= height:
        scaled = (spec.size, max(spec.size, int(spec.size * height / width)))
    else:
        scaled = (max(spec.size, int(spec.size * width / height)), spec.size)
    left, top = round((scaled[0] - spec.size) / 2), round((scaled[1] - spec.size) / 2)
    if max(scaled) <= 8 * spec.size:
        resized = image.resize(scaled, _RESAMPLING[spec.interpolation])
        return resized.crop((left, top, left + spec.size, top + spec.size))
    # An extreme strip: resize only the part that is kept, so that memory stays bounded.
    scale_x, scale_y = width / scaled[0], height / scaled[1]
    box = (left * scale_x, top * scale_y, (left + spec.size) * scale_x, (top + spec.size) * scale_y)
    return image.resize((spec.size, spec.size), _RESAMPLING[spec.interpolation], box=box)


def _longest(image: Image.Image, spec: PixelSpec) -> Image.Image:
    """open_clip's ResizeKeepRatio(longest=1) then a centred pad to the square."""
    width, height = image.size
    ratio = spec.size / max(width, height)
    scaled = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    canvas = Image.new("RGB", (spec.size, spec.size), (spec.fill,) * 3)
    offset = ((spec.size - scaled[0]) // 2, (spec.size - scaled[1]) // 2)
    canvas.paste(image.resize(scaled, _RESAMPLING[spec.interpolation]), offset)
    return canvas


_RESIZE: dict[ResizeMode, Callable[[Image.Image, PixelSpec], Image.Image]] = {
    "squash": _squash,
    "shortest": _shortest,
    "longest": _longest,
}


def _reason(data: bytes, error: Exception) -> str:
    if not data:
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
