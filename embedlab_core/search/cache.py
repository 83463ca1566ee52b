"""Vectors of earlier queries, so that a repeated query loads no model."""

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

log = logging.getLogger(__name__)

CACHE = "queries.sqlite"

# 2 KB a vector of 512: at most about 20 MB.
_MOST_ROWS = 10_000

# Of a unit vector that went through float32 arithmetic.
_NORM_TOLERANCE = 1e-3

# Earlier versions had a table `vectors`, which knew less of a prompt.
_SCHEMA = """CREATE TABLE IF NOT EXISTS queries
    (model TEXT, digest BLOB, vector BLOB, cut INTEGER, unknown INTEGER, PRIMARY KEY (model, digest))"""


@dataclass(frozen=True, slots=True)
class CachedVector:
    """vector: float32 (d,), unit length. cut: whether the prompt was longer than the model's context. unknown: whether
    the model knows none of its words."""

    vector: npt.NDArray[np.float32]
    cut: bool = False
    unknown: bool = False


class QueryCache:
    """A table beside the index, keyed by model and content hash. It is only a cache: where it cannot be read or written
    (a read-only index, a damaged file), queries are encoded as if it were empty."""

    def __init__(self, index_dir: Path, model: str, dim: int) -> None:
        """model: all that decides a vector, as the index records it. dim: of its vectors."""
        self._path = index_dir / CACHE
        self._model = model
        self._dim = dim

    def get(self, digests: Iterable[bytes]) -> dict[bytes, CachedVector]:
        """digest -> vector, for those that are known. A row that is damaged is not known."""
        known = {}
        with _unless_broken(self._path), self._connection() as connection:
            for digest in digests:
                row = connection.execute(
                    "SELECT vector, cut, unknown FROM queries WHERE model = ? AND digest = ?", (self._model, digest)
                ).fetchone()
                if row is not None and (found := self._checked(*row)):
                    known[digest] = found
        return known

    def _checked(self, vector: object, cut: object, unknown: object) -> CachedVector | None:
        """SQLite keeps values of any type in any column."""
        if not isinstance(vector, bytes) or len(vector) != 4 * self._dim or not {cut, unknown} <= {0, 1}:
            return None
        values = np.frombuffer(vector, dtype="<f4")
        with np.errstate(invalid="ignore", over="ignore"):
            is_unit = abs(float(np.linalg.norm(values)) - 1) < _NORM_TOLERANCE  # NaN is less than nothing.
        return CachedVector(values, bool(cut), bool(unknown)) if is_unit else None

    def put(self, vectors: Mapping[bytes, CachedVector]) -> None:
        with _unless_broken(self._path), self._connection() as connection, connection:
            connection.executemany(
                "INSERT OR REPLACE INTO queries VALUES (?, ?, ?, ?, ?)",
                [
                    (self._model, digest, item.vector.astype("<f4").tobytes(), item.cut, item.unknown)
                    for digest, item in vectors.items()
                ],
            )
            connection.execute("DELETE FROM queries WHERE rowid <= (SELECT max(rowid) FROM queries) - ?", (_MOST_ROWS,))
            connection.execute("DROP TABLE IF EXISTS vectors")

    def _connection(self) -> contextlib.closing[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=1.0)
        try:
            connection.execute(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            self._remove_if_empty()
            raise
        return contextlib.closing(connection)

    def _remove_if_empty(self) -> None:
        """What a full disk leaves of a new database."""
        with contextlib.suppress(OSError):
            if self._path.is_file() and self._path.stat().st_size == 0:
                self._path.unlink()


@contextlib.contextmanager
def _unless_broken(path: Path) -> Iterator[None]:
    try:
        yield
    # UnicodeDecodeError: SQLite quotes a damaged file in its message.
    except (sqlite3.Error, UnicodeDecodeError) as error:
        log.debug("%s: not used (%s)", path, error)
