"""Clusters of alike images and their names."""

from pathlib import Path

import numpy as np
import pytest

from embedlab_core.analysis.clusters import cluster_images
from embedlab_core.analysis.vocabulary import vocabulary
from embedlab_core.errors import LabelError
from tests.support import make_index, random_units, unit

WORDS = ("east", "north", "up")


def three_kinds() -> tuple[np.ndarray, list[str]]:
    """Six images around each of the first three axes of four, of which the last has one more."""
    noise = 0.1 * np.random.default_rng(0).normal(size=(19, 4))
    kinds = [0, 1, 2] * 6 + [2]
    return unit(np.eye(4)[kinds] + noise), [f"{WORDS[kind]}{number:02d}.png" for number, kind in enumerate(kinds)]


def test_each_kind_is_a_cluster_with_its_name_and_its_own_examples(tmp_path: Path) -> None:
    vectors, names = three_kinds()
    clusters = cluster_images(make_index(tmp_path, vectors, names), WORDS, np.eye(4, dtype=np.float32)[:3], 3)
    assert [cluster.size for cluster in clusters] == [7, 6, 6]
    assert {cluster.names[0] for cluster in clusters} == set(WORDS)
    for cluster in clusters:
        assert len(cluster.examples) == 3
        assert all(path.startswith(cluster.names[0]) for path in cluster.examples)


def test_a_phrase_that_is_near_to_everything_names_nothing(tmp_path: Path) -> None:
    vectors, names = three_kinds()
    phrases = unit([[1, 1, 1, 0], [1, 0, 0, 3], [0, 1, 0, 3], [0, 0, 1, 3]])
    clusters = cluster_images(make_index(tmp_path, vectors, names), ("thing", *WORDS), phrases, 3)
    assert {cluster.names[0] for cluster in clusters} == set(WORDS)


def test_clusters_do_not_depend_on_shards(tmp_path: Path) -> None:
    vectors, names = three_kinds()
    phrases = np.eye(4, dtype=np.float32)[:3]
    order = np.random.default_rng(1).permutation(len(names))
    cut = make_index(tmp_path / "cut", vectors, names, [order[:5].tolist(), order[5:].tolist()])
    whole = make_index(tmp_path / "whole", vectors, names)
    assert cluster_images(cut, WORDS, phrases, 3) == cluster_images(whole, WORDS, phrases, 3)


def test_the_number_of_clusters_is_the_square_root_of_that_of_images(tmp_path: Path) -> None:
    phrases = random_units(5, 8, seed=1)
    for count, wanted in ((1, 1), (4, 2), (36, 6)):
        index = make_index(tmp_path / str(count), random_units(count, 8))
        clusters = cluster_images(index, list("abcde"), phrases)
        assert len(clusters) == wanted
        assert sum(cluster.size for cluster in clusters) == count


def test_more_clusters_than_images_are_refused(tmp_path: Path) -> None:
    index = make_index(tmp_path, random_units(4, 8))
    assert len(cluster_images(index, ["a"], random_units(1, 8), 4)) == 4
    with pytest.raises(LabelError, match="5 clusters of 4 images"):
        cluster_images(index, ["a"], random_units(1, 8), 5)


def test_copies_alone_are_one_cluster_named_by_what_is_near(tmp_path: Path) -> None:
    vectors = np.repeat(unit([[0.1, 1, 0, 0.2]]), 5, axis=0)
    (cluster,) = cluster_images(make_index(tmp_path, vectors), WORDS, np.eye(4, dtype=np.float32)[:3], 3)
    assert (cluster.size, cluster.names[0]) == (5, "north")


def test_the_vocabulary_is_sorted_has_no_phrase_twice_and_knows_screens_and_things() -> None:
    phrases = vocabulary()
    assert list(phrases) == sorted(set(phrases))
    assert len(phrases) >= 2000
    assert all(phrase == phrase.strip() and phrase for phrase in phrases)
    assert {"login screen", "bar chart", "cat", "brick wall"} <= set(phrases)
