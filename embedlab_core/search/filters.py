"""Which images may be results at all."""

import fnmatch
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.index.reader import IndexReader


@dataclass(frozen=True, slots=True)
class Filter:
    """allowed: bool (n,), None for all. excluded: int64, row numbers that are left out besides."""

    allowed: npt.NDArray[np.bool_] | None
    excluded: npt.NDArray[np.int64]

    def apply(self, start: int, scores: npt.NDArray[np.float32]) -> None:
        """Set the scores of those left out, in a block that begins at row `start`, to minus infinity."""
        end = start + len(scores)
        if self.allowed is not None:
            scores[~self.allowed[start:end]] = -np.inf
        inside = self.excluded[(self.excluded >= start) & (self.excluded < end)]
        scores[inside - start] = -np.inf

    def mask(self, count: int) -> npt.NDArray[np.bool_] | None:
        """bool (count,): the rows that may be results; None for all."""
        if self.allowed is None and not self.excluded.size:
            return None
        mask = np.ones(count, dtype=np.bool_) if self.allowed is None else self.allowed.copy()
        mask[self.excluded] = False
        return mask


def matching(index: IndexReader, pattern: str) -> npt.NDArray[np.bool_]:
    """bool (n,): the images whose path, as results show it, matches a shell pattern; `*` also matches `/`.

    Letters match however they are composed: file systems and keyboards differ in how they write an umlaut.
    """
    match = re.compile(fnmatch.translate(_composed(pattern))).match
    found = [match(_composed(index.shown(*key))) is not None for key in index.keys]
    return np.array(found, dtype=np.bool_)


def _composed(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def rows_of_content(index: IndexReader, digests: Collection[bytes]) -> npt.NDArray[np.int64]:
    """int64: the rows whose file has one of these sha256 digests."""
    wanted = np.array(sorted(digests), dtype="V32")
    rows = [np.empty(0, dtype=np.int64)]
    start = 0
    for shard in index.shards:
        content = np.ascontiguousarray(shard.sha256).view("V32").ravel()
        for digest in wanted:
            rows.append(start + np.flatnonzero(content == digest))
        start += len(shard)
    return np.concatenate(rows)
