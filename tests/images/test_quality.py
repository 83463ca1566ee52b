"""Quality scores against values worked out by hand."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter

from embedlab_core.images.quality import quality_scores
from tests.support import picture


def gray(levels: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    return np.repeat(np.asarray(levels, np.uint8)[:, :, None], 3, axis=2)


def test_a_flat_image_has_only_brightness() -> None:
    assert quality_scores(gray(np.full((8, 8), 90))) == (90, 0, 0, 0)


def test_a_checkerboard_has_one_bit_of_entropy_and_the_sharpness_of_its_edges() -> None:
    board = np.indices((8, 8)).sum(axis=0) % 2 * 200
    scores = quality_scores(gray(board))
    assert scores.brightness == 100
    assert scores.contrast == 100
    assert scores.entropy == pytest.approx(1)
    # Every Laplacian is +800 or -800, half of each.
    assert scores.sharpness == pytest.approx(800**2)


def test_every_level_once_has_eight_bits_of_entropy() -> None:
    assert quality_scores(gray(np.arange(256).reshape(16, 16))).entropy == pytest.approx(8)


def test_luma_weighs_green_most() -> None:
    values = [quality_scores(np.full((4, 4, 3), colour, np.uint8)).brightness for colour in np.eye(3) * 255]
    assert values == pytest.approx([76, 150, 29], abs=1)


def test_blur_lowers_sharpness() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8))
    sharp = [quality_scores(np.asarray(image)).sharpness for image in (noise, noise.filter(ImageFilter.BoxBlur(2)))]
    assert sharp[1] < sharp[0] / 10
    assert quality_scores(np.asarray(picture(1, (64, 64)))).sharpness < sharp[1]
