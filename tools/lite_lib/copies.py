"""Copies of an image as people make them: what training pairs with the original."""

import hashlib
import io
import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from embedlab_core.images.decode import PixelSpec, decode_image
from lite_lib.items import Item

SIZE = 224
SPEC = PixelSpec(size=SIZE, resize="squash", interpolation="bicubic", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))

Pixels = npt.NDArray[np.uint8]


def encode(image: Image.Image, kind: str = "JPEG", quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **({} if kind == "PNG" else {"quality": quality}))
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def pixels_of(data: bytes) -> Pixels:
    """Encoded bytes -> uint8 (224, 224, 3) as the model sees them."""
    return decode_image(data, SPEC).pixels


def seeded(data: bytes, *key: object) -> random.Random:
    """A generator that depends on the content of the image and `key` alone."""
    return random.Random(f"{key}-{hashlib.sha256(data).hexdigest()}")


def scaled(image: Image.Image, across: float, down: float) -> Image.Image:
    size = max(16, round(image.width * across)), max(16, round(image.height * down))
    return image.resize(size, Image.Resampling.BICUBIC)


def window(image: Image.Image, kept: float, rng: random.Random) -> Image.Image:
    """A window of the share `kept` of the width and of the height, anywhere in the image."""
    w, h = round(image.width * kept), round(image.height * kept)
    left, top = rng.randint(0, image.width - w), rng.randint(0, image.height - h)
    return image.crop((left, top, left + w, top + h))


def cropped(image: Image.Image, rng: random.Random, most: float) -> Image.Image:
    """Cut up to `most` of the side off each of the four sides."""
    left, top, right, bottom = (rng.uniform(0, most) for _ in range(4))
    w, h = image.size
    return image.crop((round(left * w), round(top * h), w - round(right * w), h - round(bottom * h)))


