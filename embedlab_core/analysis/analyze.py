"""Duplicate groups and anomalies of an index."""

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.anomalies import DEFAULT_METHOD, AnomalyMethod, nearest_neighbours, raw_scores, robust_z
from embedlab_core.analysis.groups import component_labels, members_of
from embedlab_core.analysis.pairs import pairs_at_least
from embedlab_core.errors import AnalysisError
from embedlab_core.index.reader import IndexReader

log = logging.getLogger(__name__)

DEFAULT_K = 5


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """paths: sorted. tightest, loosest: the highest and lowest cosine among its pairs at or above the threshold."""

    paths: tuple[str, ...]
    tightest: float
    loosest: float


@dataclass(frozen=True, slots=True)
class Anomaly:
    """score: robust z-score of `raw` in its index, see `robust_z`. raw: on the method's own scale, see `raw_scores`."""

    path: str
    score: float
    raw: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """groups: by first member. anomalies: most isolated first, equal scores by path."""

    groups: tuple[DuplicateGroup, ...]
    anomalies: tuple[Anomaly, ...]


def analyze(
    index: IndexReader,
    dup_threshold: float,
    anomaly_top: int,
    k: int | None = None,
    method: AnomalyMethod = DEFAULT_METHOD,
) -> Analysis:
    """Group images whose cosine is at least `dup_threshold`; rank the `anomaly_top` most isolated.

    k: neighbours that decide how isolated an image is; None for 5, or all others where there are fewer. Raises
    AnalysisError for a k that needs more images than there are.
    """
    if k is not None and k >= len(index):
        raise AnalysisError(
            f"{index.directory}: --k {k} needs more than {k} images, and the index holds {len(index)}; give a smaller k"
        )
    if len(index) == 1:
        log.warning("%s: one image has nothing to be compared with", index.directory)
    pairs = pairs_at_least(index, dup_threshold)
    labels = component_labels(len(index), pairs)
    groups = []
    for members in members_of(labels):
        scores = pairs.scores[labels[pairs.left] == labels[members[0]]]
        groups.append(DuplicateGroup(tuple(sorted(index.paths(members))), float(scores.max()), float(scores.min())))
    raw = raw_scores(nearest_neighbours(index, labels, k or DEFAULT_K), method) if anomaly_top else np.empty(0)
    return Analysis(tuple(sorted(groups, key=lambda group: group.paths)), _most_isolated(index, raw, anomaly_top))


def _most_isolated(index: IndexReader, raw: npt.NDArray[np.float64], top: int) -> tuple[Anomaly, ...]:
    if top == 0:
        return ()
    floor = np.partition(raw, -top)[-top] if top < raw.size else -np.inf
    rows = np.flatnonzero(raw >= floor)
    found = zip(index.paths(rows), robust_z(raw)[rows].tolist(), raw[rows].tolist(), strict=True)
    return tuple(sorted((Anomaly(*facts) for facts in found), key=lambda anomaly: (-anomaly.raw, anomaly.path))[:top])
