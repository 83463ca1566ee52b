"""What says that two images are duplicates."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.hashes import HASH_BITS, HashUse, distances_of_pairs, structured
from embedlab_core.analysis.pairs import Pairs
from embedlab_core.index.reader import IndexReader

Evidence = Literal["identical bytes", "embedding", "hash", "turned hash"]


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """paths: sorted. cosine: of the two images. evidence: all that holds, the strongest first."""

    paths: tuple[str, str]
    cosine: float
    evidence: tuple[Evidence, ...]


def pair_evidence(
    index: IndexReader, pairs: Pairs, limits: npt.NDArray[np.float32], hashes: HashUse
) -> list[PairEvidence]:
    """Of every pair. limits: float32 (n,), the cosine from which each image takes another for a duplicate."""
    if not len(pairs):
        return []
    same_bytes = (index.column("sha256", pairs.left) == index.column("sha256", pairs.right)).all(axis=1)
    holds: dict[Evidence, npt.NDArray[np.bool_]] = {
        "identical bytes": same_bytes,
        "embedding": pairs.scores >= np.maximum(limits[pairs.left], limits[pairs.right]),
    }
    if hashes != "none":
        mask = structured(index)
        comparable = mask[pairs.left] & mask[pairs.right]
        holds["hash"] = comparable & (distances_of_pairs(index, pairs, rotations=False) <= HASH_BITS)
        if hashes == "turned":
            turned = comparable & (distances_of_pairs(index, pairs, rotations=True) <= HASH_BITS)
            holds["turned hash"] = turned & ~holds["hash"]
    found = []
    for place, (left, right) in enumerate(zip(index.paths(pairs.left), index.paths(pairs.right), strict=True)):
        low, high = sorted((left, right))
        evidence = tuple(name for name, mask in holds.items() if mask[place])
        found.append(PairEvidence((low, high), float(pairs.scores[place]), evidence))
    return sorted(found, key=lambda pair: pair.paths)
