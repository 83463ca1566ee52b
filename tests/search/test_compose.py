"""Several images and prompts as one query."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.errors import QueryError
from embedlab_core.search.compose import Means, Weighted, combine
from embedlab_core.search.queries import Query
from tests.support import Vectors, random_units, unit

ZERO = Means(np.zeros(4, np.float32), np.zeros(4, np.float32))


def text(name: str, vector: Vectors) -> Query:
    return Query(name, "text", vector)


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf")])
def test_a_weight_is_above_0_and_finite(weight: float) -> None:
    with pytest.raises(QueryError, match=r"'a dog': a weight of .*; it must be above 0, and finite"):
        Weighted("a dog", weight)


def test_the_sum_of_centred_unit_parts_is_the_query() -> None:
    means = Means(image=np.array([0.5, 0, 0, 0], np.float32), text=np.array([0, 0.5, 0, 0], np.float32))
    image = Query("a.png", "image", unit([0.5, 0, 1, 0]), (b"digest",))
    prompt = text("a dog", unit([0, 0.5, 0, 1]))
    query = combine([(1.0, image), (2.0, prompt)], means)
    wanted = unit(unit(image.vector - means.image) + 2 * unit(prompt.vector - means.text).astype(np.float64))
    assert query.vector == pytest.approx(wanted, abs=1e-6)
    assert (query.name, query.modality, query.digests) == ("a.png + 2:a dog", "composed", (b"digest",))


def test_only_the_ratio_of_weights_counts() -> None:
    one, other = text("a", unit([1, 0, 0, 0])), text("b", unit([0, 1, 0, 0]))
    large = combine([(3e300, one), (1e300, other)], ZERO)
    assert large.vector == pytest.approx(combine([(3.0, one), (1.0, other)], ZERO).vector)


@given(st.lists(st.floats(0.1, 5) | st.floats(-5, -0.1), min_size=1, max_size=5), st.integers(0, 100))
def test_the_shares_of_the_parts_add_up_to_the_score(weights: list[float], seed: int) -> None:
    weights[0] = abs(weights[0])
    vectors = random_units(len(weights) + 1, 8, seed)
    means = Means(np.zeros(8, np.float32), np.zeros(8, np.float32))
    query = combine([(weight, text("t", vector)) for weight, vector in zip(weights, vectors, strict=False)], means)
    assert np.linalg.norm(query.vector) == pytest.approx(1, abs=1e-5)
    assert (query.directions @ vectors[-1]).sum() == pytest.approx(query.vector @ vectors[-1], abs=1e-5)
    assert [part.weight for part in query.parts] == weights


def test_parts_that_cancel_out_are_an_error_that_names_them() -> None:
    dog = text("a dog", unit([1, 2, 3, 4]))
    with pytest.raises(QueryError, match="cancel out \\(a dog, a dog\\)"):
        combine([(1.0, dog), (-1.0, dog)], ZERO)


def test_only_taking_away_is_an_error() -> None:
    with pytest.raises(QueryError, match="nothing to search for"):
        combine([(-1.0, text("snow", unit([1, 0, 0, 0])))], ZERO)
