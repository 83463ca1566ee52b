"""Exact ranking against a brute-force float64 oracle, with ties, copies and every way to cut an index into shards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.errors import IndexDamagedError
from embedlab_core.index import reader
from embedlab_core.index.manifest import ModelRef
from embedlab_core.index.reader import IndexReader
from embedlab_core.index.store import Store
from embedlab_core.index.writer import IndexWriter
from embedlab_core.search import rank
from embedlab_core.search.explain import percentiles
from embedlab_core.search.filters import Filter
from embedlab_core.search.rank import all_scores, top_k
from tests.support import Vectors, make_index, random_units, unit

NewIndex = Callable[..., IndexReader]


@st.composite
def collections(draw: st.DrawFn) -> tuple[Vectors, list[str]]:
    """Unit vectors of small whole numbers, so that copies and exact ties are common, under shuffled names."""
    dim = draw(st.integers(1, 5))
    row = st.lists(st.integers(-2, 2), min_size=dim, max_size=dim).filter(any)
    rows = draw(st.lists(row, min_size=1, max_size=25))
    names = draw(st.permutations([f"{number:02d}.png" for number in range(len(rows))]))
    return unit(rows), names


def oracle(vectors: Vectors, names: list[str], query: Vectors, k: int) -> list[tuple[str, float]]:
    """Sort everything by float32(float64 cosine), then by path. Equal vectors have cosine 1."""

    def cosine(row: Vectors) -> float:
        total = sum(float(a) * float(b) for a, b in zip(row, query, strict=True))
        return 1.0 if np.array_equal(row, query) else float(np.float32(total))

    scores = [cosine(row) for row in vectors]
    return sorted(zip(names, scores, strict=True), key=lambda pair: (-pair[1], pair[0]))[:k]


def found(index: IndexReader, queries: Vectors, k: int) -> list[list[tuple[str, float]]]:
    return [[(hit.path, hit.score) for hit in hits] for hits in top_k(index, queries, k)]


@given(collections(), st.integers(1, 30), st.data())
def test_ranking_equals_the_oracle(
    new_index: NewIndex, collection: tuple[Vectors, list[str]], k: int, data: st.DataObject
) -> None:
    vectors, names = collection
    rows = data.draw(st.lists(st.integers(0, len(names) - 1), min_size=1, max_size=4))
    index = new_index(vectors, names)
    assert found(index, vectors[rows], k) == [oracle(vectors, names, vectors[row], k) for row in rows]


@given(st.integers(1, 200), st.integers(1, 64), st.integers(1, 40), st.integers(0, 10**6))
def test_ranking_of_near_ties_equals_the_oracle(new_index: NewIndex, count: int, dim: int, k: int, seed: int) -> None:
    # All within a few float32 steps of each other, where a BLAS product alone would rank wrongly.
    chance = np.random.default_rng(seed)
    centre = chance.normal(size=dim)
    vectors = unit(centre + chance.normal(size=(count, dim)) * 1e-7)
    names = [f"{number:03d}.png" for number in chance.permutation(count)]
    query = unit(centre)
    (hits,) = top_k(new_index(vectors, names), query[None], k)
    exact = vectors.astype(np.float64) @ query.astype(np.float64)
    # NumPy may sum in another order than the oracle: only a last-bit rounding of float64 can differ.
    wanted = sorted(zip(exact.astype(np.float32).tolist(), names, strict=True), key=lambda pair: (-pair[0], pair[1]))
    assert [(hit.score, hit.path) for hit in hits] == wanted[:k]


@given(collections(), st.integers(1, 8), st.integers(1, 9), st.randoms(use_true_random=False))
def test_shards_their_order_and_block_size_do_not_matter(
    new_index: NewIndex, collection: tuple[Vectors, list[str]], shards: int, block_rows: int, chance: Any
) -> None:
    vectors, names = collection
    order = chance.sample(range(len(names)), len(names))
    parts = [part for part in np.array_split(order, shards) if len(part)]
    whole, cut = new_index(vectors, names), new_index(vectors, names, parts=parts)
    wanted = found(whole, vectors, 5)
    assert found(cut, vectors, 5) == wanted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader.IndexReader.blocks, "__defaults__", (block_rows,))
        assert found(cut, vectors, 5) == wanted


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_threads_that_share_the_scan_of_one_query_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr(rank, "_CORES", cores)
    vectors = unit(np.random.default_rng(0).integers(-4, 5, size=(3 * reader.BLOCK_ROWS + 5, 4)) + 0.5)
    names = [f"{number:05d}.png" for number in range(len(vectors))]
    index = make_index(tmp_path, vectors, names, parts=[range(9000), range(9000, len(vectors))])
    left_out = Filter(None, np.arange(0, len(vectors), 7))
    for query in vectors[[0, 9000, -1]]:
        assert found(index, query[None], 30) == [oracle(vectors, names, query, 30)]
        several = top_k(index, np.stack([query, query]), 30, [left_out, left_out])
        assert top_k(index, query[None], 30, [left_out]) == several[:1]


def test_only_the_nearest_is_returned_for_k_1_and_everything_for_a_larger_k_than_the_index(tmp_path: Path) -> None:
    vectors = random_units(7, 3)
    index = make_index(tmp_path, vectors)
    assert [hit.path for hit in top_k(index, vectors[3:4], 1)[0]] == ["003.png"]
    for k in (7, 8, 10**12):
        assert len(top_k(index, vectors[3:4], k)[0]) == 7


def test_each_image_finds_itself_first_with_score_one(tmp_path: Path) -> None:
    vectors = random_units(500, 512)
    for row, hits in enumerate(top_k(make_index(tmp_path, vectors), vectors, 3)):
        assert hits[0].row == row
        assert hits[0].path == f"{row:03d}.png"
        assert abs(hits[0].score - 1) <= 1e-6
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_identical_images_rank_by_path_whatever_the_shard(tmp_path: Path) -> None:
    vectors = np.repeat(random_units(3, 512), 5, axis=0)
    names = [f"{number:02d}.png" for number in np.random.default_rng(0).permutation(15)]
    index = make_index(tmp_path, vectors, names, parts=[range(10, 15), range(4), range(4, 10)])
    for query in range(0, 15, 5):
        (hits,) = top_k(index, vectors[query : query + 1], 5)
        assert [hit.path for hit in hits] == sorted(names[query : query + 5])
        assert len({hit.score for hit in hits}) == 1


def test_opposite_vectors_come_last_with_score_minus_one(tmp_path: Path) -> None:
    vectors = random_units(9, 4)
    vectors[8] = -vectors[0]
    (hits,) = top_k(make_index(tmp_path, vectors), vectors[:1], 9)
    assert hits[-1].path == "008.png"
    assert abs(hits[-1].score + 1) <= 1e-6


@given(collections(), st.integers(1, 6))
def test_percentiles_equal_the_share_of_scores_not_above(
    new_index: NewIndex, collection: tuple[Vectors, list[str]], shards: int
) -> None:
    vectors, names = collection
    parts = [part for part in np.array_split(np.arange(len(names)), shards) if len(part)]
    index = new_index(vectors, names, parts=parts)
    everything = oracle(vectors, names, vectors[0], len(names))
    scores = np.array([score for _, score in everything], np.float32)
    wanted = [100 * sum(other <= score for _, other in everything) / len(names) for _, score in everything]
    rough = all_scores(index, vectors[0])
    assert percentiles(index, vectors[0], rough, scores) == pytest.approx(wanted)
    assert percentiles(index, vectors[0], rough, np.array([-2.0, 2.0], np.float32)) == [0, 100]


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38, 5.0])
@pytest.mark.parametrize("k", [1, 40])
def test_a_damaged_vector_that_could_win_is_told_with_its_shard(tmp_path: Path, value: float, k: int) -> None:
    vectors = random_units(40, 16)
    queries = unit(np.abs(random_units(3, 16, seed=1)))
    vectors[21] = value
    index = make_index(tmp_path, vectors, parts=[range(20), range(20, 40)])
    with pytest.raises(
        IndexDamagedError,
        match=r"shards/000001\.npz: .+ \(the vector of 021\.png is not of length 1\); run embed again to repair it$",
    ):
        top_k(index, queries, k)


def test_scores_of_all_images_are_numbers_or_an_error(tmp_path: Path) -> None:
    vectors = random_units(40, 16)
    vectors[21, 3] = np.nan
    index = make_index(tmp_path, vectors, parts=[range(20), range(20, 40)])
    with pytest.raises(IndexDamagedError, match=r"shards/000001\.npz: .+ 021\.png is not of length 1"):
        all_scores(index, vectors[0])


@pytest.mark.parametrize("store", ["float16", "int8", "pca:4", "float16+full"])
def test_compressed_vectors_are_of_length_1_too(tmp_path: Path, store: str) -> None:
    vectors = random_units(30, 16)
    make_index(tmp_path, vectors)
    with IndexWriter(tmp_path, (ModelRef("synthetic", "0" * 12, 16),), ".", Store.parse(store)) as writer:
        writer.finish(writer.manifest)
    index = IndexReader.open(tmp_path)
    assert [len(hits) for hits in top_k(index, vectors[:3], 30)] == [30] * 3
