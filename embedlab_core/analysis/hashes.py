"""Pairs by perceptual hash, upright or over the eight quarter turns and mirrors."""

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.pairs import Pairs
from embedlab_core.images.phash import turned_hashes
from embedlab_core.images.quality import QualityScores
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines

Hashes = npt.NDArray[np.uint64]

# Bits of 64 in which the hashes of a copy may differ: of 1.6 million pairs of photos, none apart was this near.
HASH_BITS = 8
# Standard deviation of luma under which an image has no structure that a hash could compare.
_BLANK_CONTRAST = 5.0
_BLOCK_ROWS = 2048
_CONTRAST = QualityScores._fields.index("contrast")


def hash_pairs(index: IndexReader, rotations: bool) -> Pairs:
    """Pairs whose perceptual hashes differ in at most HASH_BITS bits, with their cosines.

    rotations: also count a pair if the hash of one matches that of the other after a quarter turn or a mirroring. Blank
    images are in no pair.
    """
    rows = np.flatnonzero(np.concatenate([shard.quality[:, _CONTRAST] for shard in index.shards]) >= _BLANK_CONTRAST)
    if not rows.size:
        return Pairs.concatenate([])
    hashes = index.column("phashes", rows)
    turned = turned_hashes(hashes) if rotations else hashes[None]
    parts = []
    for top in range(0, len(rows), _BLOCK_ROWS):
        for start in range(top, len(rows), _BLOCK_ROWS):
            near = _distances(hashes[top : top + _BLOCK_ROWS], turned[:, start : start + _BLOCK_ROWS]) <= HASH_BITS
            left, right = np.nonzero(near)
            left, right = rows[left + top], rows[right + start]
            once = left < right
            left, right = left[once], right[once]
            parts.append(Pairs(left, right, cosines(index.vectors(left), index.vectors(right))))
    return Pairs.concatenate(parts)


def _distances(left: Hashes, turned: Hashes) -> npt.NDArray[np.uint8]:
    """(a,), (t, b) -> uint8 (a, b): the fewest bits in which a hash differs from any of the t turns of another."""
    distances: npt.NDArray[np.uint8] = np.bitwise_count(left[:, None] ^ turned[0])
    for turn in turned[1:]:
        np.minimum(distances, np.bitwise_count(left[:, None] ^ turn), out=distances)
    return distances
