"""Pairs by perceptual hash, upright or over the eight quarter turns and mirrors."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.nodes import Nodes
from embedlab_core.analysis.pairs import Pairs, Wanted, in_parts
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


def each_hash_pair(
    index: IndexReader, rotations: bool, take: Callable[[Pairs], None], nodes: Nodes, wanted: Wanted | None = None
) -> None:
    """Hand the pairs of nodes whose perceptual hashes differ in at most HASH_BITS bits to `take`, with their cosines, a
    bounded number at a time.

    rotations: also count a pair if the hash of one matches that of the other after a quarter turn or a mirroring. Blank
    images are in no pair. wanted: the pairs to look at at all.
    """
    places = np.flatnonzero(structured(index)[nodes.rows])
    if not places.size:
        return
    hashes = index.column("phashes", nodes.rows[places])
    turned = turned_hashes(hashes) if rotations else hashes[None]
    for top in range(0, len(places), _BLOCK_ROWS):
        for start in range(top, len(places), _BLOCK_ROWS):
            near = _distances(hashes[top : top + _BLOCK_ROWS, None], turned[:, None, start : start + _BLOCK_ROWS])
            left, right = np.nonzero(near <= HASH_BITS)
            left, right = places[left + top], places[right + start]
            once = left < right
            for one, other in in_parts(left[once], right[once], wanted):
                scores = cosines(index.vectors(nodes.rows[one]), index.vectors(nodes.rows[other]))
                take(Pairs(one, other, scores))


def hash_evidence(index: IndexReader, pairs: Pairs, rotations: bool) -> npt.NDArray[np.bool_]:
    """bool (m,): whether the hashes of two images say that they are duplicates, as `each_hash_pair` finds them."""
    contrasts = (index.column("quality", rows)[:, _CONTRAST] for rows in (pairs.left, pairs.right))
    structured = np.logical_and(*(contrast >= _BLANK_CONTRAST for contrast in contrasts))
    near: npt.NDArray[np.bool_] = structured & (distances_of_pairs(index, pairs, rotations) <= HASH_BITS)
    return near


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
