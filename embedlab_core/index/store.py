"""How vectors are stored: whole, or compressed at a known cost in recall."""

import re
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from embedlab_core.errors import StoreError

Vectors = npt.NDArray[np.float32]
Kind = Literal["float32", "float16", "int8", "pca"]

# An index that has grown by half since its projection was fitted gets a new one.
_OUTGROWN = 1.5
# Rows that are projected together. BLAS takes other paths for other numbers of rows, which round in other ways: always
# the same number, the last block filled up, gives a vector the same bits whatever run it was added in.
_PROJECTED = 256

_INT8_MAX = 127
_RECALL_K = 5
_RECALL_QUERIES = 1000


@dataclass(frozen=True, slots=True)
class Store:
    """kind, and for "pca" the number of dimensions kept; full: whether the float32 vectors stay beside the codes, so
    that candidates found by the codes are ranked exactly."""

    kind: Kind = "float32"
    dims: int = 0
    full: bool = False

    @classmethod
    def parse(cls, text: str) -> "Store":
        """`float32`, `float16`, `int8` or `pca:N`, each but the first also with `+full`. Raises StoreError."""
        match = re.fullmatch(r"(float32|(float16|int8|pca:([1-9]\d*))(\+full)?)", text)
        if match is None:
            raise StoreError(f"store {text!r}: must be float32, or float16, int8 or pca:N, these three also with +full")
        _, coded, dims, full = match.groups()
        return cls(cast(Kind, (coded or "float32").partition(":")[0]), int(dims or 0), bool(full))

    def __str__(self) -> str:
        return f"{self.kind}{f':{self.dims}' if self.dims else ''}{'+full' if self.full else ''}"

    def encode(self, vectors: Vectors, projection: Vectors | None) -> npt.NDArray[Any]:
        """Unit vectors float32 (n, d) -> what is stored. projection: float32 (dims, d), for "pca" only."""
        if self.kind == "float16":
            return vectors.astype(np.float16)
        if self.kind == "int8":
            # A vector's scale need not be kept: cosine does not depend on it.
            largest = np.abs(vectors).max(axis=1, keepdims=True)
            codes: npt.NDArray[np.int8] = np.rint(vectors * (_INT8_MAX / largest)).astype(np.int8)
            return codes
        return vectors if projection is None else project(vectors, projection)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what is stored."""
        return np.dtype(np.float32 if self.kind == "pca" else self.kind)

    def width(self, dim: int) -> int:
        """Columns of what is stored for vectors of length `dim`."""
        return self.dims or dim


def decode(stored: npt.NDArray[Any]) -> Vectors:
    """What is stored -> float32 unit vectors; float32 is passed through."""
    return stored if stored.dtype == np.float32 else _unit(stored.astype(np.float32))


def project(vectors: Vectors, projection: Vectors) -> Vectors:
    """float32 (n, d) -> float32 (n, dims), unit length again. A row's result does not depend on the others."""
    projected = np.empty((len(vectors), len(projection)), np.float32)
    for start in range(0, len(vectors), _PROJECTED):
        rows = vectors[start : start + _PROJECTED]
        block = np.zeros((_PROJECTED, vectors.shape[1]), np.float32)
        block[: len(rows)] = rows
        projected[start : start + len(rows)] = (block @ projection.T)[: len(rows)]
    return _unit(projected)


def fit_projection(vectors: Vectors, dims: int) -> Vectors:
    """The `dims` principal directions of unit vectors (n, d), as float32 (dims, d).

    About the origin, not the mean: cosines are about the origin too, and the mean is then the first direction.
    """
    second_moment = vectors.T.astype(np.float64) @ vectors
    _, directions = np.linalg.eigh(second_moment)
    return np.ascontiguousarray(directions[:, ::-1][:, :dims].T.astype(np.float32))


def is_outgrown(fitted: int, count: int) -> bool:
    """Whether a projection that was fitted to `fitted` images no longer stands for `count` of them."""
    return count >= _OUTGROWN * fitted


def recall_of(store: Store, vectors: Vectors, projection: Vectors | None) -> float:
    """Recall@5 of a store: the share of the 5 nearest others of a vector, by float32 cosine, that are among its 5
    nearest by what is stored; the mean over at most 1,000 of the unit vectors (n, d)."""
    stored = decode(store.encode(vectors, projection))
    queries = np.arange(0, len(vectors), max(1, -(-len(vectors) // _RECALL_QUERIES)))
    k = min(_RECALL_K, len(vectors) - 1)
    if k < 1:
        return 1.0
    exact, found = _nearest(vectors, queries, k), _nearest(stored, queries, k)
    return float(np.mean([len(np.intersect1d(*pair)) / k for pair in zip(exact, found, strict=True)]))


def _nearest(vectors: Vectors, queries: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    scores = vectors[queries] @ vectors.T
    scores[np.arange(len(queries)), queries] = -np.inf
    return np.argpartition(scores, -k, axis=1)[:, -k:]


def _unit(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    # A vector that lost everything to the projection is near nothing.
    unit: Vectors = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return unit
