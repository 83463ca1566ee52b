"""All pairs of images at or above a cosine, without an n x n matrix."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.screen import Screen, heads, whole
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines

# Side of a tile of products: 1024 x 1024 float32 is 4 MB, which stays in a core's cache while it is looked through.
_TILE_ROWS = 1024
# Below this, finding the rotation of a screen costs more than it saves.
_SCREENED_ROWS = 8192
# Pairs finished at once: two gathers of 4,096 x 512 float32 are 16 MB.
_FINISHED_PAIRS = 4096


@dataclass(frozen=True, slots=True)
class Pairs:
    """left, right: int64 (m,), row numbers, left < right. scores: float32 (m,), their cosines."""

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.left)

    @classmethod
    def concatenate(cls, parts: "list[Pairs]") -> Self:
        """The pairs of all parts, by left row, then right."""
        empty = np.empty(0, np.int64)
        left = np.concatenate([empty, *(part.left for part in parts)])
        right = np.concatenate([empty, *(part.right for part in parts)])
        scores = np.concatenate([empty.astype(np.float32), *(part.scores for part in parts)])
        order = np.lexsort((right, left))
        return cls(left[order], right[order], scores[order])

    @classmethod
    def union(cls, one: "Pairs", other: "Pairs") -> Self:
        """The pairs of either, each once."""
        both = cls.concatenate([one, other])
        new = np.ones(len(both), dtype=np.bool_)
        new[1:] = (np.diff(both.left) != 0) | (np.diff(both.right) != 0)
        return cls(both.left[new], both.right[new], both.scores[new])

    def take(self, chosen: npt.NDArray[np.bool_]) -> "Pairs":
        return Pairs(self.left[chosen], self.right[chosen], self.scores[chosen])


def pairs_at_least(index: IndexReader, threshold: float) -> Pairs:
    """Every pair whose cosine, as a float32, is at least float32(threshold), by left row, then right.

    A screen of few columns bounds every cosine from above (see `screen.heads`); the pairs that it cannot rule out are
    finished by `cosines`, which alone decides.
    """
    limit = np.float32(threshold)
    screen = heads(index, float(limit)) if len(index) > _SCREENED_ROWS else whole(index)

    def strip(top: int) -> Pairs:
        parts = []
        for left, right in _candidates(screen, limit, top):
            scores = cosines(index.vectors(left), index.vectors(right))
            same = scores >= limit
            parts.append(Pairs(left[same], right[same], scores[same]))
        return Pairs.concatenate(parts)

    tops = range(0, len(screen.rows), _TILE_ROWS)
    if len(tops) <= 1:
        return Pairs.concatenate([strip(top) for top in tops])
    from threadpoolctl import threadpool_limits

    # Products this small gain little from BLAS's own threads, and what follows them nothing.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        return Pairs.concatenate(list(pool.map(strip, tops)))


def _candidates(
    screen: Screen, limit: np.float32, top: int
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Row numbers (m,), (m,) of the pairs that may reach `limit`, a bounded number at a time: those of the tile of rows
    that begins at `top` with each other and all later ones."""
    rows, floor = screen.rows, np.float32(limit - screen.error)
    bounds = np.empty((_TILE_ROWS, _TILE_ROWS), dtype=np.float32)
    upper = rows[top : top + _TILE_ROWS]
    for start in range(top, len(rows), _TILE_ROWS):
        lower = rows[start : start + _TILE_ROWS]
        tile = bounds[: len(upper), : len(lower)]
        np.matmul(upper, lower.T, out=tile)
        if tile.max() < floor:
            continue
        # flatnonzero is several times as fast as nonzero of a matrix.
        left, right = np.divmod(np.flatnonzero(tile >= floor), len(lower))
        left, right = left + top, right + start
        once = left < right
        left, right = left[once], right[once]
        for cut in range(0, len(left), _FINISHED_PAIRS):
            yield left[cut : cut + _FINISHED_PAIRS], right[cut : cut + _FINISHED_PAIRS]
