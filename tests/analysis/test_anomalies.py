"""How isolated an image is: against a float64 oracle, with groups, small sets, and every way to cut an index."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import LocalOutlierFactor

from embedlab_core.analysis import anomalies as anomalies_module
from embedlab_core.analysis.anomalies import (
    AnomalyMethod,
    kernel_density,
    knn_distance,
    local_outlier_factor,
    nearest_neighbours,
    raw_scores,
)
from embedlab_core.index.reader import IndexReader
from embedlab_core.robust import robust_z
from tests.support import Vectors, make_index, random_units, unit


def knn_distances(index: IndexReader, labels: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.float64]:
    return knn_distance(nearest_neighbours(index, labels, k))


def oracle(vectors: Vectors, labels: npt.NDArray[np.int64], k: int) -> list[float]:
    scores = np.clip((vectors.astype(np.float64) @ vectors.astype(np.float64).T), -2, 2)
    result = []
    for row in range(len(vectors)):
        others = sorted(1 - scores[row, labels != labels[row]])[:k]
        result.append(sum(others) / len(others) if others else 0.0)
    return result


@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 12), st.integers(1, 10), st.integers(0, 10**6))
def test_distances_equal_the_oracle(
    new_index: Callable[..., IndexReader], count: int, dim: int, k: int, group_count: int, seed: int
) -> None:
    vectors = random_units(count, dim, seed)
    labels = np.random.default_rng(seed).integers(0, group_count, count) if group_count < 10 else np.arange(count)
    assert knn_distances(new_index(vectors), labels, k) == pytest.approx(oracle(vectors, labels, k), abs=1e-6)


def assert_cutting_changes_nothing(
    new_index: Callable[..., IndexReader], vectors: Vectors, shards: int, k: int, chance: np.random.Generator
) -> None:
    count = len(vectors)
    order = chance.permutation(count)
    parts = [part for part in np.array_split(order, shards) if len(part)]
    whole = knn_distances(new_index(vectors), np.arange(count), k)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anomalies_module, "_BLOCK_ROWS", 4)
        cut = knn_distances(new_index(vectors, parts=parts), np.arange(count), k)
    assert cut.tolist() == whole[order].tolist()


@given(st.integers(2, 60), st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6))
def test_shards_and_blocks_do_not_change_a_bit_with_many_copies(
    new_index: Callable[..., IndexReader], count: int, shards: int, k: int, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    vectors = unit(chance.normal(size=(3, 64)))[chance.integers(0, 3, count)]
    vectors = unit(vectors + chance.normal(size=(count, 64)) * chance.choice([0, 0.1], (count, 1)))
    assert_cutting_changes_nothing(new_index, vectors, shards, k, chance)


@given(st.integers(1, 8), st.integers(1, 20), st.integers(1, 6), st.integers(1, 3), st.integers(0, 10**6))
def test_shards_and_blocks_do_not_change_a_bit_with_near_ties(
    new_index: Callable[..., IndexReader], near: int, others: int, shards: int, k: int, seed: int
) -> None:
    # A crowd that all others are equally far from but for the last bits, where a BLAS product alone would choose other
    # neighbours in another block.
    chance = np.random.default_rng(seed)
    centre = chance.normal(size=64)
    crowd = centre + chance.normal(size=(near, 64)) * 1e-7
    vectors = unit(np.concatenate([crowd, 0.7 * centre + chance.normal(size=(others, 64))]))
    assert_cutting_changes_nothing(new_index, vectors, shards, k, chance)


def test_one_image_alone_has_distance_zero(tmp_path: Path) -> None:
    assert knn_distances(make_index(tmp_path, random_units(1, 4)), np.array([0]), 5).tolist() == [0]


def test_two_images_have_the_distance_between_them(tmp_path: Path) -> None:
    index = make_index(tmp_path, unit([[1, 0], [3, 4]]))
    assert knn_distances(index, np.array([0, 1]), 5).tolist() == pytest.approx([0.4, 0.4])


def test_two_copies_and_nothing_else_have_distance_zero(tmp_path: Path) -> None:
    index = make_index(tmp_path, unit([[3, 4], [3, 4]]))
    assert knn_distances(index, np.array([0, 0]), 5).tolist() == [0, 0]


def test_k_beyond_the_index_takes_all_others(tmp_path: Path) -> None:
    vectors = random_units(6, 4)
    index = make_index(tmp_path, vectors)
    everyone = knn_distances(index, np.arange(6), 5)
    assert knn_distances(index, np.arange(6), 6).tolist() == everyone.tolist()
    assert knn_distances(index, np.arange(6), 10**9).tolist() == everyone.tolist()


def test_copies_have_exactly_the_same_distance(tmp_path: Path) -> None:
    vectors = random_units(200, 512)
    vectors[150] = vectors[3]
    labels = np.arange(200)
    labels[150] = 3
    distances = knn_distances(make_index(tmp_path, vectors), labels, 5)
    assert distances[150] == distances[3]


@given(st.integers(4, 40), st.integers(1, 3), st.integers(0, 10**6))
def test_local_outlier_factor_is_that_of_scikit_learn(
    new_index: Callable[..., IndexReader], count: int, k: int, seed: int
) -> None:
    vectors = random_units(count, 6, seed)
    exact = np.clip(1 - vectors.astype(np.float64) @ vectors.astype(np.float64).T, 0, None)
    model = LocalOutlierFactor(n_neighbors=k, metric="precomputed").fit(exact)
    found = local_outlier_factor(nearest_neighbours(new_index(vectors), np.arange(count), k))
    # Both guard against a zero distance, in their own ways: leave images with a neighbour nearly on top of them out.
    crowded = np.sort(exact, axis=1)[:, 1].min() < 1e-3
    if not crowded:
        assert found == pytest.approx(-model.negative_outlier_factor_, rel=1e-3)


@given(st.integers(2, 30), st.integers(1, 8), st.integers(0, 10**6))
def test_kernel_density_equals_its_formula(
    new_index: Callable[..., IndexReader], count: int, k: int, seed: int
) -> None:
    vectors = random_units(count, 6, seed)
    nearest = [sorted(1 - np.delete(row, number))[:k] for number, row in enumerate(vectors @ vectors.T)]
    bandwidth = np.median([row[-1] for row in nearest])
    wanted = [-np.log(np.mean(np.exp(-np.array(row) / bandwidth))) for row in nearest]
    assert kernel_density(nearest_neighbours(new_index(vectors), np.arange(count), k)) == pytest.approx(
        wanted, abs=1e-3
    )


@pytest.mark.parametrize("method", ["knn", "lof", "kde"])
def test_images_without_another_group_are_not_odd(tmp_path: Path, method: AnomalyMethod) -> None:
    everyone = nearest_neighbours(make_index(tmp_path, random_units(5, 4)), np.zeros(5, np.int64), 3)
    assert len(set(raw_scores(everyone, method).tolist())) == 1
    assert np.isfinite(raw_scores(everyone, method)).all()


@pytest.mark.parametrize("method", ["knn", "lof", "kde"])
def test_copies_of_an_oddball_stay_on_top_in_every_method(tmp_path: Path, method: AnomalyMethod) -> None:
    chance = np.random.default_rng(0)
    vectors = unit(chance.normal(size=32) + 0.7 * chance.normal(size=(40, 32)))
    vectors[[7, 20, 33]] = unit(-vectors.mean(axis=0))
    labels = np.arange(40)
    labels[[20, 33]] = 7
    raw = raw_scores(nearest_neighbours(make_index(tmp_path, vectors), labels, 5), method)
    assert set(np.argsort(-raw)[:3].tolist()) == {7, 20, 33}
    assert len(set(raw[[7, 20, 33]].tolist())) == 1


def test_robust_z_counts_robust_deviations_from_the_median() -> None:
    # Median 3, median absolute deviation 1.
    assert robust_z(np.array([1.0, 2, 3, 4, 100])) == pytest.approx(np.array([-2, -1, 0, 1, 97]) / 1.4826)


def test_robust_z_of_mostly_equal_scores_falls_back_to_the_mean_deviation() -> None:
    assert robust_z(np.array([5.0, 5, 5, 5, 10])) == pytest.approx([0, 0, 0, 0, 5 / 1.2533])
    assert robust_z(np.array([5.0, 5, 5])).tolist() == [0, 0, 0]
    assert robust_z(np.array([])).tolist() == []


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=30), st.integers(1, 50), st.integers(-100, 100))
def test_robust_z_keeps_the_order_and_forgets_scale_and_origin(values: list[int], scale: int, origin: int) -> None:
    raw = np.array(values, np.float64)
    z = robust_z(raw)
    assert np.array_equal(np.argsort(raw, kind="stable"), np.argsort(z, kind="stable"))
    assert robust_z(raw * scale + origin) == pytest.approx(z)


def test_scores_mean_the_same_at_any_size(tmp_path: Path) -> None:
    # The same oddball among 100 and among 2,000 images of one kind.
    found, raw = [], []
    for count in (100, 2000):
        chance = np.random.default_rng(1)
        centre = chance.normal(size=16)
        vectors = unit(centre + 0.7 * chance.normal(size=(count, 16)))
        vectors[0] = unit(-centre)
        scores = knn_distances(make_index(tmp_path / str(count), vectors), np.arange(count), 5)
        raw.append(np.median(scores))
        found.append(robust_z(scores)[1:])
    assert raw[0] > 1.5 * raw[1]
    for share in (25, 75, 90):
        small, large = (np.percentile(scores, share) for scores in found)
        assert small == pytest.approx(large, abs=0.4)
