"""Scores measured against their own distribution."""

from typing import Any

import numpy as np
import numpy.typing as npt

# What makes a median absolute deviation, or a mean one, the standard deviation of a normal distribution.
_MEDIAN_TO_SIGMA = 1.4826
_MEAN_TO_SIGMA = 1.2533


def robust_z(raw: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """(n,) -> float64 (n,), robust z-scores: distance from the median in robust standard deviations.

    Iglewicz & Hoaglin 1993. Raw scores shrink as an index grows and differ between models; these are measured against
    the index's own distribution, so that 3.5 is an outlier (their rule) in any. Where more than half of the scores are
    equal, the mean absolute deviation takes the place of the median one; all are 0 where all scores are equal.
    """
    if raw.size == 0:
        return np.empty(0)
    centred = raw.astype(np.float64) - float(np.median(raw))
    # Sorted, so that the sum does not depend on the order of the shards.
    deviations = np.sort(np.abs(centred))
    sigma = _MEDIAN_TO_SIGMA * np.median(deviations) or _MEAN_TO_SIGMA * deviations.mean()
    z: npt.NDArray[np.float64] = centred / (sigma or 1.0)
    return z
