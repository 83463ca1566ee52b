"""The nearest images of every image, by way of the ANN index: pairs and neighbours out of one approximate pass."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.anomalies import SPARE, Neighbours, nearest_of
from embedlab_core.analysis.pairs import Pairs
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.ann import AnnIndex
from embedlab_core.search.similarity import cosines

# Kept for each image: more than the copies that an image tends to have and the neighbours that are asked for. A million
# images take 512 MB.
_WIDTH = 64
_BLOCK_ROWS = 2048
# Images on which the recall is measured, and the neighbours of each that are counted.
_SAMPLE = 200
_COUNTED = 10


@dataclass(frozen=True, slots=True)
class Near:
    """rows: int32 (n, m), for every image the rows of images near it, nearest first, -1 where there are none. scores:
    float32 (n, m), their exact cosines, -inf where there are none. recall: the share of the 10 nearest that are among
    them, on a sample."""

    rows: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]
    recall: float

    def pairs(self, threshold: float) -> Pairs:
        """As `pairs_at_least`, without the pairs that were missed."""
        left, columns = np.nonzero(self.scores >= np.float32(threshold))
        right, scores = self.rows[left, columns].astype(np.int64), self.scores[left, columns]
        # Most pairs are seen from both sides.
        return Pairs.union(Pairs(np.minimum(left, right), np.maximum(left, right), scores), Pairs.concatenate([]))

    @property
    def width(self) -> int:
        """The most neighbours that an image can have here."""
        return int(self.rows.shape[1])

    def neighbours(self, labels: npt.NDArray[np.int64], k: int) -> Neighbours:
        """As `nearest_neighbours`; infinite distances also where all that was found is of the image's own group."""
        count, width = len(self.rows), min(k + SPARE, self.width)
        rows, distances = np.empty((count, width), dtype=np.int64), np.empty((count, width))
        for start in range(0, count, _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            other = (self.rows[block] >= 0) & (labels[self.rows[block]] != labels[block, None])
            apart = np.where(other, 1.0 - self.scores[block].astype(np.float64), np.inf)
            order = np.argsort(apart, axis=1, kind="stable")[:, :width]
            rows[block] = np.take_along_axis(np.maximum(self.rows[block], 0), order, 1)
            distances[block] = np.take_along_axis(apart, order, 1)
        return Neighbours(k, rows, distances)


def near_images(index: IndexReader) -> Near | None:
    """None for an index so small that it is always compared exactly.

    Raises IndexWriteError if the ANN index is not there and cannot be made.
    """
    ann = AnnIndex.open(replace(index, column_scale=None))
    if ann is None:
        return None
    rows = np.full((len(index), _WIDTH), -1, dtype=np.int32)
    scores = np.full((len(index), _WIDTH), -np.inf, dtype=np.float32)
    for start, block in index.exact_blocks(_BLOCK_ROWS):
        own = np.arange(start, start + len(block))
        rows[own], scores[own] = _near_block(index, ann, own, block)
    return Near(rows, scores, _recall(index, rows))


def _near_block(
    index: IndexReader, ann: AnnIndex, own: npt.NDArray[np.int64], block: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    # The cells hold plain vectors: a fused product with one is that of the twice scaled query.
    scaled = block if index.column_scale is None else block * index.column_scale
    found = ann.join(index.scan_queries(scaled) if index.reranks else scaled, _WIDTH + 1)
    real = (found >= 0) & (found != own[:, None])
    exact = cosines(np.repeat(block, found.shape[1], axis=0), index.vectors(np.maximum(found, 0).ravel()))
    scores = np.where(real, exact.reshape(found.shape), -np.inf)
    order = np.lexsort((found, -scores), axis=1)[:, :_WIDTH]
    return np.take_along_axis(np.where(real, found, -1), order, 1), np.take_along_axis(scores, order, 1)


def _recall(index: IndexReader, rows: npt.NDArray[np.int32]) -> float:
    sample = np.unique(np.linspace(0, len(index) - 1, _SAMPLE).astype(np.int64))
    truth, _ = nearest_of(index, sample, index.vectors(sample), np.arange(len(index)), _COUNTED)
    return float(np.mean([np.isin(exact, found).mean() for exact, found in zip(truth, rows[sample], strict=True)]))
