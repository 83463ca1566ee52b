"""Pairs by perceptual hash, upright or over the eight quarter turns and mirrors."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.pairs import Pairs
from embedlab_core.images.phash import turned_hashes
from embedlab_core.images.quality import QualityScores
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines

Hashes = npt.NDArray[np.uint64]
HashUse = Literal["none", "upright", "turned"]

# Bits of 64 in which the hashes of a copy may differ. Some photos of different things are as near as this, so the
# embedding has to agree roughly: its cosine may be at most this much below the threshold.
HASH_BITS = 12
COSINE_SLACK = 0.2
# Standard deviation of luma under which an image has no structure that a hash could compare.
_BLANK_CONTRAST = 5.0
_BLOCK_ROWS = 2048
_CONTRAST = QualityScores._fields.index("contrast")


def hash_pairs(index: IndexReader, rotations: bool) -> Pairs:
    """Pairs whose perceptual hashes differ in at most HASH_BITS bits, with their cosines.

    rotations: also count a pair if the hash of one matches that of the other after a quarter turn or a mirroring. Blank
    images are in no pair.
    """
    rows = np.flatnonzero(structured(index))
    if not rows.size:
        return Pairs.concatenate([])
    hashes = index.column("phashes", rows)
    turned = turned_hashes(hashes) if rotations else hashes[None]
    parts = []
    for top in range(0, len(rows), _BLOCK_ROWS):
        for start in range(top, len(rows), _BLOCK_ROWS):
            near = _distances(hashes[top : top + _BLOCK_ROWS, None], turned[:, None, start : start + _BLOCK_ROWS])
            left, right = np.nonzero(near <= HASH_BITS)
            left, right = rows[left + top], rows[right + start]
            once = left < right
            left, right = left[once], right[once]
            parts.append(Pairs(left, right, cosines(index.vectors(left), index.vectors(right))))
    return Pairs.concatenate(parts)


def distances_of_pairs(index: IndexReader, pairs: Pairs, rotations: bool) -> npt.NDArray[np.uint8]:
    """uint8 (m,): bits in which the hashes of each pair differ; rotations: at the best of the eight views."""
    right = index.column("phashes", pairs.right)
    return _distances(index.column("phashes", pairs.left), turned_hashes(right) if rotations else right[None])


def structured(index: IndexReader) -> npt.NDArray[np.bool_]:
    """bool (n,): whether an image has enough structure for its hash to mean something."""
    contrasts = [shard.quality[:, _CONTRAST] for shard in index.shards]
    return np.concatenate([np.empty(0, np.float32), *contrasts]) >= _BLANK_CONTRAST


def _distances(left: Hashes, turned: Hashes) -> npt.NDArray[np.uint8]:
    """The fewest bits in which a hash differs from any of the views (t, ...) of another."""
    distances: npt.NDArray[np.uint8] = np.bitwise_count(left ^ turned[0])
    for turn in turned[1:]:
        np.minimum(distances, np.bitwise_count(left ^ turn), out=distances)
    return distances
