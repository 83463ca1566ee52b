"""ANN libraries beside each other, at embedlab's job: coarse candidates, ranked by the stored float32 vectors.

pip install usearch hnswlib                # only this script needs them
python benchmarks/ann.py [--sizes 100000 1000000] [--libraries faiss usearch-i8 usearch-bf16 hnswlib]

faiss is what `search --ann` does. The graphs (HNSW; Malkov & Yashunin 2018) are built on all cores with their
libraries' defaults, and searched with the least of EFFORTS that reaches TARGET. Files are in the page cache. A million
images take 10 GB of memory and disk and half an hour or more.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import file_digest
from pathlib import Path

import numpy as np
import numpy.typing as npt
from synthetic import write_index
from timing import timed

from embedlab_core.index.reader import IndexReader
from embedlab_core.search.ann import FILE, RERANK, AnnIndex
from embedlab_core.search.rank import decide, top_k

K = 10
QUERIES = 200
TARGET = 0.99
EFFORTS = [2**power for power in range(4, 13)]
THREADS = os.cpu_count() or 1
# Where a build has not ended by then, that is its result.
BUILD_SECONDS = 25 * 60

Vectors = npt.NDArray[np.float32]
# A query (d,) and an effort -> candidate rows.
Search = Callable[[Vectors, int], npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Library:
    """build: writes `file`. open: makes a search of it. efforts: to try, least first."""

    file: str
    threads: int
    is_mapped: bool
    efforts: list[int]
    build: Callable[[IndexReader, Path], object]
    open: Callable[[IndexReader, Path], Search]


def build_faiss(index: IndexReader, _: Path) -> None:
    AnnIndex.open(index)


def open_faiss(index: IndexReader, _: Path) -> Search:
    ann = AnnIndex.open(index)
    assert ann is not None
    return lambda query, effort: ann.candidates(query[None], effort)[0]


def build_usearch(dtype: str, index: IndexReader, path: Path) -> None:
    from usearch.index import Index

    graph = Index(ndim=index.manifest.dim, metric="ip", dtype=dtype)
    for start, block in index.blocks():
        graph.add(np.arange(start, start + len(block)), block, threads=THREADS)
    graph.save(path)


def open_usearch(_: IndexReader, path: Path) -> Search:
    from usearch.index import Index

    graph = Index.restore(path, view=True)

    def search(query: Vectors, effort: int) -> npt.NDArray[np.int64]:
        graph.expansion_search = effort
        return np.sort(graph.search(query, min(effort, RERANK), threads=1).keys.astype(np.int64))

    return search


def build_hnswlib(index: IndexReader, path: Path) -> None:
    import hnswlib

    graph = hnswlib.Index("ip", index.manifest.dim)
    graph.init_index(len(index))
    for start, block in index.blocks():
        graph.add_items(block, np.arange(start, start + len(block)), num_threads=THREADS)
    graph.save_index(str(path))


def open_hnswlib(index: IndexReader, path: Path) -> Search:
    import hnswlib

    graph = hnswlib.Index("ip", index.manifest.dim)
    graph.load_index(str(path))

    def search(query: Vectors, effort: int) -> npt.NDArray[np.int64]:
        graph.set_ef(effort)
        rows, _ = graph.knn_query(query[None], min(effort, RERANK), num_threads=1)
        return np.sort(rows[0].astype(np.int64))

    return search


LIBRARIES = {
    "faiss": Library(FILE, 1, True, [RERANK], build_faiss, open_faiss),
    "usearch-i8": Library("i8.usearch", THREADS, True, EFFORTS, partial(build_usearch, "i8"), open_usearch),
    "usearch-bf16": Library("bf16.usearch", THREADS, True, EFFORTS, partial(build_usearch, "bf16"), open_usearch),
    "hnswlib": Library("hnswlib", THREADS, False, EFFORTS, build_hnswlib, open_hnswlib),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--libraries", nargs="+", choices=LIBRARIES, default=list(LIBRARIES))
    options = parser.parse_args()
    print("| images | library | build s (threads) | same bytes twice | file MB | mapped | open ms | effort |", end="")
    print(f" recall@{K} | p50 ms | p95 ms | against the exact scan |")
    print("|" + "---|" * 12)
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            index, source = write_index(Path(folder), size)
            queries = source.draw(QUERIES)
            truth = [{hit.row for hit in hits} for hits in top_k(index, queries, K)]
            for name in options.libraries:
                # Two builds of the smallest index show whether a library is deterministic.
                cells = measured(index, LIBRARIES[name], queries, truth, builds=2 if size == min(options.sizes) else 1)
                print("|", " | ".join([f"{size:,}", name, *cells]), "|", flush=True)


def measured(index: IndexReader, library: Library, queries: Vectors, truth: list[set[int]], builds: int) -> list[str]:
    """A row of the table."""
    path = index.directory / library.file
    try:
        seconds, digests = zip(*(built(index.directory, library) for _ in range(builds)), strict=True)
    except multiprocessing.TimeoutError:
        return [f"stopped after {BUILD_SECONDS} ({library.threads})", *["-"] * 9]
    opening = statistics.median(timed(lambda: library.open(index, path)) for _ in range(5))
    search = library.open(index, path)
    for effort in library.efforts:
        found = [nearest(index, search, effort, query) for query in queries]
        recall = float(np.mean([len(rows & true) / K for rows, true in zip(found, truth, strict=True)]))
        if recall >= TARGET:
            break
    times = [
        (timed(partial(top_k, index, query[None], K)), timed(partial(nearest, index, search, effort, query)))
        for query in queries
    ]
    exact, ours = 1000 * np.array(times).T
    megabytes = path.stat().st_size / 1e6
    path.unlink()
    return [
        f"{statistics.median(seconds):.0f} ({library.threads})",
        ("yes" if len(set(digests)) == 1 else "no") if builds > 1 else "-",
        f"{megabytes:.0f}",
        "yes" if library.is_mapped else "no",
        f"{1000 * opening:.0f}",
        str(effort),
        f"{recall:.4f}",
        f"{np.percentile(ours, 50):.1f}",
        f"{np.percentile(ours, 95):.1f}",
        f"{np.median(exact) / np.median(ours):.1f}x ({np.median(exact):.1f} ms)",
    ]


def built(directory: Path, library: Library) -> tuple[float, bytes]:
    """Seconds of a build in a process of its own, which can be stopped, and the digest of its file."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply_async(build, (directory, library)).get(BUILD_SECONDS)


def build(directory: Path, library: Library) -> tuple[float, bytes]:
    index, path = IndexReader.open(directory), directory / library.file
    path.unlink(missing_ok=True)
    seconds = timed(lambda: library.build(index, path))
    with path.open("rb") as file:
        return seconds, file_digest(file, "sha256").digest()


def nearest(index: IndexReader, search: Search, effort: int, query: Vectors) -> set[int]:
    return {hit.row for hit in decide(index, query, search(query, effort), K)}


if __name__ == "__main__":
    main()
