"""Which images may be results at all."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.index.reader import IndexReader
from embedlab_core.search.filters import Filter, matching
from embedlab_core.search.rank import top_k
from tests.conftest import IndexFactory
from tests.support import make_index, random_units

NONE = np.empty(0, np.int64)


@pytest.fixture
def index(tmp_path: Path) -> IndexReader:
    names = ["2023/a.jpg", "2023/b.png", "2024/a.jpg", "2024/deep/c.jpg", "top.jpg"]
    return make_index(tmp_path, random_units(5, 4), names, parts=[[0, 1], [2, 3, 4]])


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*.jpg", [0, 2, 3, 4]),
        ("2024/*", [2, 3]),
        ("*/a.jpg", [0, 2]),
        ("top.jpg", [4]),
        ("202[3]/?.png", [1]),
        ("x", []),
    ],
)
def test_a_pattern_matches_whole_paths_and_a_star_matches_slashes(
    index: IndexReader, pattern: str, wanted: list[int]
) -> None:
    assert np.flatnonzero(matching(index, pattern)).tolist() == wanted


@pytest.mark.parametrize("pattern", ["*M\u00fcller*", "*Mu\u0308ller*", "*M[\u00fc]ller*", "*M?ller*"])
def test_letters_match_however_they_are_composed(tmp_path: Path, pattern: str) -> None:
    paths = ["M\u00fcller/a.jpg", "Mu\u0308ller/b.jpg", "Mueller/c.jpg", "M\udcfcller.jpg"]
    index = make_index(tmp_path / "index", random_units(4, 3), paths=paths)
    found = np.flatnonzero(matching(index, pattern)).tolist()
    assert found == ([0, 1, 3] if "?" in pattern else [0, 1])


@given(st.lists(st.booleans(), min_size=12, max_size=12), st.sets(st.integers(0, 11)), st.integers(1, 12))
def test_filtered_results_are_those_of_an_index_without_the_others(
    new_index: IndexFactory, allowed: list[bool], excluded: set[int], k: int
) -> None:
    vectors = random_units(12, 5)
    index = new_index(vectors, parts=[range(5), range(5, 12)])
    query_filter = Filter(np.array(allowed), np.array(sorted(excluded), np.int64))
    (hits,) = top_k(index, vectors[:1], k, [query_filter])
    rest = [row for row in range(12) if allowed[row] and row not in excluded]
    (everything,) = top_k(index, vectors[:1], 12)
    assert hits == [hit for hit in everything if hit.row in rest][:k]
    mask = query_filter.mask(12)
    assert mask is None or np.flatnonzero(mask).tolist() == rest


def test_a_filter_that_leaves_out_nothing_has_no_mask() -> None:
    assert Filter(None, NONE).mask(3) is None
