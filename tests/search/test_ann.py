"""Approximate candidates: near the truth, the same every time, and never those of another index."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from embedlab_core import Index
from embedlab_core.errors import QueryError
from embedlab_core.index.manifest import ModelRef
from embedlab_core.index.reader import IndexReader
from embedlab_core.index.store import Store
from embedlab_core.index.writer import IndexWriter
from embedlab_core.search import ann as ann_module
from embedlab_core.search.ann import DESCRIPTION, FILE, LEAST_ROWS, AnnIndex
from embedlab_core.search.filters import Filter
from embedlab_core.search.rank import decide, top_k
from tests.support import Vectors, make_index, make_rows, open_writer, unit

NONE = np.empty(0, np.int64)


def clustered(count: int, dim: int, seed: int = 0) -> Vectors:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(200, dim))
    return unit(centres[rng.integers(200, size=count)] + 0.4 * rng.normal(size=(count, dim)))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("ann")
    index = make_index(directory, clustered(LEAST_ROWS, 32), parts=[range(4000), range(4000, LEAST_ROWS)])
    assert AnnIndex.open(index) is not None
    return directory


@pytest.fixture
def index(built: Path, tmp_path: Path) -> IndexReader:
    shutil.copytree(built, tmp_path / "index")
    return IndexReader.open(tmp_path / "index")


def opened(index: IndexReader) -> AnnIndex:
    found = AnnIndex.open(index)
    assert found is not None
    return found


def test_most_of_the_nearest_are_found_and_their_scores_are_exact(index: IndexReader) -> None:
    queries = clustered(50, 32, seed=1)
    exact = top_k(index, queries, 10)
    rows = opened(index).candidates(queries, 400)
    found = [decide(index, query, candidates, 10) for query, candidates in zip(queries, rows, strict=True)]
    common = [
        len({hit.row for hit in one} & {hit.row for hit in other}) for one, other in zip(exact, found, strict=True)
    ]
    assert np.mean(common) >= 9
    scores = {(number, hit.row): hit.score for number, hits in enumerate(exact) for hit in hits}
    for number, hits in enumerate(found):
        assert all(scores.get((number, hit.row), hit.score) == hit.score for hit in hits)


def test_the_same_vectors_give_the_same_file(index: IndexReader, built: Path) -> None:
    (index.directory / FILE).unlink()
    opened(index)
    assert (index.directory / FILE).read_bytes() == (built / FILE).read_bytes()


def test_a_second_opening_builds_nothing(index: IndexReader, caplog: pytest.LogCaptureFixture) -> None:
    before = (index.directory / FILE).stat().st_mtime_ns
    with caplog.at_level(logging.INFO, "embedlab_core"):
        opened(index)
    assert (index.directory / FILE).stat().st_mtime_ns == before
    assert caplog.messages == []


def cut(directory: Path) -> None:
    path = directory / FILE
    path.write_bytes(path.read_bytes()[:-100])


def garble(directory: Path) -> None:
    path = directory / FILE
    path.write_bytes(bytes(path.stat().st_size))


def garble_description(directory: Path) -> None:
    (directory / DESCRIPTION).write_text("{")


def garble_sizes(directory: Path) -> None:
    """The first fields of the file: dimensions and the number of images."""
    path = directory / FILE
    data = bytearray(path.read_bytes())
    data[4:20] = b"\x7f" * 16
    path.write_bytes(data)


def garble_head(directory: Path) -> None:
    path = directory / FILE
    data = bytearray(path.read_bytes())
    data[1000] ^= 0xFF
    path.write_bytes(data)


def grow(directory: Path) -> None:
    with open_writer(directory, 32) as writer:
        writer.append(make_rows(clustered(1, 32, seed=2), ["new.png"]))


@pytest.mark.parametrize("harm", [cut, garble, garble_sizes, garble_head, garble_description, grow])
def test_a_file_that_does_not_fit_is_built_anew_with_one_warning(
    index: IndexReader, caplog: pytest.LogCaptureFixture, harm: object
) -> None:
    assert callable(harm)
    harm(index.directory)
    index = IndexReader.open(index.directory)
    last = index.vectors(np.array([len(index) - 1]))
    (rows,) = opened(index).candidates(last, 10)
    assert len(index) - 1 in rows
    assert len(caplog.messages) == 1
    assert "building it anew" in caplog.text
    assert json.loads((index.directory / DESCRIPTION).read_text())["bytes"] == (index.directory / FILE).stat().st_size


def test_rows_that_do_not_exist_are_passed_over(index: IndexReader) -> None:
    head = json.loads((index.directory / DESCRIPTION).read_text())["head_bytes"]
    path = index.directory / FILE
    data = bytearray(path.read_bytes())
    lists = np.frombuffer(data, np.uint8)[head:]
    lists[np.random.default_rng(0).random(lists.size) < 0.2] ^= 0xFF
    path.write_bytes(data)
    ann, queries = opened(index), clustered(20, 32, seed=1)
    for rows in ann.candidates(queries, 400):
        assert rows.size
        assert rows.min() >= 0 and rows.max() < len(index)
        assert len(set(rows.tolist())) == rows.size
    joined = ann.join(queries, 10)
    assert joined.min() >= -1 and joined.max() < len(index)


def test_filters_hold_and_a_narrow_one_is_answered_exactly(index: IndexReader) -> None:
    queries = clustered(2, 32, seed=3)
    allowed = np.zeros(len(index), dtype=bool)
    allowed[[3, 5000, 9999]] = True
    filters = [Filter(allowed, NONE), Filter(None, np.arange(5000))]
    few, half = opened(index).candidates(queries, 50, filters)
    assert few.tolist() == [3, 5000, 9999]
    assert len(half) == 50
    assert half.min() >= 5000


def test_a_small_index_has_none(tmp_path: Path) -> None:
    index = make_index(tmp_path, clustered(20, 8))
    assert AnnIndex.open(index) is None
    assert not (tmp_path / FILE).exists()
    with pytest.raises(QueryError, match="20 images are searched exactly"):
        Index.open(tmp_path).bench_ann()


@pytest.mark.parametrize("store", ["pca:8", "pca:8+full", "int8", "float16"])
def test_a_compressed_index_can_be_benched(tmp_path: Path, store: str) -> None:
    with IndexWriter(tmp_path, (ModelRef("synthetic", "0" * 12, 32),), ".", Store.parse(store)) as writer:
        writer.append(make_rows(clustered(LEAST_ROWS, 32), [f"{row:05d}.png" for row in range(LEAST_ROWS)]))
        writer.finish(writer.manifest)
    bench = Index.open(tmp_path).bench_ann(queries=5)
    assert 0.9 <= bench.recall <= 1


def test_the_bench_tells_what_is_lost(index: IndexReader) -> None:
    bench = Index.open(index.directory).bench_ann(queries=20, k=5, rerank=ann_module.RERANK)
    assert (bench.images, bench.queries, bench.k) == (LEAST_ROWS, 20, 5)
    assert 0.9 <= bench.recall <= 1
    assert 0 < bench.ann_p50_ms <= bench.ann_p95_ms
    assert 0 < bench.exact_p50_ms <= bench.exact_p95_ms
    assert bench.bytes == (index.directory / FILE).stat().st_size


def test_a_lock_that_another_process_holds_does_not_keep_a_reader_out(index: IndexReader) -> None:
    with FileLock(index.directory / ".ann.lock"):
        assert AnnIndex.open(index) is not None
