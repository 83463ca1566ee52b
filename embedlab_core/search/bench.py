"""Exact against approximate search on an index's own images."""

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.errors import QueryError
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.ann import FILE, LEAST_ROWS, AnnIndex
from embedlab_core.search.rank import decide, exact_candidates


@dataclass(frozen=True, slots=True)
class AnnBench:
    """images: in the index. open_seconds: to map the ANN file, and to build it if it was not there. bytes: its size.
    The rest is of single queries: milliseconds at the 50th and 95th percentile, and recall@k of the approximate
    results."""

    images: int
    queries: int
    k: int
    rerank: int
    bytes: int
    open_seconds: float
    exact_p50_ms: float
    exact_p95_ms: float
    ann_p50_ms: float
    ann_p95_ms: float
    recall: float


def bench_ann(index: IndexReader, queries: int, k: int, rerank: int) -> AnnBench:
    """`queries` of the index's own images, evenly spaced, ask for the k nearest others, exactly and approximately.

    Raises QueryError for an index so small that it is always searched exactly.
    """
    started = time.perf_counter()
    ann = AnnIndex.open(index)
    open_seconds = time.perf_counter() - started
    if ann is None:
        raise QueryError(
            f"{index.directory}: {len(index)} images are searched exactly; ANN begins at {LEAST_ROWS} images"
        )
    if rerank <= k:
        raise QueryError(f"--rerank {rerank} is not above --k {k}; rank more than are counted")
    vectors = index.as_queries(np.linspace(0, len(index) - 1, min(queries, len(index))).astype(np.int64))
    exact_ms, ann_ms, recalls = [], [], []
    for query in vectors:
        # One more than asked for: the image itself is the first of both.
        started = time.perf_counter()
        (rows,) = exact_candidates(index, query[None], k + 1)
        truth = _rows(index, query, rows, k + 1)
        middle = time.perf_counter()
        (rows,) = ann.candidates(query[None], rerank)
        found = _rows(index, query, rows, k + 1)
        ended = time.perf_counter()
        exact_ms.append(1000 * (middle - started))
        ann_ms.append(1000 * (ended - middle))
        recalls.append((len(truth & found) - 1) / k)
    return AnnBench(
        images=len(index),
        queries=len(vectors),
        k=k,
        rerank=rerank,
        bytes=(index.directory / FILE).stat().st_size,
        open_seconds=open_seconds,
        exact_p50_ms=float(np.percentile(exact_ms, 50)),
        exact_p95_ms=float(np.percentile(exact_ms, 95)),
        ann_p50_ms=float(np.percentile(ann_ms, 50)),
        ann_p95_ms=float(np.percentile(ann_ms, 95)),
        recall=float(np.mean(recalls)),
    )


def _rows(index: IndexReader, query: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], k: int) -> set[int]:
    return {hit.row for hit in decide(index, index.exact_queries(query[None])[0], rows, k)}
