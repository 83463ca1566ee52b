"""What says that two images are duplicates."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.hashes import HashUse, hash_evidence
from embedlab_core.analysis.pairs import Pairs
from embedlab_core.index.reader import IndexReader
from embedlab_core.index.rows import UNKNOWN_PIXELS

Evidence = Literal["identical bytes", "identical pixels", "embedding", "hash", "turned hash"]


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """paths: sorted. cosine: of the two images. evidence: all that holds, the strongest first."""

    paths: tuple[str, str]
    cosine: float
    evidence: tuple[Evidence, ...]


def _same_pixels(index: IndexReader, pairs: Pairs) -> npt.NDArray[np.bool_]:
    """bool (m,): whether the two decode to pictures of one size in which the same is seen, alpha included.

    By the hashes of what is seen; where an older index has none, by the vectors and the quality scores, which are
    the same bit for bit for the same pixels.
    """
    same: npt.NDArray[np.bool_] = (index.vectors(pairs.left) == index.vectors(pairs.right)).all(axis=1)
    for name in ("widths", "heights", "phashes"):
        same &= index.column(name, pairs.left) == index.column(name, pairs.right)
    left, right = index.column("pixel_hashes", pairs.left), index.column("pixel_hashes", pairs.right)
    scores = [index.column("quality", side) for side in (pairs.left, pairs.right)]
    alike = ((scores[0] == scores[1]) | np.isnan(scores[0]) | np.isnan(scores[1])).all(axis=1)
    same &= np.where((left != UNKNOWN_PIXELS) & (right != UNKNOWN_PIXELS), left == right, alike)
    return same


def pair_evidence(
    index: IndexReader, pairs: Pairs, limits: npt.NDArray[np.float32], hashes: HashUse
) -> list[PairEvidence]:
    """Of every pair, in their order. limits: float32 (n,), the cosine from which each image takes another for a
    duplicate."""
    if not len(pairs):
        return []
    same_bytes = (index.column("sha256", pairs.left) == index.column("sha256", pairs.right)).all(axis=1)
    holds: dict[Evidence, npt.NDArray[np.bool_]] = {
        "identical bytes": same_bytes,
        "identical pixels": ~same_bytes & _same_pixels(index, pairs),
        "embedding": pairs.scores >= np.maximum(limits[pairs.left], limits[pairs.right]),
    }
    if hashes != "none":
        holds["hash"] = hash_evidence(index, pairs, rotations=False)
        if hashes == "turned":
            holds["turned hash"] = hash_evidence(index, pairs, rotations=True) & ~holds["hash"]
    found = []
    for place, (left, right) in enumerate(zip(index.paths(pairs.left), index.paths(pairs.right), strict=True)):
        low, high = sorted((left, right))
        evidence = tuple(name for name, mask in holds.items() if mask[place])
        found.append(PairEvidence((low, high), float(pairs.scores[place]), evidence))
    return found
