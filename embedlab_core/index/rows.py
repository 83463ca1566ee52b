"""The columns of an index, in memory or memory-mapped."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from embedlab_core.images.quality import Quality, QualityScores

Selector = npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice


@dataclass(frozen=True, slots=True)
class Rows:
    """n images. Every field is an array whose first axis is n.

    vectors: float32 (n, d), unit length, or their codes as `Store` makes them. full: float32 (n, d) beside codes if the
    store keeps them, else (n, 0). paths: str, relative to the images folder. sha256: uint8 (n, 32), of the
    file. sizes: int64 bytes. mtimes: int64 ns. widths, heights: int32 pixels, upright. quality: float32 (n, 4), the
    fields of QualityScores. phashes: uint64.
    """

    vectors: npt.NDArray[Any]
    full: npt.NDArray[np.float32]
    paths: npt.NDArray[np.str_]
    sha256: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int64]
    mtimes: npt.NDArray[np.int64]
    widths: npt.NDArray[np.int32]
    heights: npt.NDArray[np.int32]
    quality: npt.NDArray[np.float32]
    phashes: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.paths)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Raises KeyError for a missing column and ValueError for columns of different lengths."""
        rows = cls(**{field.name: arrays[field.name] for field in fields(cls)})
        lengths = {len(array) for array in rows.arrays().values()}
        if len(lengths) != 1:
            raise ValueError(f"columns of different lengths {sorted(lengths)}")
        return rows

    @classmethod
    def concatenate(cls, parts: Iterable["Rows"]) -> Self:
        columns = [part.arrays() for part in parts]
        return cls(**{field.name: np.concatenate([column[field.name] for column in columns]) for field in fields(cls)})

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def quality_of(self, row: int) -> Quality:
        """What was measured of one image."""
        scores = QualityScores(*self.quality[row].tolist())
        return Quality(scores, int(self.widths[row]), int(self.heights[row]))

    def whole(self) -> npt.NDArray[np.float32]:
        """The float32 vectors (n, d), of rows that have them."""
        return self.full if self.full.shape[1] else self.vectors

    def take(self, selector: Selector) -> "Rows":
        return Rows(**{name: array[selector] for name, array in self.arrays().items()})
