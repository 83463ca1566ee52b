"""Which image of a group is suggested to be kept, and why."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedlab_core.analysis.keeper import group_facts
from embedlab_core.images.quality import QualityScores
from embedlab_core.index.reader import IndexReader
from tests.support import make_rows, open_writer

EQUAL: dict[str, list[Any]] = {"widths": [8, 8, 8], "heights": [6, 6, 6], "sizes": [9, 9, 9], "sharpness": [1, 1, 1]}


@pytest.mark.parametrize(
    ("columns", "keeper", "reason"),
    [
        ({}, "a", "path"),
        ({"widths": [8, 8, 9], "sizes": [99, 9, 9]}, "b", "resolution"),
        ({"widths": [9, 8, 6], "heights": [6, 8, 9]}, "a", "resolution"),
        ({"sizes": [9, 9, 10], "sharpness": [5, 1, 1]}, "b", "file size"),
        ({"sharpness": [1, 2, 1]}, "a", "sharpness"),
        ({"widths": [8, 9, 9], "sizes": [99, 9, 9], "sharpness": [1, 1, 3]}, "b", "sharpness"),
    ],
)
def test_the_keeper_has_the_most_pixels_then_bytes_then_sharpness_then_the_first_path(
    tmp_path: Path, columns: dict[str, list[Any]], keeper: str, reason: str
) -> None:
    facts = group_facts(_index(tmp_path, ["c", "a", "b"], EQUAL | columns), np.arange(3), 3)
    assert (facts.keeper, facts.reason) == (keeper, reason)


@pytest.mark.parametrize(("pairs", "chains"), [(3, False), (2, True)])
def test_a_group_chains_if_it_has_fewer_pairs_than_two_of_its_images_can_form(
    tmp_path: Path, pairs: int, chains: bool
) -> None:
    assert group_facts(_index(tmp_path, ["c", "a", "b"], EQUAL), np.arange(3), pairs).chains is chains


def _index(directory: Path, paths: list[str], columns: dict[str, list[Any]]) -> IndexReader:
    rows = make_rows(np.ones((3, 1), np.float32), paths)
    quality = np.zeros((3, len(QualityScores._fields)), np.float32)
    quality[:, 3] = columns["sharpness"]
    numbers = {name: np.array(columns[name], getattr(rows, name).dtype) for name in ("widths", "heights", "sizes")}
    with open_writer(directory, 1) as writer:
        writer.append(replace(rows, quality=quality, **numbers))
    return IndexReader.open(directory)
