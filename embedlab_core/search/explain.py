"""What a score means: its place among all images, the model's name for its range, and what it is made of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.spec import Bands
from embedlab_core.index.reader import IndexReader
from embedlab_core.robust import robust_z
from embedlab_core.search.queries import Query
from embedlab_core.search.rank import Hit, all_scores
from embedlab_core.search.similarity import cosines, product_error


@dataclass(frozen=True, slots=True)
class Explanation:
    """distance: cosine distance, 1 - score. rank: from 1. percentile: share of all images whose score is not above
    this one, 0..100. z_score: the score's place among those of all images, see `robust_z`. band: "unrelated", or the
    highest of the model's bands that the score reaches; None for a model without measured bands, and for a prompt of
    which it knows no word. duplicate_of: path of the first better result that this one is a near-duplicate of. shares:
    what each part of a composed query adds to the score, in the order of its parts."""

    distance: float
    rank: int
    percentile: float
    z_score: float
    band: str | None
    duplicate_of: str | None
    shares: tuple[float, ...]


def explain_hits(index: IndexReader, query: Query, hits: Sequence[Hit], bands: Bands) -> list[Explanation]:
    """One explanation a hit. query: as it was compared."""
    (vector,) = index.exact_queries(query.vector[None], query.modality == "text")
    scores = np.array([hit.score for hit in hits], dtype=np.float32)
    rows = np.array([hit.row for hit in hits], dtype=np.int64)
    everything = all_scores(index, vector)
    places = percentiles(index, vector, everything, scores)
    z_scores = robust_z(everything)[rows].tolist()
    found = index.vectors(rows)
    better = _better_duplicates(found, bands.near_duplicate)
    shares = found @ index.exact_parts(query.directions).T if query.parts else np.empty((len(hits), 0))
    return [
        Explanation(
            distance=1.0 - hit.score,
            rank=number + 1,
            percentile=places[number],
            z_score=z_scores[number],
            band=None if query.unknown else bands.of(query.modality, hit.score),
            duplicate_of=hits[better[number]].path if number in better else None,
            shares=tuple(shares[number].tolist()),
        )
        for number, hit in enumerate(hits)
    ]


def percentiles(
    index: IndexReader,
    vector: npt.NDArray[np.float32],
    everything: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
) -> list[float]:
    """For each score (q,) the share of all images (0..100) whose exact cosine to the vector (d,) is not above it.

    everything: float32 (n,), as `all_scores` gives them. They place all images but those within their error; exact
    cosines place these.
    """
    margin = 2 * product_error(vector.size) * float(np.linalg.norm(vector))
    ordered = np.sort(everything)
    places = []
    for score in scores:
        below = int(np.searchsorted(ordered, score - margin, side="left"))
        close = np.flatnonzero(np.abs(everything - score) <= margin)
        exact = cosines(np.broadcast_to(vector, (close.size, vector.size)), index.vectors(close))
        places.append(100.0 * (below + int((exact <= score).sum())) / len(index))
    return places


def _better_duplicates(vectors: npt.NDArray[np.float32], threshold: float) -> dict[int, int]:
    """For each hit (n, d) that is one: the number of the first better hit that it is a near-duplicate of."""
    found = {}
    for number in range(1, len(vectors)):
        near = np.flatnonzero(vectors[:number] @ vectors[number] >= threshold)
        if near.size:
            found[number] = int(near[0])
    return found
