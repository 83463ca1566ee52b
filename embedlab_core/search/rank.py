"""Top-k by cosine over the blocks of an index."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from embedlab_core.index.reader import BLOCK_ROWS, IndexReader
from embedlab_core.packages import needed_for
from embedlab_core.search.filters import Filter
from embedlab_core.search.similarity import cosines, product_error

# Candidates for each wanted result when compressed vectors choose them and whole ones rank them.
RERANK = 10
_CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Hit:
    """row: in the index. path: as results show it. score: cosine similarity."""

    row: int
    path: str
    score: float


def top_k(
    index: IndexReader, queries: npt.NDArray[np.float32], k: int, filters: Sequence[Filter] = ()
) -> list[list[Hit]]:
    """The k nearest images of each query (q, d), best first, equal scores by path; all images if there are fewer.

    filters: one a query, or none. One pass over the index serves all queries: float32 products find every row that
    could be among the best, `cosines` decides. Where an index keeps whole vectors beside compressed ones, the pass runs
    over the compressed ones, and the whole ones of RERANK times k candidates decide.
    """
    candidates = exact_candidates(index, queries, k, filters)
    return [decide(index, query, rows, k) for query, rows in zip(index.exact_queries(queries), candidates, strict=True)]


def exact_candidates(
    index: IndexReader, queries: npt.NDArray[np.float32], k: int, filters: Sequence[Filter] = ()
) -> list[npt.NDArray[np.int64]]:
    """For each query the rows that hold its k nearest images that its filter lets through.

    Raises IndexDamagedError if a score is no number.
    """
    scanned = index.scan_queries(queries)
    wanted = RERANK * k if index.reranks else k
    margins = 2 * product_error(scanned.shape[1]) * np.linalg.norm(scanned, axis=1)
    threads = min(_CORES, 1 + len(index) // BLOCK_ROWS)

    def scan(first: int) -> list[_Candidates]:
        candidates = [_Candidates(wanted, float(margin)) for margin in margins]
        floors = np.full(len(scanned), -np.inf, dtype=np.float32)
        for start, block in index.blocks(first=first, step=threads):
            scores = _products(scanned, block)
            for row_scores, query_filter in zip(scores, filters, strict=False):
                query_filter.apply(start, row_scores)
            best = scores.max(axis=1)
            if np.isnan(best).any():
                # It would rank nowhere, and be missed in silence.
                raise index.damaged_at(start + int(np.isnan(scores).any(axis=0).argmax()))
            # After the first blocks few queries find anything new in a block.
            for number in np.flatnonzero(best > floors):
                near = np.flatnonzero(scores[number] > floors[number])
                candidates[number].offer(start + near, scores[number, near])
                floors[number] = candidates[number].floor
        return candidates

    # BLAS's own threads would wait for each other at every block, and do nothing between the products.
    with _single_threaded_blas(len(scanned) > 1 and threads > 1), ThreadPoolExecutor(threads) as pool:
        found, *others = pool.map(scan, range(threads))
    for candidates in others:
        for candidate, other in zip(found, candidates, strict=True):
            candidate.offer(other.rows, other.scores)
    return [candidate.rows for candidate in found]


def _single_threaded_blas(wanted: bool) -> AbstractContextManager[object]:
    if not wanted:
        return nullcontext()
    with needed_for("searching in several threads"):
        from threadpoolctl import threadpool_limits

    return cast(AbstractContextManager[object], threadpool_limits(1, user_api="blas"))


def _products(queries: npt.NDArray[np.float32], block: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(q, b), within `product_error`; NaN, without a warning, for damaged vectors."""
    with np.errstate(invalid="ignore", over="ignore"):
        if len(queries) == 1:
            # einsum starts no threads, and needs nobody to tell it so.
            one: npt.NDArray[np.float32] = np.einsum("ij,j->i", block, queries[0])
            return one[None]
        return queries @ block.T


class _Candidates:
    """Rows whose rough score is within `margin` of the k-th best so far. What they are does not depend on the order in
    which rows are offered."""

    def __init__(self, k: int, margin: float) -> None:
        self.rows = np.empty(0, dtype=np.int64)
        self.scores = np.empty(0, dtype=np.float32)
        self.floor = np.float32(-np.inf)
        self._k = k
        self._margin = margin

    def offer(self, rows: npt.NDArray[np.int64], scores: npt.NDArray[np.float32]) -> None:
        self.rows = np.concatenate([self.rows, rows])
        self.scores = np.concatenate([self.scores, scores])
        if self.rows.size > self._k:
            kth_best = np.partition(self.scores, -self._k)[-self._k]
            # The next float32 below, since what lies exactly on the margin is still a candidate.
            self.floor = np.nextafter(np.float32(kth_best - self._margin), np.float32(-np.inf))
            keep = self.scores > self.floor
            self.rows, self.scores = self.rows[keep], self.scores[keep]


def decide(index: IndexReader, query: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], k: int) -> list[Hit]:
    """The k nearest among candidate rows to a query (d,) that `exact_queries` gave, by exact cosine.

    Raises IndexDamagedError if one of them is not of length 1: it would rank too high.
    """
    vectors = index.vectors(rows)
    index.require_unit(rows, vectors)
    scores = cosines(np.broadcast_to(query, (rows.size, query.size)), vectors)
    if rows.size > k:
        best = scores >= np.partition(scores, -k)[-k]
        rows, scores = rows[best], scores[best]
    hits = [
        Hit(row, path, score)
        for row, path, score in zip(rows.tolist(), index.paths(rows), scores.tolist(), strict=True)
    ]
    return sorted(hits, key=lambda hit: (-hit.score, hit.path))[:k]


def all_scores(index: IndexReader, query: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Cosines (n,) of every image with a query (d,) that `exact_queries` gave, within `product_error` of exact ones.

    Raises IndexDamagedError if one is no number.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        scores = np.concatenate([block @ query for _, block in index.exact_blocks()])
    if np.isnan(scores).any():
        raise index.damaged_at(int(np.isnan(scores).argmax()))
    return scores
