"""Pixels of more than 8 bits -> 8 bits, by the white that their file means."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

_FULL = 65535.0

# Cameras and scanners put 10, 12 and 14 bits into 16 without saying so. Below 4096, a sixteenth of full white, no
# picture of 16 bits has all its pixels, so 12 bits are taken. 10 and 14 bits are told from a dark picture of 12 or 16
# only where the brightest pixel comes near their white.
_TWELVE_BITS = 4095.0
_TEN_OR_FOURTEEN_BITS = (1023.0, 16383.0)
_NEAR = 0.9

_MAX_SAMPLE_VALUE = 281
_S_MAX_SAMPLE_VALUE = 341

# Rows are scaled in bands of so many pixels: the copies in float32 that it takes stay small.
_BAND_PIXELS = 2**22

Scale = tuple[float, float]


def is_deep(image: Image.Image) -> bool:
    """Whether it is grey of more than 8 bits: Pillow's modes I;16, I and F. Its own convert() clips those at 255."""
    return image.mode.startswith(("I", "F"))


def deep_gray_to_8_bits(image: Image.Image) -> Image.Image:
    """Modes I;16, I and F -> L. NaN and infinite values are black."""
    black, white = _scale(image)
    gray = Image.new("L", image.size)
    for top, values in _bands(image):
        scaled = np.clip((values - black) * (255.0 / (white - black)) + 0.5, 0, 255).astype(np.uint8)
        gray.paste(Image.fromarray(scaled), (0, top))
    return gray


def white_of(values: npt.NDArray[np.float32] | npt.NDArray[np.uint16]) -> float:
    """The white of integer samples in 16 bits, by their brightest."""
    return _white(float(values.max(initial=0)), bool((values % 257 == 0).all()))


def _scale(image: Image.Image) -> Scale:
    """The values that become 0 and 255."""
    low, high, above_one, count = 0.0, 0.0, 0, 0
    from_8_bits = is_whole = True
    for _, values in _bands(image):
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        above_one, count = above_one + int((values > 1).sum()), count + values.size
        from_8_bits = from_8_bits and bool((values % 257 == 0).all())
        is_whole = is_whole and bool((values == np.rint(values)).all())
    if declared := _declared_white(image, high):
        return 0.0, declared
    if image.mode == "F":
        return 0.0, _float_white(high, above_one / count, is_whole)
    if low < 0:
        return low, max(high, low + 1)  # Signed samples have no agreed black or white.
    return 0.0, high if high > _FULL else _white(high, from_8_bits)


def _white(high: float, from_8_bits: bool) -> float:
    """The white of whole samples none of which is above `high` or 65535. from_8_bits: all are multiples of 257, as
    scaling 8 bits to 16 makes them."""
    if from_8_bits and high:
        return _FULL
    if high <= 255:
        return 255.0
    for white in _TEN_OR_FOURTEEN_BITS:
        if _NEAR * white <= high <= white:
            return white
    return _TWELVE_BITS if high <= _TWELVE_BITS else _FULL


def _float_white(high: float, share_above_one: float, is_whole: bool) -> float:
    """Floating-point samples run to 1, or are whole numbers of 8 or 16 bits. A few highlights above 1 are clipped."""
    if high <= 1 or (share_above_one <= 0.1 and not is_whole):
        return 1.0
    return next((white for white in (255.0, _FULL) if high <= white), high)


def _declared_white(image: Image.Image, high: float) -> float | None:
    """From the tags of a TIFF, unless a pixel is above it."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return None
    bits = tags.get(ExifTags.Base.BitsPerSample, (16,))
    packed = [2.0 ** bits[0] - 1] if isinstance(bits, tuple) and bits and bits[0] in (10, 12, 14) else []
    for value in (*packed, tags.get(_MAX_SAMPLE_VALUE), tags.get(_S_MAX_SAMPLE_VALUE)):
        white = value[0] if isinstance(value, tuple) and value else value
        if isinstance(white, int | float) and max(high, 0.0) <= white < _FULL and white > 0:
            return float(white)
    return None


def _bands(image: Image.Image) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """(first row, float32 values) of consecutive rows."""
    rows = max(1, _BAND_PIXELS // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        values = np.asarray(band, dtype=np.float32)
        yield top, np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
