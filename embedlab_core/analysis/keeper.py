"""What a duplicate group looks like inside, and which of its images to keep."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.images.quality import QualityScores
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines

Reason = Literal["resolution", "file size", "sharpness", "path"]

_SHARPNESS = QualityScores._fields.index("sharpness")


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """paths: sorted. cosine: of the two images."""

    paths: tuple[str, str]
    cosine: float


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """tightest, loosest: over all pairs of the group. medoid: the image with the highest mean cosine to the others.
    keeper: the image to keep; reason: the first property by which it beats the next best. chains: whether the group
    holds two images that are no pair by themselves."""

    tightest: ScoredPair
    loosest: ScoredPair
    medoid: str
    keeper: str
    reason: Reason
    chains: bool


def group_facts(index: IndexReader, members: npt.NDArray[np.int64], pair_count: int) -> GroupFacts:
    """Facts of a group of two or more rows (m,), of which `pair_count` pairs are near-duplicates."""
    paths = index.paths(members)
    order = sorted(range(len(paths)), key=paths.__getitem__)
    members, paths = members[order], [paths[place] for place in order]
    vectors = index.vectors(members)
    # Rows of all cosines, not a matrix: a group can be large.
    tightest, loosest, sums = (-np.inf, 0, 0), (np.inf, 0, 0), np.zeros(len(members))
    for row, vector in enumerate(vectors):
        scores = cosines(np.broadcast_to(vector, vectors.shape), vectors)
        sums[row] = scores.sum(dtype=np.float64) - scores[row]
        later = scores[row + 1 :]
        if later.size:
            best, worst = int(later.argmax()), int(later.argmin())
            tightest = max(tightest, (float(later[best]), row, row + 1 + best), key=lambda pair: pair[0])
            loosest = min(loosest, (float(later[worst]), row, row + 1 + worst), key=lambda pair: pair[0])
    keeper, reason = _keeper(index, members, paths)
    return GroupFacts(
        tightest=ScoredPair((paths[tightest[1]], paths[tightest[2]]), tightest[0]),
        loosest=ScoredPair((paths[loosest[1]], paths[loosest[2]]), loosest[0]),
        medoid=paths[int(sums.argmax())],
        keeper=keeper,
        reason=reason,
        chains=pair_count < len(members) * (len(members) - 1) // 2,
    )


def _keeper(index: IndexReader, members: npt.NDArray[np.int64], paths: list[str]) -> tuple[str, Reason]:
    pixels = index.column("widths", members).astype(np.int64) * index.column("heights", members)
    sizes = index.column("sizes", members)
    sharpness = index.column("quality", members)[:, _SHARPNESS]
    ranked = sorted(zip((-pixels).tolist(), (-sizes).tolist(), (-sharpness).tolist(), paths, strict=True))
    reasons: tuple[Reason, ...] = ("resolution", "file size", "sharpness", "path")
    for reason, best, second in zip(reasons, ranked[0], ranked[1], strict=True):
        if best != second:
            return ranked[0][3], reason
    return ranked[0][3], "path"
