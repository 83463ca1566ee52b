"""Short rows whose products bound the cosines of an index from above."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import product_error

_Rows = npt.NDArray[np.int64]

# Rows that the rotation and the width are chosen on.
_SAMPLE_ROWS = 4096
# Widths that are tried, in dimensions.
_WIDTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256)
# What finishing one pair costs, in dimensions of a screen's product: 1.5 us against 0.02 ns on the machines measured.
# It only moves the width, never a result.
_FINISHING_COST = 75_000.0


@dataclass(frozen=True, slots=True)
class Screen:
    """rows: float32 (n, w), one for each image that is compared. The float32 product of two of them is at least the
    cosine of the two vectors less `error`."""

    rows: npt.NDArray[np.float32]
    error: float


def whole(index: IndexReader, rows: _Rows | None = None) -> Screen:
    """The vectors themselves, of all images or of these rows (n,), ascending. Raises IndexDamagedError."""
    none = index.vectors(np.empty(0, np.int64))
    vectors = np.concatenate([none, *_sound_blocks(index, rows)])
    return Screen(vectors, product_error(vectors.shape[1]))


def heads(index: IndexReader, limit: float, rows: _Rows | None = None) -> Screen:
    """The first p coordinates after an orthogonal rotation, and the norm of the rest as one coordinate more.

    By Cauchy-Schwarz the product of the rests is at most that of their norms, so a product of two such rows is at least
    the cosine. The rotation is PCA about the origin, which leaves the least in the rests; p is what makes screening and
    finishing cheapest together at `limit`, as counted on a sample. Raises IndexDamagedError.
    """
    sample = _sample(index, rows)
    _, directions = np.linalg.eigh(sample.T @ sample)
    rotation = np.ascontiguousarray(directions[:, ::-1])
    width = _cheapest_width(sample @ rotation, limit)
    parts = [_head(block.astype(np.float64), rotation[:, :width]) for block in _sound_blocks(index, rows)]
    short = np.concatenate(parts)
    # Rounding both rows to float32 moves a product by two more units than the product itself does.
    return Screen(short, product_error(short.shape[1] + 4))


def _sound_blocks(index: IndexReader, rows: _Rows | None) -> Iterator[npt.NDArray[np.float32]]:
    """The vectors of `rows`, or all. A damaged one would be nobody's duplicate, in silence."""
    for start, block in index.exact_blocks():
        index.require_unit(np.arange(start, start + len(block)), block)
        if rows is None:
            yield block
        else:
            first, end = np.searchsorted(rows, (start, start + len(block)))
            yield block[rows[first:end] - start]


def _head(vectors: npt.NDArray[np.float64], rotation: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """float64 (n, d) and (d, p) -> float32 (n, p + 1)."""
    head = vectors @ rotation
    rest = np.einsum("ij,ij->i", vectors, vectors) - np.einsum("ij,ij->i", head, head)
    # The difference of two numbers near 1 keeps an error of some 1e-15, which the root could lift to 1e-7.
    norms = np.sqrt(np.maximum(rest, 0.0) + 1e-13)
    return np.concatenate([head, norms[:, None]], axis=1).astype(np.float32)


def _cheapest_width(rotated: npt.NDArray[np.float64], limit: float) -> int:
    """The number of leading columns of `rotated` (n, d) to screen with."""
    left, right = np.array_split(rotated, 2)
    widths = [width for width in _WIDTHS if width < rotated.shape[1]] or [rotated.shape[1]]

    def cost(width: int) -> float:
        bounds = _head_of(left, width) @ _head_of(right, width).T
        return width + _FINISHING_COST * float(np.mean(bounds >= limit))

    return min(widths, key=cost)


def _head_of(rotated: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    rest = np.linalg.norm(rotated[:, width:], axis=1, keepdims=True)
    return np.concatenate([rotated[:, :width], rest], axis=1)


def _sample(index: IndexReader, rows: _Rows | None) -> npt.NDArray[np.float64]:
    """Vectors (n, d) of at most _SAMPLE_ROWS rows, evenly spaced."""
    rows = np.arange(len(index)) if rows is None else rows
    rows = rows[:: max(1, -(-len(rows) // _SAMPLE_ROWS))]
    vectors = index.vectors(rows)
    index.require_unit(rows, vectors)
    return vectors.astype(np.float64)
