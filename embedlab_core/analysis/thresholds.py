"""The cosine from which an image takes another for a near-duplicate."""

import logging
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.anomalies import nearest_neighbours
from embedlab_core.analysis.calibration import load_calibration
from embedlab_core.analysis.near import Near
from embedlab_core.errors import DuplicatesError
from embedlab_core.index.reader import IndexReader

log = logging.getLogger(__name__)

Threshold = float | Literal["auto", "adaptive"]

# Neighbours that tell how dense the surroundings of an image are. More than the copies that an image tends to have:
# the median and the MAD then stay those of the others.
_NEIGHBOURS = 32
# Median absolute deviations above the median from which a neighbour is too near to be merely of the same kind.
_DEVIATIONS = 8.0
# A domain may be so even that its deviations vanish, or so loose that the rule would take in strangers.
_LEAST_DEVIATION = 0.005
_LEAST_LIMIT = 0.7
# Copies, which differ in rounding and compression, are found in the densest domain.
_MOST_LIMIT = 0.995


def limits_of(index: IndexReader, threshold: Threshold, near: Near | None = None) -> npt.NDArray[np.float32]:
    """float32 (n,): each image's own limit. Two images are near-duplicates if their cosine reaches both limits.

    Raises DuplicatesError for a threshold outside (-1, 1], and for "auto" if there is no calibration that fits.
    """
    given = threshold != "auto"
    if threshold == "auto":
        threshold = _calibrated(index)
    if threshold == "adaptive":
        return adaptive_limits(index, near)
    if not -1 < threshold <= 1:
        raise DuplicatesError(f"threshold {threshold}: not a cosine to compare with; give a number in (-1, 1]")
    if given and index.projection is not None and not index.reranks:
        log.warning(
            "%s: in a store of %s all images are more alike than their model says, so %g finds more than it should; "
            "calibrate and use auto, or embed with --store %s+full",
            index.directory, index.manifest.store, threshold, index.manifest.store,
        )  # fmt: skip
    return np.full(len(index), threshold, dtype=np.float32)


def _calibrated(index: IndexReader) -> float:
    calibration = load_calibration(index)
    if calibration is None:
        raise DuplicatesError(
            f"{index.directory}: not calibrated yet; run: embedlab calibrate --index {index.directory}"
        )
    return calibration.threshold.value


def adaptive_limits(index: IndexReader, near: Near | None = None) -> npt.NDArray[np.float32]:
    """Median + c * MAD of an image's cosines to its nearest neighbours, within bounds (Hampel's outlier rule, 1974).

    Where all images are alike, as forms or icons are, a duplicate must be nearer than where they are not.
    """
    count = min(_NEIGHBOURS, len(index) - 1)
    if count < 1:
        return np.full(len(index), _MOST_LIMIT, dtype=np.float32)
    # Each image is a group of its own: all others are its neighbours.
    alone = np.arange(len(index))
    found = near.neighbours(alone, count) if near else nearest_neighbours(index, alone, count)
    # As far as can be where an approximate search found nothing.
    nearest = np.minimum(found.distances[:, :count], 2.0)
    median = np.median(nearest, axis=1)
    deviation = np.median(np.abs(nearest - median[:, None]), axis=1)
    raised = (1.0 - median) + _DEVIATIONS * np.maximum(deviation, _LEAST_DEVIATION)
    limits: npt.NDArray[np.float32] = np.clip(raised, _LEAST_LIMIT, _MOST_LIMIT).astype(np.float32)
    return limits
