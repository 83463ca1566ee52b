"""Search in a large index of made-up vectors: exact against the memory's speed and bare BLAS, then approximate.

python benchmarks/scale.py [IMAGES]        # 1,000,000 by default: 2.3 GB of disk and memory, a few minutes
"""

import statistics
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

import numpy as np
from synthetic import write_index
from timing import EMBEDLAB, median_seconds, seconds, timed

from embedlab_core.encoders.folders import find_model
from embedlab_core.index.reader import BLOCK_ROWS, IndexReader
from embedlab_core.search.ann import RERANK, AnnIndex
from embedlab_core.search.bench import bench_ann
from embedlab_core.search.cache import CachedVector, QueryCache
from embedlab_core.search.rank import top_k

PROMPT = "a prompt whose vector is made up too"
QUERIES = 1000

READ = """
import pathlib, sys
import numpy as np
from embedlab_core.index.npz import open_npz
for path in sorted(pathlib.Path(sys.argv[1], "shards").glob("*.npz")):
    open_npz(path)["vectors"].view(np.int64).max()
"""


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    lite = find_model("lite")
    assert lite is not None
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        index, source = write_index(directory, count, lite.dim, model=lite.ref("float32"))
        queries = source.draw(QUERIES)
        # The prompt is answered from the cache of query vectors: this times the search, not the text tower.
        cache = QueryCache(directory, str(lite.ref("float32")), lite.dim)
        cache.put({sha256(b"prompt\0" + PROMPT.encode()).digest(): CachedVector(queries[0])})
        megabytes = count * lite.dim * 4 / 1e6
        print(f"{count} x {lite.dim} float32, {megabytes:.0f} MB")
        whole_process(directory)
        in_process(index, queries)
        approximate(index)


def whole_process(directory: Path) -> None:
    search = [*EMBEDLAB, "search", "--index", str(directory), "--q-text", PROMPT]
    read = [sys.executable, "-c", READ, str(directory)]
    searches, reads = [], []
    for turn in range(6):
        one, other = seconds(search), seconds(read)
        if turn:
            searches.append(one)
            reads.append(other)
    ours, bare = statistics.median(searches), statistics.median(reads)
    print(f"one query, whole process: {ours:.2f} s; a process that only reads them {bare:.2f} s: {ours / bare:.2f}x")


def in_process(index: IndexReader, queries: "np.typing.NDArray[np.float32]") -> None:
    def read() -> None:
        for shard in index.shards:
            shard.vectors.view(np.int64).max()

    def product() -> None:
        for _, block in index.blocks(BLOCK_ROWS):
            queries @ block.T

    opened = median_seconds(lambda: timed(lambda: IndexReader.open(index.directory)))
    one = median_seconds(lambda: timed(lambda: top_k(index, queries[:1], 10)))
    bare = median_seconds(lambda: timed(read))
    print(f"opening the index: {1000 * opened:.0f} ms")
    print(
        f"one query, in a process: {1000 * one:.0f} ms; one thread that reads the bytes {1000 * bare:.0f} ms: "
        f"{one / bare:.2f}x"
    )
    pairs = [(timed(lambda: top_k(index, queries, 10)), timed(product)) for _ in range(3)]
    many, blas = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"{len(queries)} queries: {many:.2f} s; the bare matrix product {blas:.2f} s: {many / blas:.2f}x")


def approximate(index: IndexReader) -> None:
    build = timed(lambda: AnnIndex.open(index))
    bench = bench_ann(index, 200, 10, RERANK)
    print(f"ANN: built in {build:.0f} s, {bench.bytes / 1e6:.0f} MB, opened in {1000 * bench.open_seconds:.0f} ms")
    print(
        f"ANN: p50 {bench.ann_p50_ms:.1f} ms, p95 {bench.ann_p95_ms:.1f} ms, recall@10 {bench.recall:.4f}; exact p50 "
        f"{bench.exact_p50_ms:.1f} ms, p95 {bench.exact_p95_ms:.1f} ms: {bench.exact_p50_ms / bench.ann_p50_ms:.1f}x"
    )


if __name__ == "__main__":
    main()
