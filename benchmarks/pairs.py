"""All pairs at a cosine: the screened search against the blocked matrix product, on an index made for it.

python benchmarks/pairs.py [--rows 200000] [--threshold 0.92]

The vectors have what image vectors have: a common direction, topics within topics, a spectrum that falls as a power of
its rank, and copies of every closeness.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from synthetic import made_up_rows

from embedlab_core.analysis.pairs import pairs_at_least
from embedlab_core.index.manifest import ModelRef
from embedlab_core.index.reader import IndexReader
from embedlab_core.index.writer import IndexWriter
from embedlab_core.search.similarity import cosines, product_error

DIM = 512
BLOCK_ROWS = 2048
PART_ROWS = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--threshold", type=float, default=0.92)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_index(Path(folder), arguments.rows)
        index = IndexReader.open(Path(folder))
        before = peak_megabytes()
        started = time.perf_counter()
        found = pairs_at_least(index, arguments.threshold)
        screened = time.perf_counter() - started
        print(f"{len(index)} x {DIM}, cosine >= {arguments.threshold}: {len(found)} pairs")
        print(
            f"screened    {screened:7.1f} s, peak memory {peak_megabytes():.0f} MB ({before:.0f} MB before)", flush=True
        )
        started = time.perf_counter()
        left, right = brute_force(index, arguments.threshold)
        brute = time.perf_counter() - started
        same = set(zip(left, right, strict=True)) == set(zip(found.left.tolist(), found.right.tolist(), strict=True))
        print(f"brute force {brute:7.1f} s; {brute / screened:.1f} times as long; the same pairs: {same}")


def write_index(folder: Path, rows: int) -> None:
    chance = np.random.default_rng(0)
    spectrum = (1 + np.arange(DIM)) ** -0.5
    common = chance.normal(size=DIM) * spectrum
    topics = chance.normal(size=(100, DIM)) * spectrum
    kinds = topics[chance.integers(0, 100, 5000)] + 0.8 * chance.normal(size=(5000, DIM)) * spectrum
    with IndexWriter(folder, (ModelRef("synthetic", "0" * 12, DIM),), "images") as writer:
        for start in range(0, rows, PART_ROWS):
            count = min(PART_ROWS, rows - start)
            vectors = kinds[chance.integers(0, 5000, count)] + 0.9 * chance.normal(size=(count, DIM)) * spectrum
            vectors = unit(0.8 * common + vectors)
            copies = chance.integers(0, count // 20, count // 10)
            noise = chance.normal(size=(len(copies), DIM)) * chance.uniform(0, 0.03, (len(copies), 1))
            vectors[-len(copies) :] = unit(vectors[copies] + noise)
            writer.append(made_up_rows(vectors.astype(np.float32), start))


def brute_force(index: IndexReader, threshold: float) -> tuple[list[int], list[int]]:
    """The blocked, symmetric product of whole vectors; near ones decided as embedlab decides."""
    limit = np.float32(threshold)
    rough = np.float32(limit - product_error(DIM))
    lefts: list[int] = []
    rights: list[int] = []
    for left_start, left in index.exact_blocks(BLOCK_ROWS):
        for right_start, right in index.exact_blocks(BLOCK_ROWS):
            if left_start <= right_start:
                rows, columns = np.nonzero(left @ right.T >= rough)
                once = left_start + rows < right_start + columns
                rows, columns = rows[once], columns[once]
                same = cosines(left[rows], right[columns]) >= limit
                lefts += (left_start + rows[same]).tolist()
                rights += (right_start + columns[same]).tolist()
    return lefts, rights


def unit(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
