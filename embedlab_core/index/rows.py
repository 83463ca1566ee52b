"""The columns of an index, in memory or memory-mapped."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from embedlab_core.images.quality import Quality, QualityScores
from embedlab_core.index.texts import Texts

Array = npt.NDArray[Any]
Selector = npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice
Key = tuple[int, str]

# The capture time of a picture that does not tell one.
NOT_CAPTURED = int(np.iinfo(np.int64).min)
# The pixel hash of a picture that an index of format 1 did not measure.
UNKNOWN_PIXELS = 0

_DIGEST = 32
_SCORES = len(QualityScores._fields)
# In files of format 1.
_OLD_SCORES = 4
# What is in a file beside the vectors, by column: its type, and the shape of one row.
_LAYOUT: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "folders": (np.int32, ()),
    "sha256": (np.uint8, (_DIGEST,)),
    "sizes": (np.int64, ()),
    "mtimes": (np.int64, ()),
    "widths": (np.int32, ()),
    "heights": (np.int32, ()),
    "captured": (np.int64, ()),
    "quality": (np.float32, (_SCORES,)),
    "phashes": (np.uint64, ()),
    "pixel_hashes": (np.uint64, ()),
}
_ENDS = "path_ends"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """n images. Every field has n entries.

    Attributes:
        vectors: float32 (n, d), unit length, or their codes as `Store` makes them.
        full: float32 (n, d) beside codes if the store keeps them, else (n, 0).
        folders: int32 (n,), which of the index's folders the image lies in.
        paths: relative to that folder, with forward slashes.
        sha256: uint8 (n, 32), of the file.
        sizes: int64 (n,), bytes.
        mtimes: int64 (n,), modification time, ns.
        widths: int32 (n,), pixels, upright.
        heights: int32 (n,), pixels, upright.
        captured: int64 (n,), EXIF capture time in seconds as if it were UTC; NOT_CAPTURED without one.
        quality: float32 (n, s), the fields of QualityScores; NaN for one that an older index did not measure.
        phashes: uint64 (n,), perceptual hashes.
        pixel_hashes: uint64 (n,), of what the model sees and its transparency; UNKNOWN_PIXELS in an older index.
    """

    vectors: Array
    full: npt.NDArray[np.float32]
    folders: npt.NDArray[np.int32]
    paths: Texts
    sha256: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int64]
    mtimes: npt.NDArray[np.int64]
    widths: npt.NDArray[np.int32]
    heights: npt.NDArray[np.int32]
    captured: npt.NDArray[np.int64]
    quality: npt.NDArray[np.float32]
    phashes: npt.NDArray[np.uint64]
    pixel_hashes: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.paths)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """The columns of a file of this format or of format 1.

        Raises KeyError for a missing column, and ValueError for columns of another type, shape or length.
        """
        if _ENDS not in arrays:
            arrays = _of_format_1(arrays)
        vectors, full = arrays["vectors"], arrays["full"]
        for name, array in (("vectors", vectors), ("full", full)):
            if array.ndim != 2 or array.dtype.kind not in "fi":
                raise ValueError(f"{name} of shape {array.shape} {array.dtype}")
        if full.dtype != np.float32:
            raise ValueError(f"full of type {full.dtype}")
        for name, (kind, shape) in _LAYOUT.items():
            if arrays[name].dtype != kind or arrays[name].shape[1:] != shape or arrays[name].ndim != len(shape) + 1:
                raise ValueError(f"{name} of shape {arrays[name].shape} {arrays[name].dtype}")
        paths = Texts.checked(arrays["paths"], arrays[_ENDS])
        plain = {field.name: arrays[field.name] for field in fields(cls) if field.name != "paths"}
        lengths = {len(paths), *map(len, plain.values())}
        if len(lengths) != 1:
            raise ValueError(f"columns of different lengths {sorted(lengths)}")
        return cls(paths=paths, **plain)

    @classmethod
    def concatenate(cls, parts: Iterable["Rows"]) -> Self:
        found = list(parts)
        plain = {
            field.name: np.concatenate([getattr(part, field.name) for part in found])
            for field in fields(cls)
            if field.name != "paths"
        }
        return cls(paths=Texts.concatenate(part.paths for part in found), **plain)

    def arrays(self) -> dict[str, Array]:
        """As they stand in a file."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return arrays | {"paths": self.paths.data, _ENDS: self.paths.ends}

    @property
    def keys(self) -> list[Key]:
        """What tells the images of an index apart: the number of their folder, and their path in it."""
        return list(zip(self.folders.tolist(), self.paths.tolist(), strict=True))

    def quality_of(self, row: int) -> Quality:
        """What was measured of one image."""
        scores = QualityScores(*self.quality[row].tolist())
        return Quality(scores, int(self.widths[row]), int(self.heights[row]))

    def whole(self) -> npt.NDArray[np.float32]:
        """The float32 vectors (n, d), of rows that have them."""
        return self.full if self.full.shape[1] else self.vectors

    def take(self, selector: Selector) -> "Rows":
        return Rows(**{field.name: getattr(self, field.name)[selector] for field in fields(self)})


def _of_format_1(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Its images lie in one folder; what it did not measure is unknown. Raises KeyError and ValueError."""
    paths, quality = arrays["paths"], arrays["quality"]
    if paths.ndim != 1 or paths.dtype.kind != "U" or quality.ndim != 2 or quality.shape[1] != _OLD_SCORES:
        raise ValueError(f"paths of shape {paths.shape} {paths.dtype}, quality of shape {quality.shape}")
    # Python strings of characters that Unicode does not have fail wherever they are used.
    if paths.size and int(np.ascontiguousarray(paths).view(np.uint32).max(initial=0)) > sys.maxunicode:
        raise ValueError("a path has a broken character")
    try:
        texts = Texts.of(paths.tolist())
    except UnicodeEncodeError as error:
        raise ValueError("a path has a broken character") from error
    count = len(paths)
    missing = np.full((count, _SCORES - _OLD_SCORES), np.nan, np.float32)
    return {
        **arrays,
        "folders": np.zeros(count, np.int32),
        "paths": texts.data,
        _ENDS: texts.ends,
        "captured": np.full(count, NOT_CAPTURED, np.int64),
        "quality": np.concatenate([quality, missing], axis=1) if len(quality) == count else quality,
        "pixel_hashes": np.full(count, UNKNOWN_PIXELS, np.uint64),
    }
