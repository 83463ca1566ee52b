"""What is in an index: clusters of alike images, named by the nearest phrases of a vocabulary."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.errors import LabelError
from embedlab_core.index.reader import IndexReader
from embedlab_core.packages import needed_for

# Images that the clusters are fitted to, evenly spaced over the sorted paths: 40 MB of 512-d float32.
_SAMPLE = 20_000
_MOST_CLUSTERS = 50
_EXAMPLES = 3
_NAMES = 3


@dataclass(frozen=True, slots=True)
class Cluster:
    """names: the nearest phrases, nearest first. size: images in it. examples: those nearest to its centre."""

    names: tuple[str, ...]
    size: int
    examples: tuple[str, ...]


def cluster_images(
    index: IndexReader, phrases: Sequence[str], phrase_vectors: npt.NDArray[np.float32], count: int | None = None
) -> tuple[Cluster, ...]:
    """Clusters of the index, the largest first, none of them empty.

    k-means on unit vectors (Lloyd 1982; k-means++ of Arthur & Vassilvitskii 2007), seeded by the index's seed; count:
    how many clusters, None for the square root of the number of images, at most 50. A phrase's nearness to a cluster is
    its cosine to the centre less its mean cosine to all centres, so that phrases near to everything name nothing.
    phrase_vectors: float32 (p, d). Raises LabelError if there are fewer images than clusters, and IndexDamagedError.
    """
    with needed_for("finding clusters"):
        from sklearn.cluster import KMeans

    wanted = count or min(_MOST_CLUSTERS, max(1, round(len(index) ** 0.5)))
    if wanted > len(index):
        raise LabelError(f"{index.directory}: {wanted} clusters of {len(index)} images; give a smaller --clusters")
    by_path = np.argsort(np.array(index.paths(np.arange(len(index)))), kind="stable")
    chosen = by_path[:: -(-len(index) // _SAMPLE)]
    sample = index.vectors(chosen)
    index.require_unit(chosen, sample)
    # No more clusters than different images, and no two centres in one place: they would share their names and members.
    distinct = len(np.unique(sample, axis=0))
    fitted = KMeans(min(wanted, distinct), n_init=4, random_state=index.manifest.seed).fit(sample)
    centres = _unit(fitted.cluster_centers_)
    nearest = np.empty(len(index), dtype=np.int64)
    scores = np.empty(len(index), dtype=np.float32)
    for start, block in index.exact_blocks():
        index.require_unit(np.arange(start, start + len(block)), block)
        cosines = block @ centres.T
        nearest[start : start + len(block)] = cosines.argmax(axis=1)
        scores[start : start + len(block)] = cosines.max(axis=1)
    affinity = centres @ phrase_vectors.T
    affinity -= affinity.mean(axis=0) if len(centres) > 1 else 0
    clusters = []
    for number, row in enumerate(affinity):
        members = np.flatnonzero(nearest == number)
        if members.size:
            names = tuple(phrases[place] for place in np.argsort(-row, kind="stable")[:_NAMES])
            ranked = sorted(zip(-scores[members], index.paths(members), strict=True))
            clusters.append(Cluster(names, members.size, tuple(path for _, path in ranked[:_EXAMPLES])))
    return tuple(sorted(clusters, key=lambda cluster: (-cluster.size, cluster.examples)))


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    # Opposite images may cancel out; such a centre is near nothing.
    norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    unit: npt.NDArray[np.float32] = (vectors / norms).astype(np.float32)
    return unit
