"""Images that nothing tells apart, as one node: copies of a file cost no pairs."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from embedlab_core.index.reader import IndexReader

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Nodes:
    """of: int64 (n,), the node of every image. rows: int64 (u,), the first image of every node, ascending."""

    of: Rows
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def each(cls, count: int) -> "Nodes":
        """Every image is a node of its own."""
        return cls(np.arange(count), np.arange(count))

    def sizes(self) -> Rows:
        """int64 (u,): the images of every node."""
        return np.bincount(self.of, minlength=len(self))


def equal_images(index: IndexReader, alone: Iterable[int] = ()) -> Nodes:
    """Images with the same vector, bit for bit, and the same perceptual hash are one node. Identical bytes
    are, since they are embedded alike. alone: rows that stay nodes of their own."""
    seen: dict[bytes, int] = {}
    single = set(alone)
    of = np.empty(len(index), dtype=np.int64)
    rows: list[int] = []
    for start, block in index.exact_blocks():
        own = np.arange(start, start + len(block))
        hashes = index.column("phashes", own)
        for row, vector, phash in zip(own.tolist(), np.ascontiguousarray(block), hashes, strict=True):
            # A digest of 128 bits: two different vectors never share one.
            key = (
                row.to_bytes(8) if row in single else blake2b(vector.data, digest_size=16, key=phash.tobytes()).digest()
            )
            node = seen.setdefault(key, len(rows))
            if node == len(rows):
                rows.append(row)
            of[row] = node
    return Nodes(of, np.array(rows, dtype=np.int64))
