"""Thresholds and probabilities that pairs give, what is kept of them, and pairs that cannot be used."""

import csv
import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.analysis.calibration import (
    CALIBRATION,
    LEAST_PAIRS,
    Calibration,
    fit,
    load_calibration,
    lowest_threshold,
    precision_and_recall,
    save_calibration,
    with_copies,
)
from embedlab_core.analysis.curves import CURVES, PRECISION_RECALL, ROC, curves_of, write_curves
from embedlab_core.analysis.labelled import LabelledPairs, pairs_of_file
from embedlab_core.analysis.thresholds import limits_of
from embedlab_core.errors import DuplicatesError
from embedlab_core.index.reader import IndexReader
from tests.support import make_index, random_units, unit


def pairs_of(scores: list[float], same: list[bool]) -> LabelledPairs:
    return LabelledPairs(
        np.array(scores, np.float32), np.array(same, np.bool_), np.ones(len(same)), np.arange(len(same))
    )


def overlapping(count: int = 400, seed: int = 0) -> LabelledPairs:
    """Duplicates around 0.9, strangers around 0.6, both with a spread of 0.1."""
    chance = np.random.default_rng(seed)
    same = np.arange(count) % 2 == 0
    scores = np.clip(np.where(same, 0.9, 0.6) + 0.1 * chance.normal(size=count), -1, 1)
    return pairs_of(scores.tolist(), same.tolist())


@pytest.fixture
def index(tmp_path: Path) -> IndexReader:
    return make_index(tmp_path / "index", random_units(4, 8))


def fitted(index: IndexReader, wanted: float = 0.9) -> Calibration:
    return fit(index, overlapping(), "labels", wanted, seed=0)


LABELLED = st.lists(
    st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.5, 0.7, 0.9]), st.booleans(), st.sampled_from([0.5, 1.0, 2.0])),
    min_size=1,
    max_size=12,
)


@given(LABELLED, st.sampled_from([0.5, 0.75, 0.9, 1.0]))
def test_the_threshold_is_the_lowest_of_enough_precision(
    labelled: list[tuple[float, bool, float]], wanted: float
) -> None:
    pairs = replace(
        pairs_of([score for score, _, _ in labelled], [same for _, same, _ in labelled]),
        weights=np.array([weight for _, _, weight in labelled]),
    )
    ordered = pairs.take(np.argsort(-pairs.scores))
    good = [score for score in ordered.scores.tolist() if precision_and_recall(pairs, score)[0] >= wanted]
    assert lowest_threshold(ordered, wanted) == (min(good) if good else None)


def test_a_calibration_keeps_what_was_asked_for_and_says_how_sure_it_is(index: IndexReader) -> None:
    found = fitted(index)
    assert found.precision.value >= 0.9
    for estimate in (found.threshold, found.precision, found.recall):
        assert estimate.low <= estimate.value <= estimate.high
    assert (found.duplicates, found.strangers) == (200, 200)
    assert found.held_out_precision is not None
    assert 0.8 < found.held_out_precision < 1
    assert fitted(index, 0.99).threshold.value > found.threshold.value


def test_probabilities_rise_with_the_cosine_from_0_to_1(index: IndexReader) -> None:
    found = fitted(index)
    chances = [found.probability(cosine) for cosine in np.linspace(-1, 1, 50)]
    assert chances == sorted(chances)
    assert (chances[0], chances[-1]) == (0, 1)
    assert 0.2 < found.probability(0.75) < 0.8


def test_no_threshold_is_given_where_none_is_precise_enough(index: IndexReader) -> None:
    pairs = pairs_of([0.9] * 150 + [0.5] * 150, [False] * 150 + [True] * 150)
    with pytest.raises(DuplicatesError, match=r"no threshold reaches a precision of 0\.99"):
        fit(index, pairs, "labels", 0.99, seed=0)


@pytest.mark.parametrize(
    ("duplicates", "strangers", "message"),
    [
        (100, 0, "0 labelled pairs with same = 0"),
        (0, 100, "0 labelled pairs with same = 1"),
        (99, 100, "99 labelled pairs with same = 1: a precision of 0.99 takes 100"),
        (100, LEAST_PAIRS - 1, "with same = 0"),
    ],
)
def test_too_few_labels_say_how_many_are_needed(
    index: IndexReader, duplicates: int, strangers: int, message: str
) -> None:
    pairs = pairs_of([0.9] * duplicates + [0.1] * strangers, [True] * duplicates + [False] * strangers)
    with pytest.raises(DuplicatesError, match=message):
        fit(index, pairs, "labels", 0.99, seed=0)


def test_the_shares_of_copies_found_are_those_at_or_above_the_threshold(index: IndexReader) -> None:
    found = fitted(index)
    limit = np.float32(found.threshold.value)
    below = np.nextafter(limit, np.float32(-1))
    assert with_copies(found, {"crop": np.array([limit, below, 1, -1])}).copies == {"crop": 0.5}


def test_what_was_saved_is_read_again(index: IndexReader) -> None:
    assert load_calibration(index) is None
    found = with_copies(fitted(index), {"crop": np.ones(1, np.float32)})
    save_calibration(index, found)
    assert load_calibration(index) == found
    assert limits_of(index, "auto").tolist() == [np.float32(found.threshold.value)] * 4


