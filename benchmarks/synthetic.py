"""Large indexes of made-up vectors that are built like embeddings of photographs."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedlab_core.index.manifest import ModelRef
from embedlab_core.index.reader import IndexReader
from embedlab_core.index.rows import Rows
from embedlab_core.index.writer import SHARD_ROWS, IndexWriter

# Images of one cluster: a burst, an event, one kind of thing.
_CLUSTER = 50
# How fast the variance of the principal directions falls, and the share that lies within clusters. With these, the
# first 64 of 512 directions hold 82 % of the variance (91 % for weights/lite on photographs).
_DECAY = 0.75
_WITHIN = 0.35


class Source:
    """Unit vectors float32 (n, dim) in clusters, over directions whose variance falls as a power of their number."""

    def __init__(self, count: int, dim: int, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._scale = (np.arange(1, dim + 1) ** -_DECAY).astype(np.float32)
        self._rotation = np.linalg.qr(self._rng.normal(size=(dim, dim)))[0].astype(np.float32)
        self._centres = self._normal(max(1, count // _CLUSTER))

    def draw(self, count: int) -> npt.NDArray[np.float32]:
        centres = self._centres[self._rng.integers(len(self._centres), size=count)]
        vectors = (centres * np.sqrt(1 - _WITHIN) + self._normal(count) * np.sqrt(_WITHIN)) @ self._rotation
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors.astype(np.float32)

    def _normal(self, count: int) -> npt.NDArray[np.float32]:
        return self._rng.standard_normal((count, len(self._scale)), dtype=np.float32) * self._scale


def write_index(
    directory: Path, count: int, dim: int = 512, seed: int = 0, model: ModelRef | None = None
) -> tuple[IndexReader, Source]:
    """An index of `count` images, by default of a model that does not exist, and where more such vectors come from."""
    source = Source(count, dim, seed)
    with IndexWriter(directory, (model or ModelRef("synthetic", "0" * 12, dim),), "photos") as writer:
        for start in range(0, count, SHARD_ROWS):
            writer.append(made_up_rows(source.draw(min(SHARD_ROWS, count - start)), start))
    return IndexReader.open(directory), source


def made_up_rows(vectors: npt.NDArray[np.float32], start: int) -> Rows:
    """Vectors (n, d) as photos numbered from `start`."""
    count = len(vectors)
    numbers = np.arange(start, start + count)
    return Rows(
        vectors=vectors,
        full=np.empty((count, 0), np.float32),
        paths=np.array([f"{number // 1000:04d}/IMG_{number:07d}.jpg" for number in numbers]),
        sha256=np.zeros((count, 32), np.uint8),
        sizes=numbers,
        mtimes=numbers,
        widths=np.full(count, 4000, np.int32),
        heights=np.full(count, 3000, np.int32),
        quality=np.zeros((count, 4), np.float32),
        phashes=numbers.astype(np.uint64),
    )
