"""Groups and anomalies as they are reported."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.analysis.analyze import Analysis
from embedlab_core.analysis.analyze import analyze as analyze_with
from embedlab_core.analysis.anomalies import DEFAULT_METHOD, AnomalyMethod
from embedlab_core.analysis.duplicates import DuplicateOptions
from embedlab_core.analysis.groups import Grouping
from embedlab_core.errors import AnalysisError
from embedlab_core.index.reader import IndexReader
from tests.conftest import IndexFactory
from tests.support import Vectors, make_index, random_units, unit


def analyze(
    index: IndexReader, threshold: float, top: int, k: int | None = None, method: AnomalyMethod = DEFAULT_METHOD
) -> Analysis:
    return analyze_with(index, DuplicateOptions(threshold), top, k, method, explain=True)


def crowd(count: int, dim: int = 32, seed: int = 0) -> Vectors:
    """Images of one kind: alike, but no near-duplicates."""
    chance = np.random.default_rng(seed)
    return unit(chance.normal(size=dim) + 0.7 * chance.normal(size=(count, dim)))


def test_groups_are_sorted_inside_and_by_their_first_member(tmp_path: Path) -> None:
    a, b, c = np.eye(3, dtype=np.float32)
    index = make_index(tmp_path, np.array([b, a, c, b, a, b]), ["z", "m", "k", "c", "d", "b"])
    groups = analyze(index, 0.92, 0).groups
    assert [group.paths for group in groups] == [("b", "c", "z"), ("d", "m")]
    assert [(group.spread.tightest_cosine, group.spread.loosest_cosine) for group in groups] == [(1, 1)] * 2
    assert not any(group.chains for group in groups)


def test_a_chain_of_near_pairs_is_one_group_and_is_flagged_with_its_loosest_pair(tmp_path: Path) -> None:
    angles = np.array([0, 0.29, 0.6])
    index = make_index(tmp_path, unit(np.stack([np.cos(angles), np.sin(angles)], axis=1)))
    (group,) = analyze(index, 0.92, 0).groups
    spread = group.spread
    assert group.paths == ("000.png", "001.png", "002.png")
    assert group.chains
    assert (spread.pair_count, spread.medoid) == (2, 1)
    assert spread.loosest == (0, 2)
    assert spread.loosest_cosine == pytest.approx(np.cos(0.6), abs=1e-6)
    assert spread.tightest == (0, 1)
    assert spread.tightest_cosine == pytest.approx(np.cos(0.29), abs=1e-6)


@pytest.mark.parametrize("grouping", ["complete", "medoid"])
def test_a_strict_grouping_cuts_the_chain_at_its_looser_pair(tmp_path: Path, grouping: Grouping) -> None:
    angles = np.array([0, 0.29, 0.6])
    index = make_index(tmp_path, unit(np.stack([np.cos(angles), np.sin(angles)], axis=1)))
    (group,) = analyze_with(index, DuplicateOptions(0.92, grouping), 0, explain=True).groups
    assert group.paths == ("000.png", "001.png")
    assert not group.chains


def test_facts_are_not_worked_out_unless_asked_for(tmp_path: Path) -> None:
    index = make_index(tmp_path, np.ones((2, 1), np.float32))
    assert [group.facts for group in analyze_with(index, DuplicateOptions(), 0).groups] == [None]


def test_a_pair_one_step_below_the_threshold_is_no_group(tmp_path: Path) -> None:
    limit = np.float32(0.92)
    for name, cosine, wanted in (("at", limit, 1), ("below", np.nextafter(limit, np.float32(0)), 0)):
        vectors = np.array([[1, 0], [cosine, np.sqrt(1 - np.float64(cosine) ** 2)]], np.float32)
        assert len(analyze(make_index(tmp_path / name, vectors), 0.92, 0).groups) == wanted


def test_an_oddball_comes_first(tmp_path: Path) -> None:
    vectors = crowd(30)
    vectors[17] = -vectors.mean(axis=0) / np.linalg.norm(vectors.mean(axis=0))
    anomalies = analyze(make_index(tmp_path, vectors), 0.92, 3).anomalies
    assert len(anomalies) == 3
    assert anomalies[0].path == "017.png"
    assert anomalies[0].score > 1.2
    assert [entry.score for entry in anomalies] == sorted((entry.score for entry in anomalies), reverse=True)


@pytest.mark.parametrize("copies", [2, 3, 8])
def test_copies_of_an_oddball_do_not_hide_each_other(tmp_path: Path, copies: int) -> None:
    vectors = crowd(40)
    odd = unit(-vectors.mean(axis=0))
    vectors[10 : 10 + copies] = odd
    analysis = analyze(make_index(tmp_path, vectors), 0.92, copies)
    assert [entry.path for entry in analysis.anomalies] == [f"{row:03d}.png" for row in range(10, 10 + copies)]
    assert len({entry.score for entry in analysis.anomalies}) == 1


def test_equal_scores_rank_by_path_and_the_cut_takes_the_first_paths(tmp_path: Path) -> None:
    # The corners of a regular simplex are all equally far from each other.
    names = ["e", "b", "d", "a", "c"]
    index = make_index(tmp_path, np.eye(5, dtype=np.float32), names)
    for top in range(1, 6):
        assert [entry.path for entry in analyze(index, 0.92, top, 2).anomalies] == sorted(names)[:top]


@pytest.mark.parametrize(("count", "top", "wanted"), [(1, 8, 1), (2, 8, 2), (5, 0, 0), (5, 5, 5), (5, 100, 5)])
def test_at_most_all_images_are_listed(tmp_path: Path, count: int, top: int, wanted: int) -> None:
    assert len(analyze(make_index(tmp_path, random_units(count, 4)), 0.92, top).anomalies) == wanted


def test_an_index_without_images_has_no_findings(tmp_path: Path) -> None:
    index = make_index(tmp_path, np.ones((1, 1), np.float32))
    empty = replace(index, shards=(), manifest=replace(index.manifest, shards=()))
    assert analyze(empty, 0.92, 0).groups == ()


@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 10**6))
def test_findings_do_not_depend_on_shards(new_index: IndexFactory, count: int, shards: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    vectors = unit(chance.normal(size=(6, 16)))[chance.integers(0, 6, count)]
    vectors = unit(vectors + chance.normal(size=(count, 16)) * chance.choice([0, 0.02, 0.2], (count, 1)))
    parts = [part for part in np.array_split(chance.permutation(count), shards) if len(part)]
    options = DuplicateOptions(0.92)
    split, whole = new_index(vectors, parts=parts), new_index(vectors)
    assert analyze_with(split, options, 8) == analyze_with(whole, options, 8)


@pytest.mark.parametrize("method", ["lof", "kde"])
@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 10**6))
def test_other_methods_do_not_depend_on_shards_either(
    new_index: IndexFactory, method: AnomalyMethod, count: int, shards: int, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    vectors = unit(chance.normal(size=(6, 16)))[chance.integers(0, 6, count)]
    vectors = unit(vectors + chance.normal(size=(count, 16)) * chance.choice([0, 0.02, 0.2], (count, 1)))
    parts = [part for part in np.array_split(chance.permutation(count), shards) if len(part)]
    cut, whole = (
        analyze_with(index, DuplicateOptions(0.92), 8, method=method)
        for index in (new_index(vectors, parts=parts), new_index(vectors))
    )
    assert cut == whole


def test_k_must_leave_one_image_out(tmp_path: Path) -> None:
    index = make_index(tmp_path, random_units(6, 4))
    assert len(analyze(index, 0.92, 8, 5).anomalies) == 6
    with pytest.raises(AnalysisError, match="--k 6 needs more than 6 images, and the index holds 6"):
        analyze(index, 0.92, 8, 6)
