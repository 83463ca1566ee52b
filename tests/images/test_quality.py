"""Quality scores against values worked out by hand."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageFilter

from embedlab_core.images.quality import (
    Quality,
    QualityFlag,
    QualityScores,
    QualityThresholds,
    quality_flags,
    quality_scores,
)
from tests.support import picture


def gray(levels: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    return np.repeat(np.asarray(levels, np.uint8)[:, :, None], 3, axis=2)


def test_a_flat_image_has_only_brightness() -> None:
    assert quality_scores(gray(np.full((8, 8), 90))) == (90, 0, 0, 0, 90, 90, 0)


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


def quality(**values: float) -> Quality:
    """An image without a flag, but for what is given."""
    fine = {"brightness": 120, "contrast": 50, "entropy": 7, "sharpness": 500, "width": 640, "height": 480} | values
    width, height = int(fine.pop("width")), int(fine.pop("height"))
    return Quality(QualityScores(**fine), width, height)


@pytest.mark.parametrize(
    ("at", "beyond", "flag"),
    [
        ({"contrast": 2.0}, {"contrast": 1.99}, "blank"),
        ({"entropy": 0.5}, {"entropy": 0.49}, "low-entropy"),
        ({"brightness": 16}, {"brightness": 15.9}, "dark"),
        ({"brightness": 240, "contrast": 11}, {"brightness": 240.1, "contrast": 11}, "overexposed"),
        ({"brightness": 250, "contrast": 12}, {"brightness": 250, "contrast": 11.9}, "overexposed"),
        ({"sharpness": 20}, {"sharpness": 19.9}, "blurred"),
        ({"height": 32, "width": 40}, {"height": 31, "width": 40}, "tiny"),
        ({"width": 400, "height": 100}, {"width": 401, "height": 100}, "extreme-aspect"),
        ({"width": 100, "height": 400}, {"width": 100, "height": 401}, "extreme-aspect"),
    ],
)
def test_a_flag_begins_beyond_its_threshold(at: dict[str, float], beyond: dict[str, float], flag: QualityFlag) -> None:
    assert quality_flags(quality(**at)) == ()
    assert quality_flags(quality(**beyond)) == (flag,)


def test_a_flat_image_is_blank_and_of_low_entropy_but_not_blurred() -> None:
    assert quality_flags(quality(contrast=0, entropy=0, sharpness=0)) == ("blank", "low-entropy")


def test_thresholds_can_be_others() -> None:
    assert quality_flags(quality(brightness=100), QualityThresholds(dark_brightness=110)) == ("dark",)


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ({"brightness": 5, "highlights": 96}, ("dark",)),
        ({"brightness": 5, "highlights": 97}, ()),
        ({"brightness": 250, "contrast": 8, "shadows": 176}, ("overexposed",)),
        ({"brightness": 250, "contrast": 8, "shadows": 175}, ()),
        ({"missing": 0.0}, ()),
        ({"missing": 0.001}, ("truncated",)),
    ],
)
def test_a_bright_subject_is_not_dark_print_not_overexposed_and_any_loss_is_truncated(
    values: dict[str, float], flags: tuple[QualityFlag, ...]
) -> None:
    assert quality_flags(quality(**values)) == flags


def test_cut_outs_on_black_and_sparse_receipts_are_not_flagged_and_underexposure_is() -> None:
    noise = np.random.default_rng(0)
    cut_out = np.zeros((224, 224))
    cut_out[100:120, 100:120] = 200
    receipt = np.full((224, 224), 252)
    receipt[20:200:30, 40:90:4] = 60
    night = noise.normal(6, 3, (224, 224)).clip(0, 60)
    washed = noise.normal(250, 4, (224, 224)).clip(200, 255)
    flags = [quality_flags(Quality(quality_scores(gray(one)), 640, 480)) for one in (cut_out, receipt, night, washed)]
    assert not {"dark", "overexposed"} & {*flags[0], *flags[1]}
    assert "dark" in flags[2]
    assert "overexposed" in flags[3]
