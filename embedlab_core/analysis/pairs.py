"""All pairs of images at or above a cosine, without an n x n matrix."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Self

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.nodes import Nodes
from embedlab_core.analysis.screen import Screen, heads, whole
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines

_Numbers = npt.NDArray[np.int64]
# Of pairs (m,), (m,): bool (m,), which ones matter.
Wanted = Callable[[_Numbers, _Numbers], npt.NDArray[np.bool_]]

# Side of a tile of products: 1024 x 1024 float32 is 4 MB, which stays in a core's cache while it is looked through.
_TILE_ROWS = 1024
# Below this, finding the rotation of a screen costs more than it saves.
_SCREENED_ROWS = 8192
# Pairs finished at once: two gathers of 4,096 x 512 float32 are 16 MB.
FINISHED_PAIRS = 4096


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
    """Every pair whose cosine, as a float32, is at least float32(threshold), by left row, then right."""
    found: list[Pairs] = []
    each_pair_at_least(index, threshold, found.append)
    return Pairs.concatenate(found)


def each_pair_at_least(
    index: IndexReader,
    threshold: float,
    take: Callable[[Pairs], None],
    nodes: Nodes | None = None,
    wanted: Wanted | None = None,
) -> None:
    """Hand every pair whose cosine, as a float32, is at least float32(threshold) to `take`: at most FINISHED_PAIRS at a
    time, from one thread at a time, in any order.

    nodes: compare these instead of all images, and number the pairs by node. wanted: the pairs to look at at all.

    A screen of few columns bounds every cosine from above (see `screen.heads`); the pairs that it cannot rule out are
    finished by `cosines`, which alone decides.
    """
    rows = None if nodes is None else nodes.rows
    count = len(index) if rows is None else len(rows)
    limit, lock = np.float32(threshold), Lock()
    screen = heads(index, float(limit), rows) if count > _SCREENED_ROWS else whole(index, rows)

    def strip(top: int) -> None:
        for left, right in _candidates(screen, limit, top, wanted):
            ends = (left, right) if rows is None else (rows[left], rows[right])
            scores = cosines(index.vectors(ends[0]), index.vectors(ends[1]))
            same = scores >= limit
            with lock:
                take(Pairs(left[same], right[same], scores[same]))

    tops = range(0, len(screen.rows), _TILE_ROWS)
    if len(tops) <= 1:
        for top in tops:
            strip(top)
        return
    from threadpoolctl import threadpool_limits

    # Products this small gain little from BLAS's own threads, and what follows them nothing.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(strip, tops):
            pass


def _candidates(
    screen: Screen, limit: np.float32, top: int, wanted: Wanted | None
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Places (m,), (m,) of the pairs that may reach `limit`, a bounded number at a time: those of the tile of rows that
    begins at `top` with each other and all later ones."""
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
        yield from in_parts(left[once], right[once], wanted)


def in_parts(left: _Numbers, right: _Numbers, wanted: Wanted | None = None) -> Iterator[tuple[_Numbers, _Numbers]]:
    """The wanted ones of pairs (m,), (m,), at most FINISHED_PAIRS at a time. Each part is asked for anew: what came of
    the one before may have made the rest needless."""
    for cut in range(0, len(left), FINISHED_PAIRS):
        one, other = left[cut : cut + FINISHED_PAIRS], right[cut : cut + FINISHED_PAIRS]
        if wanted is not None:
            chosen = wanted(one, other)
            one, other = one[chosen], other[chosen]
        if len(one):
            yield one, other