def test_auto_without_a_calibration_says_how_to_get_one(index: IndexReader) -> None:
    with pytest.raises(DuplicatesError, match=f"not calibrated yet; run: embedlab calibrate --index {index.directory}"):
        limits_of(index, "auto")


def test_a_changed_index_is_warned_of(index: IndexReader, caplog: pytest.LogCaptureFixture) -> None:
    save_calibration(index, fitted(index))
    changed = make_index(index.directory, random_units(5, 8, seed=1))
    with caplog.at_level(logging.WARNING):
        assert load_calibration(changed) is not None
    assert "another state of the index" in caplog.text


def test_a_calibration_of_another_model_is_refused(index: IndexReader) -> None:
    save_calibration(index, replace(fitted(index), models="CLIP (123, float32)"))
    with pytest.raises(DuplicatesError, match=r"made for CLIP .*, not for synthetic"):
        load_calibration(index)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-30],
        lambda text: "[]",
        lambda text: text.replace('"format": 1', '"format": 2'),
        lambda text: text.replace('"wanted"', '"unwanted"'),
        lambda text: json.dumps(json.loads(text) | {"cosines": ["a"]}),
        lambda text: json.dumps(json.loads(text) | {"probabilities": []}),
        lambda text: json.dumps(json.loads(text) | {"threshold": {"value": "high", "low": 0, "high": 1}}),
    ],
)
def test_a_damaged_calibration_is_one_error(index: IndexReader, damage: object) -> None:
    save_calibration(index, fitted(index))
    path = index.directory / CALIBRATION
    path.write_text(damage(path.read_text()))  # type: ignore[operator]
    with pytest.raises(DuplicatesError, match=r"calibration\.json: not a readable calibration .* run: embedlab"):
        load_calibration(index)


def test_curves_end_at_all_pairs(tmp_path: Path) -> None:
    curves = curves_of(overlapping())
    assert (curves.recall[-1], curves.false_positive_rate[-1], curves.precision[-1]) == (1, 1, 0.5)
    assert np.all(np.diff(curves.thresholds) < 0)
    write_curves(tmp_path, curves, 0.8)
    with (tmp_path / CURVES).open() as lines:
        table = list(csv.DictReader(lines))
    assert len(table) == len(curves.thresholds)
    assert float(table[0]["precision"]) == 1
    first = [(tmp_path / name).read_bytes() for name in (ROC, PRECISION_RECALL)]
    assert all(content.startswith(b"\x89PNG") for content in first)
    write_curves(tmp_path, curves, 0.8)
    assert [(tmp_path / name).read_bytes() for name in (ROC, PRECISION_RECALL)] == first


def labels(folder: Path, *lines: str, header: str = "path_a,path_b,same") -> Path:
    file = folder / "pairs.csv"
    file.write_text("\n".join((header, *lines)) + "\n")
    return file


def test_labelled_pairs_have_the_cosines_of_their_images(tmp_path: Path) -> None:
    index = make_index(tmp_path / "index", unit([[1, 0], [0.6, 0.8], [0, 1]]))
    pairs = pairs_of_file(index, labels(tmp_path, "000.png,001.png,1", "./002.png,000.png,No"))
    assert pairs.scores.tolist() == [np.float32(0.6), 0]
    assert pairs.same.tolist() == [True, False]


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        (["000.png,nowhere.png,1"], "path_a,path_b,same", "nowhere.png: not in"),
        (["000.png,001.png,maybe"], "path_a,path_b,same", "line 2: needs two paths"),
        (["000.png,001.png"], "path_a,path_b,same", "line 2: needs two paths"),
        (["000.png,000.png,1"], "path_a,path_b,same", "000.png is paired with itself"),
        (["000.png,001.png,1"], "a,b,same", "no column path_a"),
        ([], "", "no column path_a"),
    ],
)
def test_labels_that_cannot_be_used_are_named(
    index: IndexReader, tmp_path: Path, lines: list[str], header: str, message: str
) -> None:
    with pytest.raises(DuplicatesError, match=message):
        pairs_of_file(index, labels(tmp_path, *lines, header=header))


def test_a_file_of_labels_that_is_not_text_is_named(index: IndexReader, tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_bytes(b"path_a,path_b,same\n\xff\xfe,x,1\n")
    with pytest.raises(DuplicatesError, match=r"pairs\.csv: not UTF-8 text \(byte 0xff at 19\); save it as UTF-8"):
        pairs_of_file(index, tmp_path / "pairs.csv")
    with pytest.raises(DuplicatesError, match=r"none\.csv: no such file"):
        pairs_of_file(index, tmp_path / "none.csv")
    with pytest.raises(DuplicatesError, match="a folder, not a file"):
        pairs_of_file(index, tmp_path)
    (tmp_path / "pairs.csv").write_text(f"path_a,path_b,same\n{'x' * 200_000},y,1\n")
    with pytest.raises(DuplicatesError, match=r"pairs\.csv: not a readable CSV file \(field larger"):
        pairs_of_file(index, tmp_path / "pairs.csv")
