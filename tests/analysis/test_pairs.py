"""All pairs at or above a threshold: the boundary from both sides, and every pair against a float64 oracle."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.analysis import pairs as pairs_module
from embedlab_core.analysis.pairs import pairs_at_least
from embedlab_core.analysis.screen import heads
from embedlab_core.errors import IndexDamagedError
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines
from tests.support import Vectors, make_index, random_units, unit


def pair_at(cosine: np.float32, dim: int) -> Vectors:
    """Two unit vectors whose cosine is exactly this float32."""
    vectors = np.zeros((2, dim), np.float32)
    vectors[0, 0] = 1
    vectors[1, :2] = cosine, np.sqrt(1 - np.float64(cosine) ** 2)
    return vectors


def found(index: IndexReader, threshold: float) -> dict[tuple[int, int], float]:
    pairs = pairs_at_least(index, threshold)
    rows = zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    return dict(zip(rows, pairs.scores.tolist(), strict=True))


@pytest.mark.parametrize("threshold", [0.92, 0.5, 0.999999, 0.1, 0.0, -0.5])
@pytest.mark.parametrize("dim", [2, 512])
def test_a_pair_exactly_at_the_threshold_is_in_and_one_step_below_is_out(
    tmp_path: Path, threshold: float, dim: int
) -> None:
    limit = np.float32(threshold)
    below, above = np.nextafter(limit, np.float32(-2)), np.nextafter(limit, np.float32(2))
    results = {}
    for name, cosine in (("below", below), ("at", limit), ("above", above)):
        results[name] = found(make_index(tmp_path / name, pair_at(cosine, dim)), threshold)
    assert results == {"below": {}, "at": {(0, 1): float(limit)}, "above": {(0, 1): float(above)}}


@given(st.integers(2, 600), st.integers(0, 10**6))
def test_any_pair_is_in_at_its_own_score_and_out_one_step_above(
    new_index: Callable[..., IndexReader], dim: int, seed: int
) -> None:
    vectors = random_units(2, dim, seed)
    vectors[1] = unit(vectors[0] + 0.3 * vectors[1])
    index = new_index(vectors)
    score = np.float32(vectors[0].astype(np.float64) @ vectors[1].astype(np.float64))
    assert list(found(index, float(score)).values()) == [float(score)]
    assert found(index, float(np.nextafter(score, np.float32(2)))) == {}


@given(st.integers(1, 30), st.integers(1, 6), st.integers(1, 5), st.sampled_from([-0.5, 0.0, 0.3, 0.92]))
def test_pairs_equal_the_oracle_for_any_shards_and_blocks(
    new_index: Callable[..., IndexReader], count: int, dim: int, shards: int, threshold: float
) -> None:
    vectors = unit(np.random.default_rng(count).integers(-2, 3, (count, dim)) + 0.25)
    parts = [part for part in np.array_split(np.arange(count), shards) if len(part)]
    exact = vectors.astype(np.float64) @ vectors.astype(np.float64).T
    # Whole-number vectors give exact ties with the threshold only up to float64 rounding: leave those pairs open.
    open_pairs = {tuple(pair) for pair in np.argwhere(np.abs(exact - np.float32(threshold)) < 1e-7).tolist()}
    wanted = {(int(a), int(b)) for a, b in np.argwhere(np.triu(exact >= threshold, 1))}
    for block_rows in (3, 1024):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pairs_module, "_TILE_ROWS", block_rows)
            assert set(found(new_index(vectors, parts=parts), threshold)) ^ wanted <= open_pairs


def test_every_pair_comes_once_with_the_smaller_row_first(tmp_path: Path) -> None:
    vectors = np.repeat(random_units(1, 8), 5, axis=0)
    pairs = pairs_at_least(make_index(tmp_path, vectors, parts=[[0, 1], [2], [3, 4]]), 0.9)
    assert sorted(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)) == [
        (left, right) for left in range(5) for right in range(left + 1, 5)
    ]


@pytest.mark.parametrize("dim", [1, 2, 16, 512])
@pytest.mark.parametrize("screened_rows", [0, 8192])
def test_identical_images_are_found_at_threshold_1_and_nothing_else(
    tmp_path: Path, dim: int, screened_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs_module, "_SCREENED_ROWS", screened_rows)
    single = random_units(60, dim) if dim > 2 else unit([[1.0] * dim])
    index = make_index(tmp_path, np.concatenate([single, single]))
    copies = {(row, row + len(single)): 1.0 for row in range(len(single))}
    assert found(index, 1.0) == copies


@given(st.integers(2, 60), st.integers(2, 40), st.sampled_from([0.9, 0.999999, 0.99999994, 1.0]), st.integers(0, 10**6))
def test_pairs_are_those_that_cosines_finds_one_by_one(
    new_index: Callable[..., IndexReader], count: int, dim: int, threshold: float, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    vectors = random_units(4, dim, seed)[chance.integers(0, 4, count)]
    vectors = unit(vectors + chance.normal(size=(count, dim)) * chance.choice([0, 1e-7, 1e-4], (count, 1)))
    left, right = np.triu_indices(count, 1)
    scores = cosines(vectors[left], vectors[right])
    wanted = scores >= np.float32(threshold)
    pairs = zip(left[wanted].tolist(), right[wanted].tolist(), strict=True)
    assert found(new_index(vectors), threshold) == dict(zip(pairs, scores[wanted].tolist(), strict=True))


@pytest.mark.parametrize("screened_rows", [0, 8192])
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 3.0])
def test_a_damaged_vector_is_told_and_not_left_out_in_silence(
    tmp_path: Path, value: float, screened_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs_module, "_SCREENED_ROWS", screened_rows)
    vectors = random_units(40, 16)
    vectors[21] = value
    index = make_index(tmp_path, vectors, parts=[range(20), range(20, 40)])
    with pytest.raises(IndexDamagedError, match=r"000001\.npz: .+\(the vector of 021\.png is not of length 1"):
        pairs_at_least(index, 0.92)


@pytest.mark.parametrize("count", [1, 2])
def test_without_near_pairs_there_are_none(tmp_path: Path, count: int) -> None:
    pairs = pairs_at_least(make_index(tmp_path, np.eye(2, dtype=np.float32)[:count]), 0.92)
    assert len(pairs.left) == len(pairs.right) == len(pairs.scores) == 0


@given(st.integers(2, 80), st.integers(2, 40), st.sampled_from([-0.5, 0.0, 0.5, 0.92, 0.999]), st.integers(0, 10**6))
def test_a_screen_loses_and_adds_no_pair(
    new_index: Callable[..., IndexReader], count: int, dim: int, threshold: float, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    spectrum = (1.0 + np.arange(dim)) ** -1
    vectors = unit(chance.normal(size=(5, dim)) * spectrum)[chance.integers(0, 5, count)]
    index = new_index(unit(vectors + chance.normal(size=(count, dim)) * chance.choice([0, 1e-4, 0.1], (count, 1))))
    whole = found(index, threshold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs_module, "_SCREENED_ROWS", 0)
        assert found(index, threshold) == whole


def test_a_screen_bounds_every_cosine(tmp_path: Path) -> None:
    vectors = unit(random_units(1, 64) + 0.4 * random_units(300, 64, seed=1))
    screen = heads(make_index(tmp_path, vectors), 0.92)
    assert screen.rows.shape[1] < 64
    exact = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    assert (screen.rows @ screen.rows.T >= exact - screen.error).all()
