"""Pairs and neighbours by way of the ANN index: exact scores, few missed, and it says how many."""

from pathlib import Path

import numpy as np
import pytest

from embedlab_core import Index
from embedlab_core.analysis.analyze import analyze
from embedlab_core.analysis.anomalies import nearest_neighbours
from embedlab_core.analysis.duplicates import DuplicateOptions
from embedlab_core.analysis.near import Near, near_images
from embedlab_core.analysis.pairs import Pairs, pairs_at_least
from embedlab_core.errors import AnalysisError
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.ann import LEAST_ROWS
from tests.support import Vectors, make_index, random_units, run_cli, unit


def clustered(count: int, dim: int) -> Vectors:
    """300 clusters, and in them 50 images with a near-duplicate at the end."""
    chance = np.random.default_rng(0)
    centres = chance.normal(size=(300, dim))
    vectors = unit(centres[chance.integers(300, size=count - 50)] + 0.5 * chance.normal(size=(count - 50, dim)))
    return np.concatenate([vectors, unit(vectors[:50] + 0.02 * random_units(50, dim))])


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> IndexReader:
    return make_index(tmp_path_factory.mktemp("near"), clustered(LEAST_ROWS, 48))


@pytest.fixture(scope="module")
def near(index: IndexReader) -> Near:
    found = near_images(index)
    assert found is not None
    return found


def keys(pairs: Pairs) -> set[tuple[int, int, float]]:
    return set(zip(pairs.left.tolist(), pairs.right.tolist(), pairs.scores.tolist(), strict=True))


def test_pairs_are_some_of_the_exact_ones_each_once_and_all_near_ones_are_there(index: IndexReader, near: Near) -> None:
    found, exact = near.pairs(0.8), pairs_at_least(index, 0.8)
    assert len(keys(found)) == len(found)
    assert keys(found) <= keys(exact)
    assert keys(near.pairs(0.99)) == keys(pairs_at_least(index, 0.99))
    assert len(near.pairs(0.99)) == 50


def test_neighbours_have_exact_distances_and_few_are_missed(index: IndexReader, near: Near) -> None:
    labels = np.arange(len(index))
    labels[-50:] = np.arange(50)
    found, exact = near.neighbours(labels, 5), nearest_neighbours(index, labels, 5)
    assert np.all(labels[found.rows] != labels[:, None])
    assert np.all(found.distances[:, :5] >= exact.distances[:, :5])
    hits = [np.isin(one, other).mean() for one, other in zip(exact.rows[:, :5], found.rows, strict=True)]
    assert np.mean(hits) > 0.9


def test_the_recall_is_that_of_the_ten_nearest(index: IndexReader, near: Near) -> None:
    exact = nearest_neighbours(index, np.arange(len(index)), 10).rows[:, :10]
    recall = np.mean([np.isin(one, other).mean() for one, other in zip(exact, near.rows, strict=True)])
    assert near.recall == pytest.approx(recall, abs=0.05)
    assert near.recall > 0.9


def test_analyze_says_what_it_expects_to_have_missed(index: IndexReader) -> None:
    analysis = Index(index).analyze(0.99, ann=True)
    assert len(analysis.groups) == 50
    assert analysis.recall is not None
    ran = run_cli("analyze", "--index", index.directory, "--dup-threshold", "0.99", "--ann")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("approximate: ")


def test_the_anomalies_of_knn_are_those_of_a_full_comparison(index: IndexReader) -> None:
    near, exact = (analyze(index, DuplicateOptions(0.99), 20, ann=ann) for ann in (True, False))
    assert near.groups == exact.groups
    assert [(found.path, found.raw) for found in near.anomalies] == [
        (found.path, found.raw) for found in exact.anomalies
    ]


def test_more_neighbours_than_the_ann_index_finds_are_refused(index: IndexReader, near: Near) -> None:
    with pytest.raises(AnalysisError, match="--ann"):
        analyze(index, DuplicateOptions(), 8, near.width + 1, ann=True)


def test_a_small_index_is_compared_exactly(tmp_path: Path) -> None:
    analysis = Index(make_index(tmp_path, random_units(20, 8))).analyze(ann=True)
    assert analysis.recall is None
