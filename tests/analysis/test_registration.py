"""Pictures that can be laid over each other are told from those that cannot."""

import math
from functools import cache

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from embedlab_core.analysis.registration import SIDE, Gray, registration
from embedlab_core.images.decode import decode_picture
from tests.support import ASSETS

PHOTOS = sorted(path.name for path in (ASSETS / "images").glob("*.jpg"))[:12:3]
COPIES = {
    "smaller": lambda image: image.resize((image.width // 3, image.height // 3)),
    "squeezed": lambda image: image.resize((image.width, image.height // 2)),
    "mirrored": ImageOps.mirror,
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "gray": ImageOps.grayscale,
    "cropped": lambda image: ImageOps.crop(image, image.width // 12),
    "bordered": lambda image: ImageOps.expand(image, image.width // 12, "white"),
}


def gray(image: Image.Image) -> Gray:
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)


@cache
def photo(name: str) -> Image.Image:
    return decode_picture((ASSETS / "images" / name).read_bytes(), 400)


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("name", PHOTOS)
def test_a_copy_lies_over_its_original_in_either_order(name: str, kind: str) -> None:
    original, copy = gray(photo(name)), gray(COPIES[kind](photo(name)))
    assert registration(original, copy) >= 0.75
    assert registration(copy, original) >= 0.75


def test_a_picture_lies_over_itself_exactly() -> None:
    assert registration(gray(photo(PHOTOS[0])), gray(photo(PHOTOS[0]))) == pytest.approx(1, abs=1e-5)


def test_different_photographs_do_not() -> None:
    found = [registration(gray(photo(one)), gray(photo(other))) for one in PHOTOS for other in PHOTOS if one < other]
    assert max(found) < 0.4


def test_a_part_that_differs_is_noticed_where_all_else_is_equal() -> None:
    """Two forms with other words in them are not one picture."""
    original, changed = gray(photo(PHOTOS[0])), gray(photo(PHOTOS[0]))
    changed[: SIDE // 2, : SIDE // 2] = gray(photo(PHOTOS[1]))[: SIDE // 2, : SIDE // 2]
    assert registration(original, changed) < 0.5


def test_buttons_of_one_style_with_other_words_are_two_pictures() -> None:
    """Their edges and shadows agree wherever they lie."""
    assert registration(gray(photo("021.png")), gray(photo("084.png"))) < 0.5


@pytest.mark.parametrize("level", [0, 255])
def test_nothing_can_be_said_of_a_blank_picture(level: int) -> None:
    blank = np.full((SIDE, SIDE), level, dtype=np.float32)
    assert math.isnan(registration(blank, gray(photo(PHOTOS[0]))))
    assert math.isnan(registration(blank, blank))
