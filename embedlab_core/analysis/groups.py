"""Duplicate groups: connected components of the near-duplicate pairs."""

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.pairs import Pairs


def component_labels(count: int, pairs: Pairs) -> npt.NDArray[np.int64]:
    """int64 (count,): for each image the smallest row number of its component.

    Union-find with path halving (Tarjan & van Leeuwen 1984); the smaller root always wins, so labels do not depend on
    the order of the pairs.
    """
    parent = list(range(count))

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for left, right in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
        low, high = sorted((find(left), find(right)))
        parent[high] = low
    return np.array([find(node) for node in range(count)], dtype=np.int64)


def members_of(labels: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """The row numbers of every component of two or more images."""
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    return [members for members in np.split(order, starts[1:]) if members.size > 1]
