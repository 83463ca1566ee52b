"""Exact top-k by cosine over the blocks of an index."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines, product_error

# Candidates for each wanted result when compressed vectors choose them and whole ones rank them.
RERANK = 10


@dataclass(frozen=True, slots=True)
class Hit:
    """row: in the index. path: as results show it. score: cosine similarity."""

    row: int
    path: str
    score: float


def top_k(index: IndexReader, queries: npt.NDArray[np.float32], k: int) -> list[list[Hit]]:
    """The k nearest images of each query (q, d), best first, equal scores by path; all images if there are fewer.

    One pass over the index serves all queries: BLAS finds every row that could be among the best, `cosines` decides.
    Where an index keeps whole vectors beside compressed ones, the pass runs over the compressed ones, and the whole
    ones of RERANK times k candidates decide.
    """
    scanned, exact = index.scan_queries(queries), index.exact_queries(queries)
    wanted = RERANK * k if index.reranks else k
    margins = 2 * product_error(scanned.shape[1]) * np.linalg.norm(scanned, axis=1)
    candidates = [_Candidates(wanted, float(margin)) for margin in margins]
    for start, block in index.blocks():
        for candidate, scores in zip(candidates, scanned @ block.T, strict=True):
            candidate.offer(start, scores)
    return [_decide(index, query, candidate.rows, k) for query, candidate in zip(exact, candidates, strict=True)]


class _Candidates:
    """Rows whose rough score is within `margin` of the k-th best so far."""

    def __init__(self, k: int, margin: float) -> None:
        self.rows = np.empty(0, dtype=np.int64)
        self._scores = np.empty(0, dtype=np.float32)
        self._k = k
        self._margin = margin
        self._floor = -np.inf

    def offer(self, start: int, scores: npt.NDArray[np.float32]) -> None:
        near = np.flatnonzero(scores >= self._floor)
        if near.size == 0:
            return
        self.rows = np.concatenate([self.rows, start + near])
        self._scores = np.concatenate([self._scores, scores[near]])
        if self.rows.size > self._k:
            kth_best = np.partition(self._scores, -self._k)[-self._k]
            self._floor = float(kth_best) - self._margin
            keep = self._scores >= self._floor
            self.rows, self._scores = self.rows[keep], self._scores[keep]


def _decide(index: IndexReader, query: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], k: int) -> list[Hit]:
    scores = cosines(np.broadcast_to(query, (rows.size, query.size)), index.vectors(rows))
    hits = [
        Hit(row, path, score)
        for row, path, score in zip(rows.tolist(), index.paths(rows), scores.tolist(), strict=True)
    ]
    return sorted(hits, key=lambda hit: (-hit.score, hit.path))[:k]


def percentiles(
    index: IndexReader, query: npt.NDArray[np.float32], scores: npt.NDArray[np.float32]
) -> npt.NDArray[np.float64]:
    """For each score, the share of all images (0..100) whose cosine to the query is not above it."""
    at_most = np.zeros(scores.size, dtype=np.int64)
    (query,) = index.exact_queries(query[None])
    for _, block in index.exact_blocks():
        all_scores = np.sort(cosines(np.broadcast_to(query, block.shape), block))
        at_most += np.searchsorted(all_scores, scores, side="right")
    return 100.0 * at_most / len(index)
