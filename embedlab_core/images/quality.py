"""Quality of an image: raw scores, and the flags that thresholds make of them."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

# A corrupted file has no pixels to flag: it is listed as skipped.
QualityFlag = Literal["blank", "low-entropy", "dark", "overexposed", "blurred", "tiny", "extreme-aspect", "truncated"]
FLAGS: tuple[QualityFlag, ...] = get_args(QualityFlag)


# Shares of the pixels that are darker than the shadows, and than the highlights.
_TAILS = (0.001, 0.999)


class QualityScores(NamedTuple):
    """brightness: mean luma, 0..255. contrast: its standard deviation. entropy: of its histogram, bits, 0..8.
    sharpness: variance of the Laplacian (Pech-Pacheco et al. 2000). shadows, highlights: the luma that one pixel in
    1000 is below, and above. missing: the share of the picture that its file has lost, 0..1.

    NaN: an older index did not measure it.
    """

    brightness: float
    contrast: float
    entropy: float
    sharpness: float
    shadows: float = math.nan
    highlights: float = math.nan
    missing: float = math.nan


@dataclass(frozen=True, slots=True)
class Quality:
    """What is measured of an image. scores: at the size that the model sees. width, height: of the upright original,
    pixels."""

    scores: QualityScores
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class QualityThresholds:
    """Where a score becomes a flag. Scores at a threshold are not flagged.

    blank_contrast: grey levels. Noise of a camera or a JPEG in an even area stays below 2 of 255.
    low_entropy: bits. Below half a bit nearly all pixels share one level: a dot on a plain ground. Icons have 0.7.
    dark_brightness: mean luma. Below 16 most of the picture is the black of video; night skies with a subject have 20.
    dark_highlights: luma. A picture that is dark in the mean has a bright subject, a cut-out on black, if one pixel in
    1000 is brighter than this.
    overexposed_brightness, overexposed_contrast: mean luma and grey levels. A page of text is as bright, but not as
    flat: it has 16 or more.
    overexposed_shadows: luma. Print on white, a receipt with a few lines, has one pixel in 1000 darker than this; a
    picture that is washed out has none.
    blurred_sharpness: variance of the Laplacian at the model's size. Photographs in focus have hundreds there, soft
    close-ups 25; a blur that the shrinking does not hide leaves less than 20.
    tiny_side: pixels of the shorter side. Below 32 a model sees mostly what the enlargement made up.
    extreme_aspect: longer side by shorter. Beyond 4 a square input shows less than a quarter of it, or squashes it
    fourfold.
    missing: any share. What is found missing was proven by the file, not estimated.
    """

    blank_contrast: float = 2.0
    low_entropy: float = 0.5
    dark_brightness: float = 16.0
    dark_highlights: float = 96.0
    overexposed_brightness: float = 240.0
    overexposed_contrast: float = 12.0
    overexposed_shadows: float = 176.0
    blurred_sharpness: float = 20.0
    tiny_side: int = 32
    extreme_aspect: float = 4.0
    missing: float = 0.0


THRESHOLDS = QualityThresholds()


def quality_flags(quality: Quality, limits: QualityThresholds = THRESHOLDS) -> tuple[QualityFlag, ...]:
    """The flags that an image deserves, in one fixed order.

    A blank image is not called blurred: it has nothing that could be sharp.
    """
    scores, short, long = quality.scores, *sorted((quality.width, quality.height))
    blank = scores.contrast < limits.blank_contrast
    bright = scores.brightness > limits.overexposed_brightness and scores.contrast < limits.overexposed_contrast
    # A comparison with NaN is false: what an older index did not measure excuses nothing.
    is_lit, is_inked = scores.highlights > limits.dark_highlights, scores.shadows < limits.overexposed_shadows
    found: dict[QualityFlag, bool] = {
        "blank": blank,
        "low-entropy": scores.entropy < limits.low_entropy,
        "dark": scores.brightness < limits.dark_brightness and not is_lit,
        "overexposed": bright and not is_inked,
        "blurred": scores.sharpness < limits.blurred_sharpness and not blank,
        "tiny": short < limits.tiny_side,
        "extreme-aspect": long > limits.extreme_aspect * short,
        "truncated": scores.missing > limits.missing,
    }
    return tuple(flag for flag, is_so in found.items() if is_so)


def quality_scores(pixels: npt.NDArray[np.uint8], missing: float = 0.0) -> QualityScores:
    """Scores of uint8 (h, w, 3) RGB pixels, at the size the model sees. missing: as decoding found it."""
    gray = Image.fromarray(pixels).convert("L")
    counts = np.asarray(gray.histogram(), dtype=np.float64)
    share = counts[counts > 0] / counts.sum()
    levels = np.searchsorted(np.cumsum(counts), np.array(_TAILS) * counts.sum())
    luma = np.asarray(gray, dtype=np.float32)
    centre = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * centre
    return QualityScores(
        brightness=float(luma.mean()),
        contrast=float(luma.std()),
        entropy=float(-(share * np.log2(share)).sum()),
        sharpness=float(laplacian.var()),
        shadows=float(levels[0]),
        highlights=float(levels[1]),
        missing=missing,
    )
