"""All pairs of images at or above a cosine, without an n x n matrix."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines, product_error

# Two blocks and their product: 2 x 4 MB of 512-d float32 and 16 MB of scores.
_BLOCK_ROWS = 2048


@dataclass(frozen=True, slots=True)
class Pairs:
    """left, right: int64 (m,), row numbers, left < right. scores: float32 (m,), their cosines."""

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


def pairs_at_least(index: IndexReader, threshold: float) -> Pairs:
    """Every pair whose cosine, as a float32, is at least float32(threshold)."""
    limit = np.float32(threshold)
    rough_limit = limit - product_error(index.manifest.dim)
    parts = [_empty()]
    for left_start, left in index.exact_blocks(_BLOCK_ROWS):
        for right_start, right in index.exact_blocks(_BLOCK_ROWS):
            if left_start <= right_start:
                near_left, near_right = np.nonzero(left @ right.T >= rough_limit)
                if left_start == right_start:
                    upper = near_left < near_right
                    near_left, near_right = near_left[upper], near_right[upper]
                scores = cosines(left[near_left], right[near_right])
                same = scores >= limit
                parts.append(Pairs(left_start + near_left[same], right_start + near_right[same], scores[same]))
    return Pairs(
        np.concatenate([part.left for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.scores for part in parts]),
    )


def _empty() -> Pairs:
    return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
