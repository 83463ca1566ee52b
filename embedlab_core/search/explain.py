"""What a score means: its distance, its place among all images, and the model's name for its range."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.spec import Bands
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.queries import Modality
from embedlab_core.search.rank import Hit, percentiles


@dataclass(frozen=True, slots=True)
class Explanation:
    """distance: cosine distance, 1 - score. rank: from 1. percentile: share of all images whose score is not above
    this one, 0..100. band: "unrelated", or the highest of the model's bands that the score reaches; None for a
    model without measured bands."""

    distance: float
    rank: int
    percentile: float
    band: str | None


def explain_hits(
    index: IndexReader, modality: Modality, query: npt.NDArray[np.float32], hits: list[Hit], bands: Bands
) -> list[Explanation]:
    """One explanation a hit of the query vector (d,)."""
    scores = np.array([hit.score for hit in hits], dtype=np.float32)
    band = bands.image if modality == "image" else bands.text
    return [
        Explanation(1.0 - hit.score, rank, percentile, Bands.name(band, hit.score))
        for rank, (hit, percentile) in enumerate(
            zip(hits, percentiles(index, query, scores).tolist(), strict=True), start=1
        )
    ]
