"""The cosine from which an image takes another for a near-duplicate."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.errors import DuplicatesError
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines

Threshold = float | Literal["adaptive"]

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
_BLOCK_ROWS = 2048


def limits_of(index: IndexReader, threshold: Threshold) -> npt.NDArray[np.float32]:
    """float32 (n,): each image's own limit. Two images are near-duplicates if their cosine reaches both limits.

    Raises DuplicatesError for a threshold outside (-1, 1].
    """
    if threshold == "adaptive":
        return adaptive_limits(index)
    if not -1 < threshold <= 1:
        raise DuplicatesError(f"threshold {threshold}: not a cosine to compare with; give a number in (-1, 1]")
    return np.full(len(index), threshold, dtype=np.float32)


def adaptive_limits(index: IndexReader) -> npt.NDArray[np.float32]:
    """Median + c * MAD of an image's cosines to its nearest neighbours, within bounds (Hampel's outlier rule, 1974).

    Where all images are alike, as forms or icons are, a duplicate must be nearer than where they are not.
    """
    limits = np.empty(len(index), dtype=np.float32)
    for start, block in index.exact_blocks(_BLOCK_ROWS):
        nearest = _nearest_scores(index, start, block).astype(np.float64)
        if not nearest.shape[1]:
            return np.full(len(index), _MOST_LIMIT, dtype=np.float32)
        median = np.median(nearest, axis=1)
        deviation = np.median(np.abs(nearest - median[:, None]), axis=1)
        raised = median + _DEVIATIONS * np.maximum(deviation, _LEAST_DEVIATION)
        limits[start : start + len(block)] = np.clip(raised, _LEAST_LIMIT, _MOST_LIMIT)
    return limits


def _nearest_scores(index: IndexReader, first: int, queries: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """float32 (q, <=k): cosines of the rows from `first` on to their nearest neighbours other than themselves.

    The neighbours are chosen by rough products and scored exactly: one left out for another differs from it only in the
    last bits, which no median of theirs shows.
    """
    scores = np.empty((len(queries), 0), np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    own = first + np.arange(len(queries))
    for start, block in index.exact_blocks(_BLOCK_ROWS):
        products = queries @ block.T
        inside = (own >= start) & (own < start + len(block))
        products[inside, own[inside] - start] = -np.inf
        places = np.broadcast_to(start + np.arange(len(block)), products.shape)
        scores, rows = np.concatenate([scores, products], axis=1), np.concatenate([rows, places], axis=1)
        if scores.shape[1] > _NEIGHBOURS:
            keep = np.argpartition(scores, -_NEIGHBOURS, axis=1)[:, -_NEIGHBOURS:]
            scores, rows = np.take_along_axis(scores, keep, 1), np.take_along_axis(rows, keep, 1)
    count = min(_NEIGHBOURS, len(index) - 1)
    keep = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    chosen = np.take_along_axis(rows, keep, 1).ravel()
    return cosines(np.repeat(queries, count, axis=0), index.vectors(chosen)).reshape(len(queries), count)
