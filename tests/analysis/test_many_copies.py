"""Many equal images cost little time and memory."""

from pathlib import Path

import numpy as np
import pytest

from embedlab_core.analysis.duplicates import DuplicateOptions, find_duplicates
from embedlab_core.analysis.groups import Grouping
from tests.support import make_index, random_units, run_python, unit

MEASURED = """
import sys
from pathlib import Path
from embedlab_core.analysis.analyze import analyze
from embedlab_core.analysis.duplicates import DuplicateOptions
from embedlab_core.index.reader import IndexReader
from tests.peak import peak_mb

analyze(IndexReader.open(Path(sys.argv[1])), DuplicateOptions(0.92, sys.argv[2]), 8, explain=True)
print(round(peak_mb()))
"""


@pytest.mark.parametrize("grouping", ["components", "complete", "medoid"])
def test_three_thousand_equal_images_take_no_memory_for_their_pairs(tmp_path: Path, grouping: Grouping) -> None:
    vectors = random_units(4000, 64)
    vectors[500:3500] = vectors[500]
    make_index(tmp_path, vectors)
    ran = run_python("-c", MEASURED, tmp_path, grouping)
    assert ran.code == 0, ran.stderr
    # 4.5 million pairs would take 90 MB as arrays, gigabytes as objects; NumPy and the program take some 90.
    assert int(ran.stdout) < 300


@pytest.mark.parametrize("grouping", ["components", "complete", "medoid"])
def test_equal_and_nearly_equal_images_are_one_group_and_its_pairs_are_counted(
    tmp_path: Path, grouping: Grouping
) -> None:
    near = unit(random_units(1, 64) + 0.001 * random_units(200, 64, seed=1))
    vectors = np.concatenate([near, np.repeat(near[:1], 100, axis=0), random_units(50, 64, seed=2)])
    index = make_index(tmp_path, vectors)
    (group,) = find_duplicates(index, DuplicateOptions(0.92, grouping), explain=True).groups
    assert len(group.paths) == 300
    assert group.spread.pair_count == 300 * 299 // 2
    assert group.facts is not None
    assert len(group.facts.evidence) <= 2
