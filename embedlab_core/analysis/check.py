"""Whether image files are already in an index."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.calibration import Calibration, load_calibration
from embedlab_core.analysis.thresholds import Threshold, limits_of
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.errors import QueryError
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.cache import QueryCache
from embedlab_core.search.filters import rows_of_content
from embedlab_core.search.queries import Query, image_queries
from embedlab_core.search.rank import all_scores
from embedlab_core.search.similarity import cosines, product_error

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CheckedMatch:
    """identical: the same bytes. probability: that it is a duplicate; None for an index that is not calibrated."""

    path: str
    cosine: float
    identical: bool
    probability: float | None


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """matches: identical ones first, then by cosine, then by path."""

    name: str
    matches: tuple[CheckedMatch, ...]


def check_files(
    index: IndexReader, ensemble: Ensemble, cache: QueryCache, files: Sequence[str], threshold: Threshold
) -> list[CheckedFile]:
    """For each file that can be read, the images of the index that have its bytes or are near-duplicates of it.

    Only the files are embedded, not the index. A file that cannot be read is named in a warning and left out; if none
    can, QueryError is raised.
    """
    if not len(index):
        raise QueryError(f"{index.directory}: the index holds no images; run embed on a folder that has some")
    limits = limits_of(index, threshold)
    calibration = load_calibration(index)
    queries, skipped = image_queries(files, ensemble, cache)
    if not queries:
        raise QueryError(f"{skipped[0].path}: {skipped[0].reason}; give an image that can be read")
    for skip in skipped:
        log.warning("%s: %s; it is left out", skip.path, skip.reason)
    return [CheckedFile(query.name, _matches(index, query, limits, calibration)) for query in queries]


def _matches(
    index: IndexReader, query: Query, limits: npt.NDArray[np.float32], calibration: Calibration | None
) -> tuple[CheckedMatch, ...]:
    same = np.zeros(len(index), dtype=np.bool_)
    same[rows_of_content(index, query.digests)] = True
    scaled = query.vector if index.column_scale is None else query.vector * index.column_scale
    (vector,) = index.exact_queries(scaled[None])
    rough = all_scores(index, vector)
    rows = np.flatnonzero(same | (rough >= limits - np.float32(product_error(vector.size))))
    vectors = index.vectors(rows)
    scores = cosines(np.broadcast_to(vector, vectors.shape), vectors)
    found = [
        CheckedMatch(
            path,
            cosine=float(score),
            identical=bool(same[row]),
            probability=1.0 if same[row] else calibration.probability(float(score)) if calibration else None,
        )
        for row, path, score in zip(rows, index.paths(rows), scores, strict=True)
        if same[row] or score >= limits[row]
    ]
    return tuple(sorted(found, key=lambda match: (not match.identical, -match.cosine, match.path)))
