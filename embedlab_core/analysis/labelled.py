"""Pairs of images of an index that are known to be duplicates, or known not to be."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.named import rows_named
from embedlab_core.errors import DuplicatesError, why_unreadable
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines

_COLUMNS = ("path_a", "path_b", "same")
_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class LabelledPairs:
    """scores: float32 (m,), cosines. same: bool (m,), whether the pair is one of duplicates. weights: float64 (m,), how
    many pairs each stands for. units: int64 (m,): pairs of one unit are not independent of each other."""

    scores: npt.NDArray[np.float32]
    same: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float64]
    units: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "LabelledPairs":
        return LabelledPairs(self.scores[chosen], self.same[chosen], self.weights[chosen], self.units[chosen])


def joined(one: LabelledPairs, other: LabelledPairs) -> LabelledPairs:
    return LabelledPairs(
        scores=np.concatenate([one.scores, other.scores]),
        same=np.concatenate([one.same, other.same]),
        weights=np.concatenate([one.weights, other.weights]),
        units=np.concatenate([one.units, other.units]),
    )


def pairs_of_file(index: IndexReader, file: Path) -> LabelledPairs:
    """The pairs of a CSV file with the columns path_a, path_b (as results show them) and same (1 or 0, true or false,
    yes or no).

    Raises DuplicatesError for a file that cannot be read and for images that are not in the index.
    """
    entries = list(_entries(file))
    rows_a = rows_named(index, [one for one, _, _ in entries])
    rows_b = rows_named(index, [other for _, other, _ in entries])
    if (twice := np.flatnonzero(rows_a == rows_b)).size:
        raise DuplicatesError(f"{file}: {entries[twice[0]][0]} is paired with itself; remove that line")
    return LabelledPairs(
        scores=cosines(index.vectors(rows_a), index.vectors(rows_b)),
        same=np.array([same for _, _, same in entries], dtype=np.bool_),
        weights=np.ones(len(entries)),
        units=np.arange(len(entries)),
    )


def _entries(file: Path) -> Iterator[tuple[str, str, bool]]:
    try:
        reader = csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline=""))
        if missing := [name for name in _COLUMNS if name not in (reader.fieldnames or ())]:
            raise DuplicatesError(f"{file}: no column {missing[0]}; the first line has to be {','.join(_COLUMNS)}")
        for entry in reader:
            one, other, same = (entry[name] for name in _COLUMNS)
            if not one or not other or (same or "").strip().lower() not in _TRUTHS:
                raise DuplicatesError(f"{file}: line {reader.line_num}: needs two paths, and 1 or 0 under same")
            yield one, other, _TRUTHS[same.strip().lower()]
    except (OSError, UnicodeDecodeError) as error:
        raise DuplicatesError(f"{file}: {why_unreadable(error)}") from error
    except csv.Error as error:
        raise DuplicatesError(f"{file}: not a readable CSV file ({error})") from error
