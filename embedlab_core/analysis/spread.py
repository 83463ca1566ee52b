"""How near the images of a group are to each other."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.pairs import Pairs
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.similarity import cosines

# Of pairs of rows: bool (m,), which count as near-duplicates.
IsPair = Callable[[Pairs], npt.NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Spread:
    """tightest, loosest: (left, right) places in the group of the nearest and the farthest two images, and their
    cosines. medoid: the place of the image with the highest mean cosine to the others. pair_count: how many pairs of
    the group are near-duplicates."""

    tightest: tuple[int, int]
    loosest: tuple[int, int]
    tightest_cosine: float
    loosest_cosine: float
    medoid: int
    pair_count: int


def group_spread(
    index: IndexReader, rows: npt.NDArray[np.int64], nodes: npt.NDArray[np.int64], is_pair: IsPair
) -> Spread:
    """Of a group of two or more images. rows: int64 (m,), by path. nodes: int64 (m,), the node of each; the images of a
    node are equal, so that only one of them is compared with others. Equal cosines go to the first places."""
    _, firsts, inverse = np.unique(nodes, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    places, sizes = firsts[order], np.bincount(inverse)[order]
    vectors = index.vectors(rows[places])
    tightest, loosest = (-np.inf, 0, 0), (np.inf, 0, 0)
    sums, pair_count = np.zeros(len(places)), int((sizes * (sizes - 1) // 2).sum())
    # Rows of all cosines, not a matrix: a group can be large.
    for number, (place, vector) in enumerate(zip(places.tolist(), vectors, strict=True)):
        scores = cosines(np.broadcast_to(vector, vectors.shape), vectors)
        sums[number] = (scores * sizes).sum(dtype=np.float64) - 1
        if sizes[number] > 1:
            twin = int(np.flatnonzero(nodes == nodes[place])[1])
            tightest = max(tightest, (1.0, place, twin), key=lambda pair: pair[0])
            loosest = min(loosest, (1.0, place, twin), key=lambda pair: pair[0])
        later, others = scores[number + 1 :], places[number + 1 :]
        if later.size:
            best, worst = int(later.argmax()), int(later.argmin())
            tightest = max(tightest, (float(later[best]), place, int(others[best])), key=lambda pair: pair[0])
            loosest = min(loosest, (float(later[worst]), place, int(others[worst])), key=lambda pair: pair[0])
            counted = is_pair(Pairs(np.full(len(others), rows[place]), rows[others], later))
            pair_count += int(sizes[number] * sizes[number + 1 :][counted].sum())
    return Spread(
        tightest=tightest[1:],
        loosest=loosest[1:],
        tightest_cosine=float(tightest[0]),
        loosest_cosine=float(loosest[0]),
        medoid=int(places[sums.argmax()]),
        pair_count=pair_count,
    )
