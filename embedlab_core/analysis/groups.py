"""Duplicate groups: the near-duplicate pairs cut into groups of images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.pairs import Pairs

Grouping = Literal["components", "complete", "medoid"]
Labels = npt.NDArray[np.int64]


class Forest:
    """Components of pairs that come a few at a time and are not kept.

    Union-find with path halving (Tarjan & van Leeuwen 1984); the smaller root always wins, so labels do not depend on
    the order of the pairs.
    """

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))
        self._known = np.arange(count, dtype=np.int64)
        self._news = 0

    def unjoined(self, left: Labels, right: Labels) -> npt.NDArray[np.bool_]:
        """bool (m,) of pairs (m,), (m,): False only for such as are in one component already."""
        unjoined: npt.NDArray[np.bool_] = self._known[left] != self._known[right]
        return unjoined

    def join(self, pairs: Pairs) -> None:
        for left, right in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True):
            low, high = sorted((self._find(left), self._find(right)))
            self._parent[high] = low
        self._news += len(pairs)
        # Telling what is joined takes a pass over all images: as seldom as pays.
        if self._news >= len(self._parent):
            self._known, self._news = self.labels(), 0

    def labels(self) -> Labels:
        """int64 (count,): for each image the smallest row number of its component."""
        labels = np.array(self._parent, dtype=np.int64)
        while not np.array_equal(labels, above := labels[labels]):
            labels = above
        return labels

    def _find(self, node: int) -> int:
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node


def group_labels(
    count: int,
    pairs: Pairs,
    grouping: Grouping = "components",
    apart: Sequence[tuple[int, int]] = (),
    sizes: Labels | None = None,
) -> Labels:
    """int64 (count,): for each image the smallest row number of its group.

    "components" may chain: it can hold two images that are no pair. In the groups of the other two, every two images
    are a pair. None depends on the order of the pairs. apart: row numbers that must not share a group. sizes: int64
    (count,), how many images each stands for.
    """
    if apart:
        pairs = _without(count, pairs, apart)
    if grouping == "complete":
        return complete_labels(count, pairs)
    if grouping == "medoid":
        return medoid_labels(count, pairs, sizes)
    return component_labels(count, pairs, apart)


def component_labels(count: int, pairs: Pairs, apart: Sequence[tuple[int, int]] = ()) -> Labels:
    """int64 (count,): for each image the smallest row number of its component.

    Pairs join from the nearest on, and one that would join two images of `apart` is left out.
    """
    if not apart:
        forest = Forest(count)
        forest.join(pairs)
        return forest.labels()
    labels = list(range(count))
    members = {row: [row] for row in range(count)}
    barred: dict[int, set[int]] = {}
    for one, other in apart:
        barred.setdefault(one, set()).add(other)
        barred.setdefault(other, set()).add(one)
    order = _nearest_first(pairs)
    for left, right in zip(pairs.left[order].tolist(), pairs.right[order].tolist(), strict=True):
        low, high = sorted((labels[left], labels[right]))
        if low == high or any(labels[row] == high for row in barred.get(low, ())):
            continue
        for row in members[high]:
            labels[row] = low
        members[low] += members.pop(high)
        barred[low] = barred.get(low, set()) | barred.pop(high, set())
    return np.array(labels, dtype=np.int64)


def complete_labels(count: int, pairs: Pairs) -> Labels:
    """Greedy complete linkage: pairs from the nearest on join their groups if every two images across are a pair."""
    labels = np.arange(count, dtype=np.int64)
    for part in _components(count, pairs):
        group = list(range(len(part.rows)))
        members = [1 << place for place in group]
        near_to_all = part.neighbours()
        refused: set[tuple[int, int]] = set()
        for left, right in zip(part.left.tolist(), part.right.tolist(), strict=True):
            low, high = sorted((group[left], group[right]))
            if low == high or (low, high) in refused:
                continue
            if near_to_all[low] & members[high] != members[high]:
                refused.add((low, high))
                continue
            for place in _places(members[high]):
                group[place] = low
            members[low] |= members[high]
            near_to_all[low] &= near_to_all[high]
        labels[part.rows] = part.rows[group]
    return labels


def medoid_labels(count: int, pairs: Pairs, sizes: Labels | None = None) -> Labels:
    """Groups around medoids: of the images not yet in a group, the one with the most pairs takes its neighbours,
    nearest first, each only if it is a pair with all taken before. Ties go to the smaller row number."""
    labels = np.arange(count, dtype=np.int64)
    for part in _components(count, pairs):
        neighbours = part.neighbours()
        # By score, then by place: so come the pairs.
        nearest: list[list[int]] = [[] for _ in part.rows]
        for left, right in zip(part.left.tolist(), part.right.tolist(), strict=True):
            nearest[left].append(right)
            nearest[right].append(left)
        weights = [1] * len(part.rows) if sizes is None else sizes[part.rows].tolist()
        # An image is also a pair with the others that its own node stands for.
        pair_counts = [
            sum(weights[place] for place in near) + weight - 1 for near, weight in zip(nearest, weights, strict=True)
        ]
        free = (1 << len(part.rows)) - 1
        for medoid in sorted(range(len(part.rows)), key=lambda place: (-pair_counts[place], place)):
            if not free >> medoid & 1:
                continue
            group = 1 << medoid
            for place in nearest[medoid]:
                if free >> place & 1 and neighbours[place] & group == group:
                    group |= 1 << place
            free &= ~group
            members = list(_places(group))
            labels[part.rows[members]] = part.rows[members[0]]
    return labels


def members_of(labels: Labels) -> list[npt.NDArray[np.int64]]:
    """The row numbers of every group of two or more images."""
    order = np.argsort(labels, kind="stable")
    _, starts = np.unique(labels[order], return_index=True)
    return [members for members in np.split(order, starts[1:]) if members.size > 1]


@dataclass(frozen=True, slots=True)
class _Component:
    """rows: int64 (m,), ascending. left, right: its pairs, nearest first, by place among the rows."""

    rows: Labels
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]

    def neighbours(self) -> list[int]:
        """For each image the set of those it is a pair with, as a number with a bit for each place: sets of Python
        integers would take a hundred times the memory."""
        ends, others = np.concatenate([self.left, self.right]), np.concatenate([self.right, self.left])
        order = np.argsort(ends, kind="stable")
        starts = np.searchsorted(ends[order], np.arange(1, len(self.rows)))
        found = []
        for near in np.split(others[order], starts):
            bits = np.zeros(len(self.rows), dtype=np.bool_)
            bits[near] = True
            found.append(int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little"))
        return found


def _components(count: int, pairs: Pairs) -> Iterator[_Component]:
    if not len(pairs):
        return
    labels = component_labels(count, pairs)
    order = _nearest_first(pairs)
    order = order[np.argsort(labels[pairs.left[order]], kind="stable")]
    _, starts = np.unique(labels[pairs.left[order]], return_index=True)
    for chosen in np.split(order, starts[1:]):
        left, right = pairs.left[chosen], pairs.right[chosen]
        rows = np.unique(np.concatenate([left, right]))
        yield _Component(rows, np.searchsorted(rows, left), np.searchsorted(rows, right))


def _places(bits: int) -> Iterator[int]:
    """The places of the bits that are set, ascending."""
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _nearest_first(pairs: Pairs) -> npt.NDArray[np.int64]:
    return np.lexsort((pairs.right, pairs.left, -pairs.scores))


def _without(count: int, pairs: Pairs, apart: Sequence[tuple[int, int]]) -> Pairs:
    unwanted = [min(pair) * count + max(pair) for pair in apart]
    return pairs.take(~np.isin(pairs.left * count + pairs.right, unwanted))
