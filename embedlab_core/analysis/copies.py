"""Copies of a picture as people make them, to measure how near a copy stays to its original."""

import io
import random
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

# Longer side of what is copied, in pixels: models look at less.
PICTURE_SIZE = 640

_Change = Callable[[Image.Image, random.Random], Image.Image]


def _reencoded(picture: Image.Image, rng: random.Random) -> Image.Image:
    return Image.open(io.BytesIO(_jpeg(picture, rng.randint(20, 60))))


def _resized(picture: Image.Image, rng: random.Random) -> Image.Image:
    return ImageOps.scale(picture, rng.choice((0.4, 0.5, 0.6, 1.5, 2.0)))


def _cropped(picture: Image.Image, rng: random.Random) -> Image.Image:
    """A window of 75 to 90 % of each side."""
    kept = rng.uniform(0.75, 0.9)
    width, height = (max(1, round(kept * side)) for side in picture.size)
    left, top = rng.randint(0, picture.width - width), rng.randint(0, picture.height - height)
    return picture.crop((left, top, left + width, top + height))


def _brightened(picture: Image.Image, rng: random.Random) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(rng.choice((0.7, 1.3)))


def _lettered(picture: Image.Image, rng: random.Random) -> Image.Image:
    lettered = picture.copy()
    font = ImageFont.load_default(max(8.0, 0.12 * picture.height))
    place = picture.width * rng.uniform(0, 0.4), picture.height * rng.uniform(0, 0.85)
    ImageDraw.Draw(lettered).text(place, "Sample text", rng.choice(("white", "black")), font)
    return lettered


def _bordered(picture: Image.Image, rng: random.Random) -> Image.Image:
    return ImageOps.expand(picture, max(1, round(0.08 * min(picture.size))), rng.choice(("white", "black")))


_CHANGES: dict[str, _Change] = {
    "re-encode": _reencoded,
    "resize": _resized,
    "crop": _cropped,
    "mirror": lambda picture, rng: ImageOps.mirror(picture),
    "brightness": _brightened,
    "lettering": _lettered,
    "border": _bordered,
}
COPY_KINDS = tuple(_CHANGES)


def make_copies(picture: Image.Image, rng: random.Random) -> list[bytes]:
    """One JPEG of each of COPY_KINDS. picture: RGB."""
    return [_jpeg(change(picture, rng), 95) for change in _CHANGES.values()]


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return out.getvalue()
