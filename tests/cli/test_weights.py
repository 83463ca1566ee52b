"""Weights before prompts and paths on the command line."""

from pathlib import Path

import pytest

from embedlab_core import Index, Weighted
from embedlab_core.cli.weights import weighted_image, weighted_prompt
from embedlab_core.errors import QueryError
from embedlab_core.search.search import QuerySet


@pytest.mark.parametrize(
    ("written", "weight", "rest"),
    [
        ("a dog", 1.0, "a dog"),
        ("2:a dog", 2.0, "a dog"),
        ("0.5:a dog", 0.5, "a dog"),
        (".5:x", 0.5, "x"),
        ("1e2:x", 100.0, "x"),
        ("2: 3:x", 2.0, "3:x"),
        ("warning: fire", 1.0, "warning: fire"),
        ("nan:x", 1.0, "nan:x"),
        # A time of day, a shape of screens.
        ("10:30 red", 1.0, "10:30 red"),
        ("16:9 screenshot", 1.0, "16:9 screenshot"),
        ("2: 10:30 on a clock", 2.0, "10:30 on a clock"),
    ],
)
def test_a_number_and_a_colon_before_a_prompt_are_a_weight(written: str, weight: float, rest: str) -> None:
    assert weighted_prompt(written) == Weighted(rest, weight)


@pytest.mark.parametrize(
    ("written", "weight", "rest"),
    [
        ("a.png", 1.0, "a.png"),
        ("2:017.png", 2.0, "017.png"),
        ("C:/photos/a.jpg", 1.0, "C:/photos/a.jpg"),
        ("2:10:30.png", 2.0, "10:30.png"),
        ("10:30.png", 1.0, "10:30.png"),
    ],
)
def test_a_path_may_begin_with_a_digit_and_a_file_that_is_called_so_has_no_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, weight: float, rest: str
) -> None:
    (tmp_path / "10:30.png").touch()
    monkeypatch.chdir(tmp_path)
    assert weighted_image(written) == Weighted(rest, weight)


@pytest.mark.parametrize("written", ["1.2.3:dog", "-1:dog", "0:dog", "1e999:dog", "2: "])
def test_weights_that_are_no_positive_numbers_are_named(written: str) -> None:
    for parse in (weighted_prompt, weighted_image):
        with pytest.raises(QueryError, match="weight"):
            parse(written)


def test_the_library_takes_text_as_it_is(tiny_index: Path, monkeypatch: pytest.MonkeyPatch, tiny_root: Path) -> None:
    monkeypatch.setenv("EMBEDLAB_WEIGHTS", str(tiny_root))
    index = Index.open(tiny_index)
    parts = index.search(text=["10:30 red", Weighted("2:blue", 0.5)]).query.parts
    assert [(part.name, part.weight) for part in parts] == [("10:30 red", 1.0), ("2:blue", 0.5)]
    with pytest.raises(QueryError, match="a weight means something only in a combined query"):
        index.search_each(QuerySet(prompts=[Weighted("red", 2.0)]))
