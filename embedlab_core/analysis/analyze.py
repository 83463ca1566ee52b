"""Duplicate groups and anomalies of an index."""

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.anomalies import (
    DEFAULT_METHOD,
    AnomalyMethod,
    nearest_neighbours,
    raw_scores,
    with_exact_top,
)
from embedlab_core.analysis.duplicates import DuplicateGroup, DuplicateOptions, find_duplicates
from embedlab_core.analysis.labels import Labelling
from embedlab_core.analysis.near import near_images
from embedlab_core.analysis.quality import QualityReport
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
    """groups: by first member. anomalies: most isolated first, equal scores by path. recall: the share of each
    image's 10 nearest that were looked at, on a sample; None where all images were compared. labelling, quality: None
    unless they were asked for."""

    groups: tuple[DuplicateGroup, ...]
    anomalies: tuple[Anomaly, ...]
    recall: float | None = None
    labelling: Labelling | None = None
    quality: QualityReport | None = None


def analyze(
    index: IndexReader,
    duplicates: DuplicateOptions,
    anomaly_top: int,
    k: int | None = None,
    method: AnomalyMethod = DEFAULT_METHOD,
    explain: bool = False,
    ann: bool = False,
) -> Analysis:
    """Group near-duplicates; rank the `anomaly_top` images that are most isolated from those outside their group.

    k: neighbours that decide how isolated an image is; None for 5, or all others where there are fewer. ann: look only
    at the images that the ANN index finds near each; the anomalies of "knn" are exact all the same, given the groups.

    Raises AnalysisError for a k that needs more images than there are, or more neighbours than `ann` finds.
    """
    if k is not None and k >= len(index):
        raise AnalysisError(
            f"{index.directory}: --k {k} needs more than {k} images, and the index holds {len(index)}; give a smaller k"
        )
    if len(index) == 1:
        log.warning("%s: one image has nothing to be compared with", index.directory)
    near = near_images(index) if ann else None
    if near and k is not None and k > near.width:
        raise AnalysisError(f"--k {k} with --ann: it finds {near.width} neighbours of an image; give at most as many")
    found = find_duplicates(index, duplicates, explain, near)
    raw = np.empty(0)
    if anomaly_top:
        k = k or DEFAULT_K
        neighbours = near.neighbours(found.labels, k) if near else nearest_neighbours(index, found.labels, k)
        raw = raw_scores(neighbours, method)
        if near and method == "knn":
            raw = with_exact_top(index, found.labels, neighbours, raw, anomaly_top)
    return Analysis(found.groups, _most_isolated(index, raw, anomaly_top), near.recall if near else None)


def _most_isolated(index: IndexReader, raw: npt.NDArray[np.float64], top: int) -> tuple[Anomaly, ...]:
    if top == 0:
        return ()
    floor = np.partition(raw, -top)[-top] if top < raw.size else -np.inf
    rows = np.flatnonzero(raw >= floor)
    found = zip(index.paths(rows), robust_z(raw)[rows].tolist(), raw[rows].tolist(), strict=True)
    return tuple(sorted((Anomaly(*facts) for facts in found), key=lambda anomaly: (-anomaly.raw, anomaly.path))[:top])
