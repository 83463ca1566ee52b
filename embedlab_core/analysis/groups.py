"""Duplicate groups: the near-duplicate pairs cut into groups of images."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.pairs import Pairs

Grouping = Literal["components", "complete", "medoid"]
Labels = npt.NDArray[np.int64]


def group_labels(
    count: int, pairs: Pairs, grouping: Grouping = "components", apart: Sequence[tuple[int, int]] = ()
) -> Labels:
    """int64 (count,): for each image the smallest row number of its group.

    "components" may chain: it can hold two images that are no pair. In the groups of the other two, every two images
    are a pair. None depends on the order of the pairs. apart: row numbers that must not share a group.
    """
    if apart:
        pairs = _without(pairs, apart)
    if grouping == "complete":
        return complete_labels(count, pairs)
    if grouping == "medoid":
        return medoid_labels(count, pairs)
    return component_labels(count, pairs, apart)


def component_labels(count: int, pairs: Pairs, apart: Sequence[tuple[int, int]] = ()) -> Labels:
    """int64 (count,): for each image the smallest row number of its component.

    Union-find with path halving (Tarjan & van Leeuwen 1984); the smaller root always wins, so labels do not depend on
    the order of the pairs. Pairs join from the nearest on, and one that would join two images of `apart` is left out.
    """
    parent = list(range(count))

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    order = _nearest_first(pairs)
    for left, right in zip(pairs.left[order].tolist(), pairs.right[order].tolist(), strict=True):
        low, high = sorted((find(left), find(right)))
        if not any(sorted((find(one), find(other))) == [low, high] for one, other in apart):
            parent[high] = low
    return np.array([find(node) for node in range(count)], dtype=np.int64)


def complete_labels(count: int, pairs: Pairs) -> Labels:
    """Greedy complete linkage: pairs from the nearest on join their groups if every two images across are a pair."""
    labels = list(range(count))
    members = {row: [row] for row in range(count)}
    near_to_all = _neighbours(pairs)
    order = _nearest_first(pairs)
    for left, right in zip(pairs.left[order].tolist(), pairs.right[order].tolist(), strict=True):
        low, high = sorted((labels[left], labels[right]))
        if low != high and near_to_all[low].issuperset(members[high]):
            for row in members[high]:
                labels[row] = low
            members[low] += members.pop(high)
            near_to_all[low] &= near_to_all.pop(high)
    return np.array(labels, dtype=np.int64)


def medoid_labels(count: int, pairs: Pairs) -> Labels:
    """Groups around medoids: of the images not yet in a group, the one with the most pairs takes its neighbours,
    nearest first, each only if it is a pair with all taken before. Ties go to the smaller row number."""
    labels = np.arange(count, dtype=np.int64)
    neighbours = _neighbours(pairs)
    keys = zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    scores = dict(zip(keys, pairs.scores.tolist(), strict=True))
    free = set(neighbours)
    for medoid in sorted(neighbours, key=lambda row: (-len(neighbours[row]), row)):
        if medoid not in free:
            continue
        nearest = sorted(neighbours[medoid] & free, key=lambda row: (-scores[min(row, medoid), max(row, medoid)], row))
        group = [medoid]
        for row in nearest:
            if neighbours[row].issuperset(group):
                group.append(row)
        labels[group] = min(group)
        free.difference_update(group)
    return labels


def members_of(labels: Labels) -> list[npt.NDArray[np.int64]]:
    """The row numbers of every group of two or more images."""
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    return [members for members in np.split(order, starts[1:]) if members.size > 1]


def _neighbours(pairs: Pairs) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for left, right in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
        found.setdefault(left, set()).add(right)
        found.setdefault(right, set()).add(left)
    return found


def _nearest_first(pairs: Pairs) -> npt.NDArray[np.int64]:
    return np.lexsort((pairs.right, pairs.left, -pairs.scores))


def _without(pairs: Pairs, apart: Sequence[tuple[int, int]]) -> Pairs:
    unwanted = {tuple(sorted(pair)) for pair in apart}
    keys = zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)
    return pairs.take(np.array([key not in unwanted for key in keys], dtype=np.bool_))
