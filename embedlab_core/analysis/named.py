"""Images of an index by the names that people give."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedlab_core.errors import DuplicatesError
from embedlab_core.index.reader import IndexReader


def rows_named(index: IndexReader, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """int64 (n,): the rows of paths as results show them. Raises DuplicatesError if one is not in the index."""
    wanted = [Path(name).as_posix() for name in names]
    known = set(wanted)
    rows = {path: row for row, path in enumerate(index.paths(np.arange(len(index)))) if path in known}
    if missing := [name for name, path in zip(names, wanted, strict=True) if path not in rows]:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DuplicatesError(f"{missing[0]}{more}: not in {index.directory}; give paths as analyze prints them")
    return np.array([rows[path] for path in wanted], dtype=np.int64)
