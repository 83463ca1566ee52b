"""Results that are not all alike."""

import numpy as np
import numpy.typing as npt

_TINY = float(np.finfo(np.float32).tiny)


def diversify(
    vectors: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    k: int,
    diversity: float,
    ceiling: float | None = None,
) -> list[int]:
    """Which k of n candidates to show, in this order: maximal marginal relevance (Carbonell & Goldstein 1998).

    vectors: float32 (n, d), unit length, best first. scores: float32 (n,), their relevance. diversity: 0 keeps the
    order of relevance, 1 looks only at how unlike the shown ones a candidate is. ceiling: a candidate whose cosine with
    a shown one reaches it is never shown. Relevance and likeness are scaled to 0..1 over the candidates first, since
    text-image cosines span a narrower range than image-image ones.
    """
    relevance = _scaled(scores)
    likeness = _scaled(vectors @ vectors.T) if diversity > 0 else np.zeros((len(vectors), len(vectors)), np.float32)
    redundancy = np.zeros(len(vectors), dtype=np.float32)
    open_ = np.ones(len(vectors), dtype=np.bool_)
    chosen: list[int] = []
    while len(chosen) < k and open_.any():
        value = (1 - diversity) * relevance - diversity * redundancy
        # argmax takes the first of equal values, which is the more relevant one.
        best = int(np.argmax(np.where(open_, value, -np.inf)))
        chosen.append(best)
        open_[best] = False
        redundancy = np.maximum(redundancy, likeness[best])
        if ceiling is not None:
            open_ &= vectors @ vectors[best] < ceiling
    return chosen


def intra_list_distance(vectors: npt.NDArray[np.float32]) -> float:
    """Mean cosine distance over the pairs of a result list (n, d) (Ziegler et al. 2005); 0 for fewer than two."""
    if len(vectors) < 2:
        return 0.0
    upper = np.triu_indices(len(vectors), 1)
    return float(np.mean(1.0 - (vectors @ vectors.T)[upper]))


def _scaled(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    low, high = float(values.min()), float(values.max())
    scaled: npt.NDArray[np.float32] = (values - low) / max(high - low, _TINY)
    return scaled
