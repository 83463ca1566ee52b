"""Anomalies: images far from their nearest neighbours, or in thinner company than those."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines

AnomalyMethod = Literal["knn", "lof", "kde"]
Distances = npt.NDArray[np.float64]

# On the mixes of benchmarks/anomalies.py within 0.002 of the best mean AUROC, and the best on assets/.
DEFAULT_METHOD: AnomalyMethod = "knn"

# Robust z-score above which an image is an outlier (Iglewicz and Hoaglin 1993); those below are merely the most
# isolated there are.
OUTLIER = 3.5

_BLOCK_ROWS = 2048

# BLAS scores differ in their last bits with a row's place in a block, so that near ties change places: this many more
# neighbours than asked for are looked at again with exact cosines.
SPARE = 8

# Images that are looked at again in one pass over the index.
_LOOKED_AT = 128

# Distances below this are rounding: float32 cosines of equal images.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest images of every image, outside its own duplicate group.

    rows: int64 (n, m), row numbers. distances: float64 (n, m), cosine distances, ascending, infinite where there is no
    neighbour. m is up to `SPARE` more than `k`, so that ties with the k-th are there too.
    """

    k: int
    rows: npt.NDArray[np.int64]
    distances: Distances

    @property
    def reach(self) -> Distances:
        """float64 (n,): the distance of the k-th neighbour, or of the last there is; 0 for an image without any."""
        nearest = self.distances[:, : self.k]
        reach: Distances = np.where(np.isfinite(nearest), nearest, 0.0).max(axis=1)
        return reach


def nearest_neighbours(index: IndexReader, labels: npt.NDArray[np.int64], k: int) -> Neighbours:
    """The k nearest images of each image with another label, in one pass of bounded memory.

    Copies of an oddball are left out of each other's neighbours, else a pair of identical oddballs would look at home.
    """
    width = min(k + SPARE, max(len(index), 1))
    rows = np.zeros((len(index), width), dtype=np.int64)
    distances = np.full((len(index), width), np.inf)
    for start, block in index.exact_blocks(_BLOCK_ROWS):
        own = np.arange(start, start + len(block))
        near, spread = nearest_of(index, own, block, labels, width)
        rows[own, : near.shape[1]] = near
        distances[own, : near.shape[1]] = spread
    return Neighbours(k, rows, distances)


def nearest_of(
    index: IndexReader,
    own: npt.NDArray[np.int64],
    vectors: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    count: int,
) -> tuple[npt.NDArray[np.int64], Distances]:
    """Row numbers (q, m) of up to `count` images nearest to the images `own` (q,), whose vectors (q, d) these are, with
    other labels; and the distances (q, m), ascending, infinite where there is no such image."""
    near, valid = _nearest(index, vectors, labels, labels[own], count)
    scores = cosines(np.repeat(vectors, near.shape[1], axis=0), index.vectors(near.ravel()))
    spread = np.where(valid, 1.0 - scores.reshape(near.shape).astype(np.float64), np.inf)
    order = np.argsort(spread, axis=1, kind="stable")
    return np.take_along_axis(near, order, 1), np.take_along_axis(spread, order, 1)


def raw_scores(neighbours: Neighbours, method: AnomalyMethod) -> Distances:
    """float64 (n,): how isolated each image is on the method's own scale, more is odder.

    An image with fewer than k neighbours is judged by those there are; one without any is not odd, since there is
    nothing that it is far from.
    """
    return _METHODS[method](neighbours)


def knn_distance(neighbours: Neighbours) -> Distances:
    """Mean cosine distance to the k nearest neighbours: the outlier score of Ramaswamy et al. 2000 in the mean form of
    Angiulli & Pizzuti 2002."""
    nearest = neighbours.distances[:, : neighbours.k]
    counted = np.isfinite(nearest)
    mean: Distances = nearest.sum(axis=1, where=counted) / np.maximum(counted.sum(axis=1), 1)
    return mean


def with_exact_top(
    index: IndexReader, labels: npt.NDArray[np.int64], neighbours: Neighbours, raw: Distances, top: int
) -> Distances:
    """knn distances raw (n,) of approximate neighbours, with those of the `top` most isolated images exact.

    Neighbours that were missed are nearer than those found, so an image is at most as isolated as it seems: the images
    are looked at again from the most isolated on, until the next cannot be among the first. That does not hold where
    fewer than k were found, so those are looked at in any case.
    """
    exact = raw.copy()
    full: npt.NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(neighbours.distances[:, : neighbours.k]), axis=1)
    order = np.lexsort((-raw, full))
    seen, short = 0, int((~full).sum())
    while seen < len(order):
        done = order[:seen]
        enough = seen >= max(top, short)
        if enough and np.partition(exact[done], -top)[-top] > raw[order[seen]]:
            break
        rows = order[seen : seen + _LOOKED_AT]
        found = nearest_of(index, rows, index.vectors(rows), labels, neighbours.k + SPARE)
        exact[rows] = knn_distance(Neighbours(neighbours.k, *found))
        seen += len(rows)
    return exact


def local_outlier_factor(neighbours: Neighbours) -> Distances:
    """How much thinner an image's surroundings are than its neighbours' own; about 1 inside a cluster of any density.

    Breunig et al. 2000, where the neighbourhood holds every image as near as the k-th.
    """
    reach = neighbours.reach
    inside = neighbours.distances <= reach[:, None]
    reachability = np.maximum(neighbours.distances, reach[neighbours.rows])
    density = 1.0 / np.maximum(_mean(reachability, inside), _ROUNDING)
    alone: npt.NDArray[np.bool_] = np.logical_not(inside.any(axis=1))
    # An image without neighbours has no density that others could be held against.
    compared = inside & ~alone[neighbours.rows]
    return np.where(compared.any(axis=1), _mean(density[neighbours.rows], compared) / density, 1.0)


def kernel_density(neighbours: Neighbours) -> Distances:
    """Minus the logarithm of the density at an image, by a von Mises-Fisher kernel over its k nearest neighbours.

    Hall, Watson & Cabrera 1987; the bandwidth is the median distance of the k-th neighbour, so it follows the index.
    """
    nearest = neighbours.distances[:, : neighbours.k]
    counted = np.isfinite(nearest)
    bandwidth = max(float(np.median(neighbours.reach)) if len(nearest) else 0.0, _ROUNDING)
    exponents = np.where(counted, -nearest / bandwidth, -np.inf)
    alone = ~counted.any(axis=1)
    # The sum is taken relative to its largest term: exp() of a far oddball alone would be 0.
    largest = np.where(alone, 0.0, exponents[:, 0])
    kernels = np.exp(exponents - largest[:, None]).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return np.where(alone, 0.0, -(largest + np.log(np.where(alone, 1.0, kernels))))


_METHODS: dict[AnomalyMethod, Callable[[Neighbours], Distances]] = {
    "knn": knn_distance,
    "lof": local_outlier_factor,
    "kde": kernel_density,
}


def _mean(values: Distances, inside: npt.NDArray[np.bool_]) -> Distances:
    """Row means of what is inside; 0 for rows where nothing is. Sorted first: ties come in any order."""
    ordered = np.sort(np.where(inside, values, 0.0), axis=1)
    mean: Distances = ordered.sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    return mean


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
