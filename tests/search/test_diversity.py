"""Results that are not all alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.search.diversity import diversify, intra_list_distance
from tests.support import random_units, unit

QUERY = np.array([1, 0, 0], np.float32)
# Two near-equal good ones, one fair one in another direction, one bad one.
VECTORS = unit([[1, 0.1, 0], [1, 0.12, 0], [0.8, -0.6, 0], [0.1, 0, 1]])
SCORES = VECTORS @ QUERY


def test_without_diversity_the_order_is_that_of_relevance() -> None:
    assert diversify(VECTORS, SCORES, 3, 0.0) == [0, 1, 2]


def test_with_diversity_the_second_is_unlike_the_first() -> None:
    assert diversify(VECTORS, SCORES, 2, 0.5)[1] == 2
    assert diversify(VECTORS, SCORES, 2, 1.0)[1] == 3


def test_near_duplicates_of_a_shown_one_are_never_shown() -> None:
    cosine = float(VECTORS[0] @ VECTORS[1])
    assert diversify(VECTORS, SCORES, 4, 0.0, ceiling=cosine - 1e-5) == [0, 2, 3]
    assert diversify(VECTORS, SCORES, 4, 0.0, ceiling=cosine + 1e-5) == [0, 1, 2, 3]


@given(st.integers(1, 12), st.integers(1, 15), st.floats(0, 1), st.integers(0, 50))
def test_the_most_relevant_comes_first_and_none_twice(count: int, k: int, diversity: float, seed: int) -> None:
    vectors = random_units(count + 1, 6, seed)
    scores = np.sort(vectors[1:] @ vectors[0])[::-1]
    chosen = diversify(vectors[1:], scores, k, diversity)
    assert chosen[0] == 0 or diversity == 1
    assert len(chosen) == len(set(chosen)) == min(k, count)


@given(st.integers(2, 10), st.integers(0, 50), st.floats(0, 1))
def test_no_two_shown_ones_reach_the_ceiling(count: int, seed: int, diversity: float) -> None:
    vectors = random_units(count, 3, seed)
    chosen = diversify(vectors, vectors[:, 0], count, diversity, ceiling=0.5)
    cosines = vectors[chosen] @ vectors[chosen].T
    assert (cosines[~np.eye(len(chosen), dtype=bool)] < 0.5).all()


def test_intra_list_distance_is_the_mean_over_pairs() -> None:
    assert intra_list_distance(np.eye(3, dtype=np.float32)) == 1.0
    assert intra_list_distance(unit([[1, 0], [1, 0], [0, 1]])) == pytest.approx(2 / 3)
    assert intra_list_distance(unit([[1, 0]])) == 0.0
