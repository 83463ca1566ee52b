"""Reading an index: memory-mapped shards seen as one table."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedlab_core.errors import IndexDamagedError
from embedlab_core.images.discover import shown_path
from embedlab_core.index.manifest import Manifest, ShardRef, load_manifest
from embedlab_core.index.npz import open_npz
from embedlab_core.index.rows import Rows

SHARDS = "shards"

# Rows of one block of a scan. 8,192 x 512 float32 is 16 MB: small beside any memory, large enough for BLAS.
BLOCK_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Index:
    """An index opened for reading. A row number counts through the shards in the manifest's order."""

    directory: Path
    manifest: Manifest
    shards: tuple[Rows, ...]

    @classmethod
    def open(cls, directory: Path) -> "Index":
        """Raises IndexMissingError if there is no index, IndexDamagedError if a part of it cannot be read."""
        manifest = load_manifest(directory)
        shards = tuple(open_shard(directory, shard, manifest) for shard in manifest.shards)
        return cls(directory, manifest, shards)

    def __len__(self) -> int:
        return self.manifest.count

    def blocks(self, block_rows: int = BLOCK_ROWS) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
        """(row number of the first, vectors (b, d)) for consecutive blocks that together cover the index."""
        start = 0
        for shard in self.shards:
            for offset in range(0, len(shard), block_rows):
                yield start + offset, shard.vectors[offset : offset + block_rows]
            start += len(shard)

    def vectors(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """The vectors (n, d) of the given row numbers (n,)."""
        gathered = np.empty((len(rows), self.manifest.dim), dtype=np.float32)
        for shard, chosen, local in self._locate(rows):
            gathered[chosen] = shard.vectors[local]
        return gathered

    def paths(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """The paths of the given row numbers, as results show them."""
        relative = np.empty(len(rows), dtype=object)
        for shard, chosen, local in self._locate(rows):
            relative[chosen] = shard.paths[local]
        return [shown_path(self.manifest.images_dir, path) for path in relative]

    def _locate(
        self, rows: npt.NDArray[np.int64]
    ) -> Iterator[tuple[Rows, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """For each shard that holds some of `rows`: the shard, their places in `rows`, their places in the shard."""
        ends = np.cumsum([len(shard) for shard in self.shards])
        owner = np.searchsorted(ends, rows, side="right")
        for number in np.unique(owner):
            shard = self.shards[number]
            chosen = np.flatnonzero(owner == number)
            yield shard, chosen, rows[chosen] - (ends[number] - len(shard))


def open_shard(directory: Path, shard: ShardRef, manifest: Manifest) -> Rows:
    """Memory-map one shard and check it against the manifest (size and shape; `shard_is_intact` checks every byte)."""
    path = directory / SHARDS / shard.file
    arrays = open_npz(path)
    try:
        rows = Rows.from_arrays(arrays)
    except (KeyError, ValueError) as error:
        raise _damaged(path, f"{error}") from error
    if path.stat().st_size != shard.bytes or len(rows) != shard.rows:
        raise _damaged(path, "it is not the file that the manifest describes")
    if rows.vectors.shape[1:] != (manifest.dim,) or rows.vectors.dtype != np.dtype(manifest.dtype):
        raise _damaged(path, f"vectors of shape {rows.vectors.shape} {rows.vectors.dtype}")
    return rows


def _damaged(path: Path, reason: str) -> IndexDamagedError:
    return IndexDamagedError(f"{path}: this part of the index is damaged ({reason}); run embed again to repair it")
