"""Duplicate groups and anomalies of an index."""

from dataclasses import dataclass

import numpy as np

from embedlab_core.analysis.anomalies import knn_distances
from embedlab_core.analysis.duplicates import DuplicateGroup, DuplicateOptions, find_duplicates
from embedlab_core.index.reader import IndexReader


@dataclass(frozen=True, slots=True)
class Anomaly:
    """score: mean cosine distance to the nearest neighbours outside its duplicate group, 0..2."""

    path: str
    score: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """groups: by first member. anomalies: most isolated first, equal scores by path."""

    groups: tuple[DuplicateGroup, ...]
    anomalies: tuple[Anomaly, ...]


def analyze(
    index: IndexReader, duplicates: DuplicateOptions, anomaly_top: int, k: int, explain: bool = False
) -> Analysis:
    """Group near-duplicates; rank the `anomaly_top` images that are most isolated from those outside their group."""
    found = find_duplicates(index, duplicates, explain)
    distances = knn_distances(index, found.labels, k)
    return Analysis(found.groups, _most_isolated(index, distances, anomaly_top))


def _most_isolated(index: IndexReader, distances: "np.typing.NDArray[np.float64]", top: int) -> tuple[Anomaly, ...]:
    if top == 0:
        return ()
    floor = np.partition(distances, -top)[-top] if top < distances.size else -np.inf
    rows = np.flatnonzero(distances >= floor)
    anomalies = [Anomaly(path, score) for path, score in zip(index.paths(rows), distances[rows].tolist(), strict=True)]
    return tuple(sorted(anomalies, key=lambda anomaly: (-anomaly.score, anomaly.path))[:top])
