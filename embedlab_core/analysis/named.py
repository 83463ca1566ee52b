"""Images of an index by the names that people give."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedlab_core.errors import DuplicatesError
from embedlab_core.index.reader import IndexReader
from embedlab_core.index.rows import Key


def rows_named(index: IndexReader, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """int64 (n,): the rows of paths as results show them, or as they open from the current directory.

    Raises DuplicatesError if one is not in the index.
    """
    rows = {key: row for row, key in enumerate(index.keys)}
    shown = {index.shown(*key): row for key, row in rows.items()}
    found = [shown.get(Path(name).as_posix(), _row(index, name, rows)) for name in names]
    if missing := [name for name, row in zip(names, found, strict=True) if row is None]:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DuplicatesError(f"{missing[0]}{more}: not in {index.directory}; give paths as analyze prints them")
    return np.array(found, dtype=np.int64)


def _row(index: IndexReader, name: str, rows: Mapping[Key, int]) -> int | None:
    given = Path(os.path.abspath(name))  # noqa: PTH100 - not resolve(): a link in the folder is an image of its own.
    for path in (given, Path(os.path.realpath(given.parent), given.name)):
        for number, folder in enumerate(index.folders):
            if path.is_relative_to(folder):
                return rows.get((number, path.relative_to(folder).as_posix()))
    return None
