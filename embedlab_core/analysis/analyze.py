"""Duplicate groups and anomalies of an index."""

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.anomalies import DEFAULT_METHOD, AnomalyMethod, nearest_neighbours, raw_scores
from embedlab_core.analysis.duplicates import DuplicateGroup, DuplicateOptions, find_duplicates
from embedlab_core.errors import AnalysisError
from embedlab_core.index.reader import IndexReader
from embedlab_core.robust import robust_z

log = logging.getLogger(__name__)

DEFAULT_K = 5


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
    duplicates: DuplicateOptions,
    anomaly_top: int,
    k: int | None = None,
    method: AnomalyMethod = DEFAULT_METHOD,
    explain: bool = False,
) -> Analysis:
    """Group near-duplicates; rank the `anomaly_top` images that are most isolated from those outside their group.

    k: neighbours that decide how isolated an image is; None for 5, or all others where there are fewer. Raises
    AnalysisError for a k that needs more images than there are.
    """
    if k is not None and k >= len(index):
        raise AnalysisError(
            f"{index.directory}: --k {k} needs more than {k} images, and the index holds {len(index)}; give a smaller k"
        )
    if len(index) == 1:
        log.warning("%s: one image has nothing to be compared with", index.directory)
    found = find_duplicates(index, duplicates, explain)
    raw = raw_scores(nearest_neighbours(index, found.labels, k or DEFAULT_K), method) if anomaly_top else np.empty(0)
    return Analysis(found.groups, _most_isolated(index, raw, anomaly_top))


def _most_isolated(index: IndexReader, raw: npt.NDArray[np.float64], top: int) -> tuple[Anomaly, ...]:
    if top == 0:
        return ()
    floor = np.partition(raw, -top)[-top] if top < raw.size else -np.inf
    rows = np.flatnonzero(raw >= floor)
    found = zip(index.paths(rows), robust_z(raw)[rows].tolist(), raw[rows].tolist(), strict=True)
    return tuple(sorted((Anomaly(*facts) for facts in found), key=lambda anomaly: (-anomaly.raw, anomaly.path))[:top])
