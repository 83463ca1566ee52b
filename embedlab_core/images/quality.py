"""Raw quality scores of an image. What counts as bad is decided by whoever reads them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image


class QualityScores(NamedTuple):
    """brightness: mean luma, 0..255. contrast: its standard deviation. entropy: of its histogram, bits, 0..8.
    sharpness: variance of the Laplacian (Pech-Pacheco et al. 2000)."""

    brightness: float
    contrast: float
    entropy: float
    sharpness: float


def quality_scores(pixels: npt.NDArray[np.uint8]) -> QualityScores:
    """Scores of uint8 (h, w, 3) RGB pixels, at the size the model sees."""
    gray = Image.fromarray(pixels).convert("L")
    counts = np.asarray(gray.histogram(), dtype=np.float64)
    share = counts[counts > 0] / counts.sum()
    luma = np.asarray(gray, dtype=np.float32)
    centre = luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * centre
    return QualityScores(
        brightness=float(luma.mean()),
        contrast=float(luma.std()),
        entropy=float(-(share * np.log2(share)).sum()),
        sharpness=float(laplacian.var()),
    )
