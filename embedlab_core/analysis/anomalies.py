"""Anomalies: images far from their nearest neighbours."""

import numpy as np
import numpy.typing as npt

from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines

_BLOCK_ROWS = 2048

# BLAS scores differ in their last bits with a row's place in a block, so that near ties change places: this many more
# neighbours than asked for are looked at again with exact cosines.
_SPARE = 8


def knn_distances(index: IndexReader, labels: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.float64]:
    """float64 (n,): each image's mean cosine distance to its k nearest neighbours outside its own duplicate group.

    The k-NN outlier score of Ramaswamy et al. 2000 in the mean form of Angiulli & Pizzuti 2002. Copies of an oddball
    are left out of each other's neighbours, else a pair of identical oddballs would look at home. Images with fewer
    than k neighbours use those there are; an image with none has distance 0, since there is nothing it is far from.
    """
    distances = np.zeros(len(index))
    for start, block in index.exact_blocks(_BLOCK_ROWS):
        rows = np.arange(start, start + len(block))
        neighbours, valid = _nearest(index, block, labels, labels[rows], k + _SPARE)
        scores = cosines(np.repeat(block, neighbours.shape[1], axis=0), index.vectors(neighbours.ravel()))
        spread = np.where(valid, 1.0 - scores.reshape(neighbours.shape).astype(np.float64), np.inf)
        nearest = np.sort(spread, axis=1)[:, :k]
        counted = np.isfinite(nearest)
        distances[rows] = nearest.sum(axis=1, where=counted) / np.maximum(counted.sum(axis=1), 1)
    return distances


def _nearest(
    index: IndexReader,
    queries: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    own: npt.NDArray[np.int64],
    k: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Row numbers (q, <=k) of the nearest images of another group, and which of them are real."""
    best = np.zeros((len(queries), 0), dtype=np.int64)
    best_scores = np.zeros((len(queries), 0), dtype=np.float32)
    for start, block in index.exact_blocks(_BLOCK_ROWS):
        rows = np.arange(start, start + len(block))
        scores = queries @ block.T
        scores[own[:, None] == labels[rows][None, :]] = -np.inf
        best = np.concatenate([best, np.broadcast_to(rows, scores.shape)], axis=1)
        best_scores = np.concatenate([best_scores, scores], axis=1)
        if best.shape[1] > k:
            keep = np.argpartition(best_scores, -k, axis=1)[:, -k:]
            best, best_scores = np.take_along_axis(best, keep, 1), np.take_along_axis(best_scores, keep, 1)
    return best, np.isfinite(best_scores)
