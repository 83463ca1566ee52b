"""Which images are duplicates of each other, in groups, and what a group looks like inside."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.apart import rows_apart
from embedlab_core.analysis.evidence import PairEvidence, pair_evidence
from embedlab_core.analysis.groups import Forest, Grouping, Labels, group_labels, members_of
from embedlab_core.analysis.hashes import COSINE_SLACK, HashUse, each_hash_pair, hash_evidence
from embedlab_core.analysis.keeper import Keeper, Policy, keepers_of
from embedlab_core.analysis.near import Near
from embedlab_core.analysis.nodes import Nodes, equal_images
from embedlab_core.analysis.pairs import Pairs, Wanted, each_pair_at_least
from embedlab_core.analysis.spread import Spread, group_spread
from embedlab_core.analysis.thresholds import Threshold, limits_of
from embedlab_core.index.reader import IndexReader

_Limits = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class DuplicateOptions:
    """threshold: cosine from which two images are near-duplicates, in (-1, 1], or how to find it. hashes: whether
    perceptual hashes are evidence too, of the upright pictures or also of their quarter turns and mirrors."""

    threshold: Threshold = 0.92
    grouping: Grouping = "components"
    hashes: HashUse = "none"


# For acting on groups: none holds a stranger.
STRICT = DuplicateOptions(grouping="complete")


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """keeper: the image to keep. evidence: of the tightest pair and of the loosest, if that is another."""

    keeper: Keeper
    evidence: tuple[PairEvidence, ...]


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """paths: sorted. rows: int64 (m,), their row numbers. facts: None unless they were asked for."""

    paths: tuple[str, ...]
    rows: npt.NDArray[np.int64] = field(compare=False)
    spread: Spread
    facts: GroupFacts | None = None

    @property
    def chains(self) -> bool:
        """Whether the group holds two images that are no pair by themselves."""
        return self.spread.pair_count < len(self.paths) * (len(self.paths) - 1) // 2


@dataclass(frozen=True, slots=True)
class Duplicates:
    """labels: int64 (n,), for each image the smallest row number of its group. groups: by first member."""

    labels: Labels
    groups: tuple[DuplicateGroup, ...]


@dataclass(frozen=True, slots=True)
class _Search:
    """What counts as a pair. limits: float32 (n,), see `limits_of`."""

    index: IndexReader
    limits: _Limits
    hashes: HashUse
    near: Near | None

    def each(self, take: Callable[[Pairs], None], nodes: Nodes, wanted: Wanted | None = None) -> None:
        """Hand the pairs of nodes to `take`, a bounded number at a time; a pair may come twice. wanted: the pairs to
        look at at all."""
        if not len(nodes):
            return
        limits = self.limits[nodes.rows]
        lowest = float(limits.min())

        def near_enough(pairs: Pairs, slack: float = 0.0) -> None:
            limit = np.maximum(limits[pairs.left], limits[pairs.right]) - np.float32(slack)
            take(pairs.take(pairs.scores >= limit))

        if self.near:
            found = _between(self.near.pairs(lowest), nodes)
            chosen = np.ones(len(found), dtype=np.bool_) if wanted is None else wanted(found.left, found.right)
            near_enough(found.take(chosen))
        else:
            each_pair_at_least(self.index, lowest, near_enough, nodes, wanted)
        if self.hashes != "none":
            turned = self.hashes == "turned"
            each_hash_pair(self.index, turned, lambda pairs: near_enough(pairs, COSINE_SLACK), nodes, wanted)

    def all(self, nodes: Nodes, wanted: Wanted | None = None) -> Pairs:
        found: list[Pairs] = []
        self.each(found.append, nodes, wanted)
        return Pairs.union(Pairs.concatenate(found), Pairs.concatenate([]))

    def holds(self, pairs: Pairs) -> npt.NDArray[np.bool_]:
        """bool (m,): which pairs of rows count."""
        limit = np.maximum(self.limits[pairs.left], self.limits[pairs.right])
        near: npt.NDArray[np.bool_] = pairs.scores >= limit
        if self.hashes != "none":
            hashed = hash_evidence(self.index, pairs, rotations=self.hashes == "turned")
            near |= hashed & (pairs.scores >= limit - np.float32(COSINE_SLACK))
        return near


def find_duplicates(
    index: IndexReader, options: DuplicateOptions, explain: bool, near: Near | None = None
) -> Duplicates:
    """The groups of two or more images; explain: with their facts, for which the files of groups are read; near: take
    pairs from these instead of comparing all images.

    Images that were marked as no duplicates are never in one group.
    """
    apart = rows_apart(index)
    search = _Search(index, limits_of(index, options.threshold, near), options.hashes, near)
    nodes = equal_images(index, alone=(row for pair in apart for row in pair))
    labels = _labels(search, nodes, options.grouping, apart)
    groups = []
    for members in members_of(labels):
        paths = index.paths(members)
        order = sorted(range(len(paths)), key=paths.__getitem__)
        rows = members[order]
        spread = group_spread(index, rows, nodes.of[rows], search.holds)
        groups.append(DuplicateGroup(tuple(paths[place] for place in order), rows, spread))
    groups.sort(key=lambda group: group.paths)
    return Duplicates(labels, tuple(_explained(search, groups) if explain else groups))


def duplicate_pairs(index: IndexReader, limits: _Limits, hashes: HashUse, near: Near | None = None) -> Pairs:
    """The pairs of images that count as duplicates before they are grouped. limits: float32 (n,), see `limits_of`."""
    return _Search(index, limits, hashes, near).all(Nodes.each(len(index)))


def _labels(search: _Search, nodes: Nodes, grouping: Grouping, apart: list[tuple[int, int]]) -> Labels:
    """int64 (n,): for each image the smallest row number of its group."""
    torn = [(int(nodes.of[one]), int(nodes.of[other])) for one, other in apart]
    labels = np.arange(len(nodes))
    wanted: Wanted | None = None
    if grouping == "components":
        # Pairs inside a component are not needed, and there may be very many.
        forest = Forest(len(nodes))
        search.each(forest.join, nodes, forest.unjoined)
        labels = forest.labels()
        torn = [(one, other) for one, other in torn if labels[one] == labels[other]]
        components = np.isin(labels, [labels[one] for one, _ in torn])

        def wanted(left: Labels, right: Labels) -> npt.NDArray[np.bool_]:
            chosen: npt.NDArray[np.bool_] = components[left] & components[right]
            return chosen

        labels = np.where(components, np.arange(len(nodes)), labels)
    if grouping != "components" or torn:
        found = _grouped(search, nodes, search.all(nodes, wanted), grouping, torn)
        labels = np.where(found == np.arange(len(nodes)), labels, found)
    # The first image of the node that gave its number to the group need not be the first of the group.
    smallest = np.full(len(nodes), len(nodes.of), dtype=np.int64)
    np.minimum.at(smallest, labels, nodes.rows)
    return smallest[labels][nodes.of]


def _grouped(search: _Search, nodes: Nodes, pairs: Pairs, grouping: Grouping, apart: list[tuple[int, int]]) -> Labels:
    """int64 (u,): for each node one of its group. Grouped by number of path, not of row, so that ties do not depend on
    the order in which images came into the index."""
    paired = np.unique(np.concatenate([pairs.left, pairs.right]))
    rows = np.flatnonzero(np.isin(nodes.of, paired))
    rows = rows[np.argsort(np.array(search.index.paths(rows), dtype=object), kind="stable")]
    # A node comes where the first path of its images does.
    _, first = np.unique(nodes.of[rows], return_index=True)
    order = paired[np.argsort(first)]
    places = np.full(len(nodes), -1, dtype=np.int64)
    places[order] = np.arange(order.size)
    left, right = places[pairs.left], places[pairs.right]
    found = group_labels(
        order.size,
        Pairs(np.minimum(left, right), np.maximum(left, right), pairs.scores),
        grouping,
        [pair for one, other in apart if min(pair := (int(places[one]), int(places[other]))) >= 0],
        nodes.sizes()[order],
    )
    labels = np.arange(len(nodes))
    labels[order] = order[found]
    return labels


def _between(pairs: Pairs, nodes: Nodes) -> Pairs:
    """Pairs of images as pairs of nodes, each once."""
    left, right = nodes.of[pairs.left], nodes.of[pairs.right]
    found = Pairs(np.minimum(left, right), np.maximum(left, right), pairs.scores).take(left != right)
    return Pairs.union(found, Pairs.concatenate([]))


def _explained(search: _Search, groups: list[DuplicateGroup]) -> list[DuplicateGroup]:
    keepers = keepers_of(search.index, [group.rows for group in groups], Policy())
    explained = []
    for group, keeper in zip(groups, keepers, strict=True):
        spread = group.spread
        shown = dict.fromkeys([(spread.tightest, spread.tightest_cosine), (spread.loosest, spread.loosest_cosine)])
        left, right = group.rows[[pair for pair, _ in shown]].T
        pairs = Pairs(left, right, np.array([cosine for _, cosine in shown], dtype=np.float32))
        evidence = pair_evidence(search.index, pairs, search.limits, search.hashes)
        explained.append(replace(group, facts=GroupFacts(keeper, tuple(evidence))))
    return explained
