"""Reading an index: memory-mapped shards seen as one table."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from embedlab_core.errors import IndexDamagedError
from embedlab_core.images.discover import shown_prefix
from embedlab_core.index.manifest import Manifest, ShardRef, load_manifest
from embedlab_core.index.npz import open_npz
from embedlab_core.index.rows import Key, Rows, Selector
from embedlab_core.index.store import Store, decode, is_outgrown, project

log = logging.getLogger(__name__)

SHARDS = "shards"
# Each "pca" store has its own file, named by its content: a run that is killed leaves that of the old store as it was.
PROJECTION_PATTERN = "projection-*.npz"

# Rows of one block of a scan. 8,192 x 512 float32 is 16 MB: small beside any memory, large enough for BLAS.
BLOCK_ROWS = 8192
# Far from what rounding, or scaling for fusion, does to a squared length, and near beside what damage does.
_LENGTH_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class IndexReader:
    """An index opened for reading. A row number counts through the shards in the manifest's order.

    Vectors come out as float32 unit vectors whatever the store: `blocks` scans what is stored, which for a compressed
    store is near the truth; `exact_blocks` and `vectors` give the whole vectors where they were kept. projection: of a
    "pca" store, float32 (dims, d). column_scale: float32 (d,), what `fused_index` multiplies the columns by.
    prefixes: what results put before the paths of each folder. folders: where each of them is.
    """

    directory: Path
    manifest: Manifest
    shards: tuple[Rows, ...]
    prefixes: tuple[str, ...]
    folders: tuple[Path, ...]
    projection: npt.NDArray[np.float32] | None = None
    column_scale: npt.NDArray[np.float32] | None = None

    @classmethod
    def open(cls, directory: Path) -> "IndexReader":
        """Raises IndexMissingError if there is no index, IndexDamagedError if a part of it cannot be understood,
        IndexUnreadableError if the system does not give it."""
        manifest = load_manifest(directory)
        while True:
            try:
                shards = tuple(open_shard(directory, shard, manifest) for shard in manifest.shards)
                _warn_if_outgrown(directory, manifest)
                return cls(
                    directory=directory,
                    manifest=manifest,
                    shards=shards,
                    prefixes=tuple(shown_prefix(folder.shown(directory)) for folder in manifest.folders),
                    folders=tuple(folder.location(directory) for folder in manifest.folders),
                    projection=load_projection(directory, manifest),
                )
            except IndexDamagedError:
                # An embed that ran meanwhile removes the shards that this manifest names, and writes another.
                latest = load_manifest(directory)
                if latest == manifest:
                    raise
                manifest = latest

    def __len__(self) -> int:
        return self.manifest.count

    @property
    def reranks(self) -> bool:
        """Whether `vectors` is more exact than `blocks`."""
        return Store.parse(self.manifest.store).full

    def scan_queries(self, queries: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Queries (q, d) as `blocks` can be compared with."""
        return queries if self.projection is None else project(queries, self.projection)

    def exact_queries(self, queries: npt.NDArray[np.float32], texts: bool = False) -> npt.NDArray[np.float32]:
        """Queries (q, d) as `vectors` and `exact_blocks` can be compared with.

        texts: a "pca" store, which is fitted to images, takes much of the length of texts. Scaled back to length 1, as
        images are, they would be more alike to all images than the model says, so they are left short.
        """
        if self.projection is not None and not self.reranks and texts:
            return queries @ self.projection.T
        return queries if self.reranks else self.scan_queries(queries)

    def exact_parts(self, parts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Parts (p, d) of which `exact_queries` would get the sum, a unit vector: as what they add to its product."""
        if self.projection is None or self.reranks:
            return parts
        projected = parts @ self.projection.T
        scaled: npt.NDArray[np.float32] = projected / np.linalg.norm(projected.sum(axis=0))
        return scaled

    def as_queries(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The vectors (n, d) of the given row numbers as searches take them: of a "pca" store back in the space of the
        model, where `scan_queries` finds them again."""
        vectors = self.vectors(rows)
        return vectors if self.projection is None or self.reranks else vectors @ self.projection

    def blocks(
        self, block_rows: int = BLOCK_ROWS, *, first: int = 0, step: int = 1
    ) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """(row number of the first, vectors (b, d)) for consecutive blocks that together cover the index; or for every
        `step`-th of them from number `first` on, so that threads can share a scan."""
        for start, shard, block in islice(self._slices(block_rows), first, None, step):
            yield start, self._scanned(shard.vectors[block])

    def exact_blocks(self, block_rows: int = BLOCK_ROWS) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """As `blocks`, of the whole vectors where they were kept."""
        for start, shard, block in self._slices(block_rows):
            yield start, self._exact(shard, block)

    def vectors(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The vectors (n, d) of the given row numbers (n,), as exact as they were kept."""
        dim = self.manifest.dim if self.projection is None or self.reranks else len(self.projection)
        gathered = np.empty((len(rows), dim), dtype=np.float32)
        for shard, chosen, local in self._locate(rows):
            gathered[chosen] = self._exact(shard, local)
        return gathered

    def _slices(self, block_rows: int) -> Iterator[tuple[int, Rows, slice]]:
        start = 0
        for shard in self.shards:
            for offset in range(0, len(shard), block_rows):
                yield start + offset, shard, slice(offset, offset + block_rows)
            start += len(shard)

    def _scanned(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        vectors = decode(stored)
        if self.projection is not None and vectors.shape[1] == self.manifest.dim:
            # A run that was killed left this shard as it was encoded.
            vectors = project(vectors, self.projection)
        return self._scaled(vectors)

    def _exact(self, shard: Rows, rows: Selector) -> npt.NDArray[np.float32]:
        return self._scaled(shard.whole()[rows]) if self.reranks else self._scanned(shard.vectors[rows])

    def _scaled(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return vectors if self.column_scale is None else vectors * self.column_scale

    def paths(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """The paths of the given row numbers, as results show them: what is shown can be opened from here."""
        return [self.shown(*key) for key in self._keys_of(rows)]

    def files(self, rows: npt.NDArray[np.int64]) -> list[Path]:
        """Where the images of the given row numbers are."""
        return [self.folders[folder] / path for folder, path in self._keys_of(rows)]

    @property
    def keys(self) -> list[Key]:
        """Of all rows: the number of the folder, and the path in it."""
        return [key for shard in self.shards for key in shard.keys]

    def shown(self, folder: int, path: str) -> str:
        """What results call a path in one of the folders."""
        return self.prefixes[folder] + path

    def _keys_of(self, rows: npt.NDArray[np.int64]) -> list[Key]:
        keys = np.empty(len(rows), dtype=object)
        for shard, chosen, local in self._locate(rows):
            found = zip(shard.folders[local].tolist(), shard.paths[local], strict=True)
            # Not assigned as a list, which NumPy would take for an array of two columns.
            keys[chosen] = np.fromiter(found, dtype=object, count=len(local))
        return cast(list[Key], keys.tolist())

    def column(self, name: str, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """One column of `Rows`, other than the vectors, for the given row numbers (n,), which are at least one."""
        parts = [(chosen, getattr(shard, name)[local]) for shard, chosen, local in self._locate(rows)]
        values = np.concatenate([part for _, part in parts])
        return values[np.argsort(np.concatenate([chosen for chosen, _ in parts]))]

    def require_unit(self, rows: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32]) -> None:
        """Raises IndexDamagedError if one of these vectors (n, d) of the given row numbers is not of length 1."""
        lengths = np.einsum("ij,ij->i", vectors, vectors)
        right = np.abs(lengths - 1) < _LENGTH_TOLERANCE  # NaN is less than nothing.
        if self.projection is not None and not self.reranks:
            # A vector that lost everything to the projection.
            right |= lengths == 0
        wrong = np.flatnonzero(~right)
        if wrong.size:
            raise self.damaged_at(int(rows[wrong[0]]))

    def damaged_at(self, row: int) -> IndexDamagedError:
        """What to raise where the vector of this row number turns out to be none."""
        ends = np.cumsum([len(shard) for shard in self.shards])
        shard = self.manifest.shards[int(np.searchsorted(ends, row, side="right"))]
        (path,) = self.paths(np.array([row]))
        return _damaged(self.directory / SHARDS / shard.file, f"the vector of {path} is not of length 1")

    def _locate(
        self, rows: npt.NDArray[np.int64]
    ) -> Iterator[tuple[Rows, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """For each shard that holds some of `rows`: the shard, their places in `rows`, their places in the shard."""
        ends = np.cumsum([len(shard) for shard in self.shards])
        owner = np.searchsorted(ends, rows, side="right")
        # np.unique would import numpy.ma, which a search process need not pay for.
        for number in sorted(set(owner.tolist())):
            shard = self.shards[number]
            chosen = np.flatnonzero(owner == number)
            yield shard, chosen, rows[chosen] - (ends[number] - len(shard))


def open_shard(directory: Path, shard: ShardRef, manifest: Manifest) -> Rows:
    """Memory-map one shard and check its size and shape against the manifest.

    It holds what the manifest's store says, or plain float32 vectors if the run that made it was killed.
    """
    path = directory / SHARDS / shard.file
    arrays = open_npz(path)
    try:
        rows = Rows.from_arrays(arrays)
        if len(rows) and not 0 <= int(rows.folders.min()) <= int(rows.folders.max()) < len(manifest.folders):
            raise ValueError("a row of a folder that the index does not have")
    except (KeyError, ValueError) as error:
        raise _damaged(path, f"{error}") from error
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _damaged(path, f"{error.strerror or error}") from error
    if size != shard.bytes or len(rows) != shard.rows:
        raise _damaged(path, "it is not the file that the manifest describes")
    store = Store.parse(manifest.store)
    if (rows.vectors.shape[1:], rows.vectors.dtype) not in (
        ((store.width(manifest.dim),), store.dtype),
        ((manifest.dim,), np.dtype(np.float32)),
    ):
        raise _damaged(path, f"vectors of shape {rows.vectors.shape} {rows.vectors.dtype}")
    return rows


def _warn_if_outgrown(directory: Path, manifest: Manifest) -> None:
    # An older embedlab did not say how many images it was.
    if manifest.projection and manifest.fitted and is_outgrown(manifest.fitted, manifest.count):
        log.warning(
            "%s: its store %s was fitted to %d of its %d images and finds the others less well; embed says how to fit "
            "it again",
            directory, manifest.store, manifest.fitted, manifest.count,
        )  # fmt: skip


def load_projection(directory: Path, manifest: Manifest) -> npt.NDArray[np.float32] | None:
    """The projection of a "pca" store; None for the others."""
    store = Store.parse(manifest.store)
    if store.kind != "pca":
        return None
    path = directory / manifest.projection
    if not manifest.projection:
        raise _damaged(directory, "its projection is lost")
    projection = open_npz(path).get("projection")
    if projection is None or projection.shape != (store.dims, manifest.dim) or projection_name(projection) != path.name:
        raise _damaged(path, "it is not the projection that the manifest names")
    return projection


def projection_name(projection: npt.NDArray[np.float32]) -> str:
    return PROJECTION_PATTERN.replace("*", hashlib.sha256(projection.tobytes()).hexdigest()[:16])


def _damaged(path: Path, reason: str) -> IndexDamagedError:
    return IndexDamagedError(f"{path}: this part of the index is damaged ({reason}); run embed again to repair it")
