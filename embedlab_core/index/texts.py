"""Strings of very different lengths as two plain arrays, so that one long path costs only itself."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

# File names that are not valid Unicode keep their bytes; on Windows they are halves of surrogate pairs.
_ERRORS = "surrogatepass" if os.name == "nt" else "surrogateescape"


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """n strings, in memory or memory-mapped.

    Attributes:
        data: uint8 (bytes,), the strings in UTF-8, one after the other.
        ends: int64 (n,), where each of them ends in `data`.
    """

    data: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> Self:
        """Raises UnicodeEncodeError for what no file name can hold."""
        encoded = [text.encode("utf-8", _ERRORS) for text in texts]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return cls(np.frombuffer(b"".join(encoded), np.uint8), np.cumsum(lengths, dtype=np.int64))

    @classmethod
    def checked(cls, data: npt.NDArray[Any], ends: npt.NDArray[Any]) -> Self:
        """Arrays from disk. Raises ValueError if they are not those of strings."""
        if data.ndim != 1 or data.dtype != np.uint8 or ends.ndim != 1 or ends.dtype != np.int64:
            raise ValueError(f"strings of shape {data.shape} {data.dtype} and {ends.shape} {ends.dtype}")
        bounds = np.concatenate([[0], ends])
        if bounds[-1] != len(data) or (np.diff(bounds) < 0).any():
            raise ValueError("the ends of strings do not fit their bytes")
        return cls(data, ends)

    @classmethod
    def concatenate(cls, parts: Iterable["Texts"]) -> Self:
        found = list(parts)
        offsets = np.cumsum([0, *(len(part.data) for part in found)])
        ends = [part.ends + offset for part, offset in zip(found, offsets, strict=False)]
        return cls(
            np.concatenate([np.empty(0, np.uint8), *(part.data for part in found)]),
            np.concatenate([np.empty(0, np.int64), *ends]),
        )

    def __len__(self) -> int:
        return len(self.ends)

    def __iter__(self) -> Iterator[str]:
        return iter(self.tolist())

    def __getitem__(self, selector: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice) -> "Texts":
        # Of one string out of many, only its own ends are looked at.
        if isinstance(selector, slice):
            rows = np.arange(*selector.indices(len(self)))
        else:
            rows = np.flatnonzero(selector) if selector.dtype == np.bool_ else selector.astype(np.int64)
        ends = self.ends[rows]
        starts = np.where(rows > 0, self.ends[rows - 1], 0)
        lengths = ends - starts
        new_ends = np.cumsum(lengths, dtype=np.int64)
        # For every byte of the result its place in `data`.
        places = np.arange(int(lengths.sum())) + np.repeat(starts - (new_ends - lengths), lengths)
        return Texts(self.data[places], new_ends)

    def tolist(self) -> list[str]:
        data = self.data.tobytes()
        ends = self.ends.tolist()
        return [data[start:end].decode("utf-8", _ERRORS) for start, end in zip([0, *ends[:-1]], ends, strict=False)]
