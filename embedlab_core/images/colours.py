"""Any Pillow mode -> RGB."""

import math

from PIL import Image

from embedlab_core.images.ground import on_ground
from embedlab_core.images.tones import deep_gray_to_8_bits, is_deep

# A picture of more pixels is averaged over boxes, in bands of rows, as soon as it is decoded: the copies that
# converting and resizing make would take gigabytes.
LARGE_PIXELS = 2**25
_BAND_PIXELS = 2**22


def to_rgb(image: Image.Image) -> Image.Image:
    """Transparency is laid on a ground that the visible pixels stand out from; deep gray is scaled to 8 bits."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if is_deep(image):
        return deep_gray_to_8_bits(image).convert("RGB")
    if image.has_transparency_data:
        return on_ground(image.convert("RGBA"))
    return image.convert("RGB")


def alpha_of(image: Image.Image) -> Image.Image | None:
    """Its alpha, mode L; None where all of it is opaque."""
    if is_deep(image) or not image.has_transparency_data:
        return None
    alpha = image.convert("RGBA").getchannel("A")
    return None if alpha.getextrema() == (255, 255) else alpha


def averaged(image: Image.Image, factor: int) -> Image.Image:
    """Means over boxes of about `factor` x `factor` pixels, as RGB, or RGBA where it has transparency."""
    if is_deep(image):
        image = deep_gray_to_8_bits(image)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    width, height = image.width // factor, image.height // factor
    small = Image.new(mode, (width, height))
    rows = max(1, _BAND_PIXELS // (image.width * factor))
    for top in range(0, height, rows):
        end = min(top + rows, height)
        # The rows of the large picture that rows `top` to `end` of the small one stand for.
        first, last = top * image.height / height, end * image.height / height
        start = math.floor(first)
        band = image.crop((0, start, image.width, math.ceil(last))).convert(mode)
        box = (0, first - start, image.width, min(last - start, band.height))
        small.paste(band.resize((width, end - top), Image.Resampling.BOX, box), (0, top))
    return small
