"""Late fusion: one similarity out of those of several models.

Cosines of two models have different spreads, so each is divided by its standard deviation before the weighted mean
(z-score fusion; the means shift all scores alike and are left out). The weights are then scaled to sum to 1: the
ranking is that of the normalised similarities, and the score stays a mean of cosines. An index of one model is left as
it is.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from embedlab_core.errors import QueryError
from embedlab_core.index.reader import IndexReader

# Images that the spread of a model's cosines is measured on, evenly spaced over the index.
_SAMPLE = 4096
# A model whose cosines are all but equal says nothing; it must not be blown up.
_LEAST_SPREAD = 1e-3


def fused_queries(
    index: IndexReader, queries: npt.NDArray[np.float32], weights: Sequence[float] = ()
) -> npt.NDArray[np.float32]:
    """Queries (n, d) of an ensemble, scaled so that their dot product with an image is the fused similarity.

    weights: one a model; none means equal ones. Raises QueryError if they do not fit the index.
    """
    return queries * fusion_scales(index, queries, weights)


def fusion_scales(
    index: IndexReader, queries: npt.NDArray[np.float32], weights: Sequence[float] = ()
) -> npt.NDArray[np.float32]:
    """What `fused_queries` multiplies the queries (n, d) by: float32 (n, d), 1 for an index of one model."""
    shares = _checked(index, weights)
    scales = np.ones_like(queries)
    if len(shares) == 1:
        return scales
    sample = index.vectors(_sample_rows(index))
    columns = _columns(index)
    spreads = np.stack(
        [np.std(len(shares) * (queries[:, part] @ sample[:, part].T), axis=1) for part in columns], axis=1
    )
    for row, spread in enumerate(spreads):
        for part, share in zip(columns, _normalised(shares, spread), strict=True):
            scales[row, part] = len(shares) * share
    return scales


def fused_index(index: IndexReader, weights: Sequence[float] = ()) -> IndexReader:
    """The index with its columns scaled so that the dot product of two images is their fused similarity.

    Raises QueryError if the weights do not fit the index.
    """
    shares = _checked(index, weights)
    if len(shares) == 1 or len(index) == 0:
        return index
    sample = index.vectors(_sample_rows(index))
    upper = np.triu_indices(len(sample), 1)
    columns = _columns(index)
    spread = np.array([np.std(len(shares) * (sample[:, part] @ sample[:, part].T)[upper]) for part in columns])
    scale = np.empty(index.manifest.dim, dtype=np.float32)
    for part, share in zip(columns, _normalised(shares, spread), strict=True):
        scale[part] = math.sqrt(len(shares) * share)
    return replace(index, column_scale=scale)


def _checked(index: IndexReader, weights: Sequence[float]) -> list[float]:
    models = index.manifest.models
    if not weights:
        return [1.0] * len(models)
    if len(weights) != len(models):
        raise QueryError(
            f"{index.directory}: {len(weights)} fusion weights for {len(models)} models; "
            f"give --fusion-weight once for each of {index.manifest.model_names}, in this order"
        )
    if not all(0 <= weight < math.inf for weight in weights):
        raise QueryError(f"fusion weights {', '.join(map(str, weights))}: give numbers from 0 on")
    largest = max(weights)
    if largest == 0:
        raise QueryError("all fusion weights are 0; give at least one model some weight")
    return [weight / largest for weight in weights]


def _normalised(shares: Sequence[float], spread: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    scaled: npt.NDArray[np.float64] = np.array(shares) / np.maximum(spread, _LEAST_SPREAD).astype(np.float64)
    return scaled / float(scaled.sum())


def _columns(index: IndexReader) -> list[slice]:
    ends = np.cumsum([model.dim for model in index.manifest.models]).tolist()
    return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


def _sample_rows(index: IndexReader) -> npt.NDArray[np.int64]:
    return np.arange(0, len(index), max(1, -(-len(index) // _SAMPLE)))
