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

_SCHEMA = """CREATE TABLE IF NOT EXISTS vectors
    (model TEXT, digest BLOB, vector BLOB, cut INTEGER, PRIMARY KEY (model, digest))"""


@dataclass(frozen=True, slots=True)
class CachedVector:
    """vector: float32 (d,). cut: whether the prompt was longer than the model's context."""

    vector: npt.NDArray[np.float32]
    cut: bool = False


class QueryCache:
    """A table beside the index, keyed by model and content hash. It is only a cache: where it cannot be read or written
    (a read-only index, a damaged file), queries are encoded as if it were empty."""

    def __init__(self, index_dir: Path, model: str) -> None:
        """model: all that decides a vector, as the index records it."""
        self._path = index_dir / CACHE
        self._model = model

    def get(self, digests: Iterable[bytes]) -> dict[bytes, CachedVector]:
        """digest -> vector, for those that are known."""
        known = {}
        with _unless_broken(self._path), self._connection() as connection:
            for digest in digests:
                row = connection.execute(
                    "SELECT vector, cut FROM vectors WHERE model = ? AND digest = ?", (self._model, digest)
                ).fetchone()
                if row is not None:
                    known[digest] = CachedVector(np.frombuffer(row[0], dtype="<f4"), bool(row[1]))
        return known

    def put(self, vectors: Mapping[bytes, CachedVector]) -> None:
        with _unless_broken(self._path), self._connection() as connection, connection:
            connection.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)",
                [
                    (self._model, digest, item.vector.astype("<f4").tobytes(), item.cut)
                    for digest, item in vectors.items()
                ],
            )
            connection.execute("DELETE FROM vectors WHERE rowid <= (SELECT max(rowid) FROM vectors) - ?", (_MOST_ROWS,))

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
    except sqlite3.Error as error:
        log.debug("%s: not used (%s)", path, error)