def brightened(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


def contrasted(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(factor)


def blurred(image: Image.Image, radius: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(radius))


def grayed(image: Image.Image) -> Image.Image:
    return image.convert("L").convert("RGB")


def turned(image: Image.Image, degrees: float, fill: str) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=fill)


def bordered(image: Image.Image, share: float, fill: str) -> Image.Image:
    return ImageOps.expand(image, max(1, round(min(image.size) * share)), fill)


def lettered(image: Image.Image, words: str, share: float, at: tuple[float, float], fill: str) -> Image.Image:
    """`words` as high as `share` of the image, from `at` (shares of width and height)."""
    image = image.copy()
    font = ImageFont.load_default(max(8.0, image.height * share))
    ImageDraw.Draw(image).text((image.width * at[0], image.height * at[1]), words, fill, font)
    return image


COPY_KINDS = ("re-encode", "resize", "crop", "brightness", "contrast", "format", "blur")


def mild_copy(data: bytes, rng: random.Random, kind: int | None = None) -> bytes:
    """One everyday change that leaves a copy a near-duplicate; `kind` picks it from COPY_KINDS."""
    image = opened(data)
    kind = rng.randrange(len(COPY_KINDS)) if kind is None else kind
    if kind == 0:
        return encode(image, "JPEG", rng.randint(40, 90))
    if kind == 1:
        factor = rng.uniform(0.5, 1.5)
        image = scaled(image, factor, factor)
    elif kind == 2:
        image = cropped(image, rng, 0.05)
    elif kind == 3:
        image = brightened(image, rng.uniform(0.85, 1.15))
    elif kind == 4:
        image = contrasted(image, rng.uniform(0.85, 1.15))
    elif kind == 5:
        return encode(image, "WEBP", 85) if rng.random() < 0.5 else encode(image, "PNG")
    else:
        image = blurred(image, rng.uniform(0.4, 1.0))
    return encode(image)


Change = Callable[[Image.Image, random.Random], Image.Image]

PAINTS = ("white", "black", "gray", "red", "yellow", "navy")
WORDS = ("sample text", "2024-05-17", "© photo", "DRAFT", "hello world", "LOL", "breaking news", "for sale")


def _letter(image: Image.Image, rng: random.Random) -> Image.Image:
    at = rng.uniform(0, 0.4), rng.uniform(0, 0.85)
    return lettered(image, rng.choice(WORDS), rng.uniform(0.06, 0.2), at, rng.choice(PAINTS))


def _reencode(image: Image.Image, rng: random.Random) -> Image.Image:
    return opened(encode(image, "JPEG", rng.randint(15, 50)))


def _rescale(image: Image.Image, rng: random.Random) -> Image.Image:
    factor = rng.choice((0.4, 0.5, 0.6, 2.0))
    return scaled(image, factor, factor)


# Changes of everything but the side an image faces, then those that turn or mirror it.
UPRIGHT_CHANGES: tuple[Change, ...] = (
    lambda image, rng: window(image, rng.uniform(0.7, 0.95), rng),
    lambda image, rng: window(image, rng.uniform(0.7, 0.8), rng),
    lambda image, rng: brightened(image, rng.choice((rng.uniform(0.5, 0.85), rng.uniform(1.15, 1.6)))),
    lambda image, rng: contrasted(image, rng.choice((rng.uniform(0.5, 0.85), rng.uniform(1.15, 1.6)))),
    lambda image, rng: grayed(image),
    lambda image, rng: blurred(image, min(image.size) * rng.uniform(0.003, 0.012)),
    _letter,
    lambda image, rng: bordered(image, rng.uniform(0.03, 0.14), rng.choice(PAINTS)),
    lambda image, rng: turned(image, rng.uniform(-8, 8), rng.choice(("white", "black"))),
    _rescale,
    _reencode,
)
TURNING_CHANGES: tuple[Change, ...] = (
    lambda image, rng: ImageOps.mirror(image),
    lambda image, rng: ImageOps.mirror(image),
    lambda image, rng: image.transpose(rng.choice((Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270))),
    lambda image, rng: image.transpose(rng.choice((Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270))),
)


def strong_copy(data: bytes, rng: random.Random, facing: bool) -> bytes:
    """One to three harder changes at once. facing: the side it faces is a part of what the image is: keep it."""
    image = opened(data)
    changes = UPRIGHT_CHANGES if facing else UPRIGHT_CHANGES + TURNING_CHANGES
    for change in rng.sample(changes, rng.choice((1, 1, 2, 2, 3))):
        image = change(image, rng)
    return encode(image, "JPEG", rng.randint(40, 95))


def true_copy(data: bytes, rng: random.Random, facing: bool) -> bytes:
    """A cut, a small shift of colours and a mirror image that leave a caption true."""
    image = cropped(opened(data), rng, 0.12)
    image = brightened(image, rng.uniform(0.8, 1.2))
    image = contrasted(image, rng.uniform(0.8, 1.2))
    if not facing and rng.random() < 0.5:
        image = ImageOps.mirror(image)
    return encode(image)


FACING_SETS = ("emoji", "synthetic", "ui_docs", "charts")


def facing(item: Item) -> bool:
    """Whether the mirror image would be another image or belie a text: arrows, screens, "left" and "right"."""
    words = {word.strip(".,").lower() for text in item.texts for word in text.split()}
    return item.set in FACING_SETS or bool(words & {"left", "right"})


TRUE_VIEWS, VIEWS = 5, 8  # views of each training image; captions are true of the first five


def view(item: Item, number: int, seed: int) -> Pixels:
    """View 0 is the image as it is, 1 a mild copy, 2 to 4 ones that captions fit, the rest strong -> (224, 224, 3)."""
    data = item.load()
    rng = seeded(data, seed, number)
    if number == 1:
        data = mild_copy(data, rng)
    elif 2 <= number < TRUE_VIEWS:
        data = true_copy(data, rng, facing(item))
    elif number >= TRUE_VIEWS:
        data = strong_copy(data, rng, item.set in FACING_SETS)
    return pixels_of(data)


def copy_pixels(item: Item, kind: int) -> Pixels:
    """One mild copy of each kind, a function of the image alone -> uint8 (224, 224, 3)."""
    data = item.load()
    # The key of the first edition: its copies are measured anew.
    rng = random.Random(f"{kind}-{hashlib.sha256(data).hexdigest()}")
    return pixels_of(mild_copy(data, rng, kind))
