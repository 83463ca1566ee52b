"""Duplicate groups and anomalies of an index."""

from dataclasses import dataclass

import numpy as np

from embedlab_core.analysis.anomalies import knn_distances
from embedlab_core.analysis.groups import component_labels, members_of
from embedlab_core.analysis.pairs import pairs_at_least
from embedlab_core.index.reader import IndexReader


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """paths: sorted. tightest, loosest: the highest and lowest cosine among its pairs at or above the threshold."""

    paths: tuple[str, ...]
    tightest: float
    loosest: float


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


def analyze(index: IndexReader, dup_threshold: float, anomaly_top: int, k: int) -> Analysis:
    """Group images whose cosine is at least `dup_threshold`; rank the `anomaly_top` most isolated by k-NN distance."""
    pairs = pairs_at_least(index, dup_threshold)
    labels = component_labels(len(index), pairs)
    groups = []
    for members in members_of(labels):
        scores = pairs.scores[labels[pairs.left] == labels[members[0]]]
        groups.append(DuplicateGroup(tuple(sorted(index.paths(members))), float(scores.max()), float(scores.min())))
    distances = knn_distances(index, labels, k)
    return Analysis(tuple(sorted(groups, key=lambda group: group.paths)), _most_isolated(index, distances, anomaly_top))


def _most_isolated(index: IndexReader, distances: "np.typing.NDArray[np.float64]", top: int) -> tuple[Anomaly, ...]:
    if top == 0:
        return ()
    floor = np.partition(distances, -top)[-top] if top < distances.size else -np.inf
    rows = np.flatnonzero(distances >= floor)
    anomalies = [Anomaly(path, score) for path, score in zip(index.paths(rows), distances[rows].tolist(), strict=True)]
    return tuple(sorted(anomalies, key=lambda anomaly: (-anomaly.score, anomaly.path))[:top])
