"""Cosines are the float64 ones rounded once, and a BLAS product never misses them by more than is claimed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.search.similarity import cosines, product_error
from tests.support import random_units


@given(st.integers(1, 700), st.integers(1, 30), st.integers(0, 1000))
def test_cosines_are_float64_sums_rounded_once(dim: int, count: int, seed: int) -> None:
    left, right = random_units(count, dim, seed), random_units(count, dim, seed + 1)
    exact = (left.astype(np.float64) * right.astype(np.float64)).sum(axis=1)
    scores = cosines(left, right)
    assert scores.dtype == np.float32
    assert np.abs(scores - exact).max() <= np.spacing(np.float32(1)) / 2 + 1e-12


@given(st.integers(1, 700), st.integers(0, 1000))
def test_a_cosine_does_not_depend_on_the_rows_beside_it(dim: int, seed: int) -> None:
    left, right = random_units(9, dim, seed), random_units(9, dim, seed + 1)
    alone = [cosines(left[row : row + 1], right[row : row + 1])[0] for row in range(9)]
    assert cosines(left, right).tolist() == alone
    assert cosines(right, left).tolist() == alone


@pytest.mark.parametrize("dim", [1, 2, 3, 16, 512, 768])
def test_a_product_misses_a_cosine_by_no_more_than_is_claimed(dim: int) -> None:
    vectors = random_units(200, dim)
    product = vectors @ vectors.T
    rows = np.indices(product.shape).reshape(2, -1)
    exact = cosines(vectors[rows[0]], vectors[rows[1]]).reshape(product.shape)
    assert np.abs(product - exact).max() <= product_error(dim)


@pytest.mark.parametrize("dim", [1, 16, 512, 768])
def test_identical_vectors_score_one(dim: int) -> None:
    vectors = random_units(200, dim)
    assert (cosines(vectors, vectors) == 1).all()
    # So do they with lengths that a model's own rounding has left.
    for length in (0.999, 1.001):
        scaled = vectors * np.float32(length)
        assert (cosines(scaled, scaled.copy()) == 1).all()


def test_vectors_that_differ_in_one_bit_score_what_they_score() -> None:
    left = random_units(200, 512)
    right = left.copy()
    right[:, 7] = np.nextafter(right[:, 7], np.float32(2))
    exact = (left.astype(np.float64) * right.astype(np.float64)).sum(axis=1)
    assert np.array_equal(cosines(left, right), exact.astype(np.float32))
