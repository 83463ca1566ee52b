"""Which images are duplicates of each other, in groups, and what a group looks like inside."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.apart import rows_apart
from embedlab_core.analysis.evidence import PairEvidence, pair_evidence
from embedlab_core.analysis.groups import Grouping, Labels, group_labels, members_of
from embedlab_core.analysis.hashes import COSINE_SLACK, HashUse, hash_pairs
from embedlab_core.analysis.keeper import GroupFacts, group_facts
from embedlab_core.analysis.near import Near
from embedlab_core.analysis.pairs import Pairs, pairs_at_least
from embedlab_core.analysis.thresholds import Threshold, limits_of
from embedlab_core.index.reader import IndexReader


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
class DuplicateGroup:
    """paths: sorted. facts, evidence of its pairs: None and empty unless they were asked for."""

    paths: tuple[str, ...]
    facts: GroupFacts | None = None
    evidence: tuple[PairEvidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Duplicates:
    """labels: int64 (n,), for each image the smallest row number of its group. groups: by first member."""

    labels: Labels
    groups: tuple[DuplicateGroup, ...]


def find_duplicates(
    index: IndexReader, options: DuplicateOptions, explain: bool, near: Near | None = None
) -> Duplicates:
    """The groups of two or more images; explain: with their facts, for which the vectors are read again; near: take
    pairs from these instead of comparing all images.

    Images that were marked as no duplicates are never in one group.
    """
    limits = limits_of(index, options.threshold, near)
    pairs = duplicate_pairs(index, limits, options.hashes, near)
    labels = _labels(index, pairs, options.grouping)
    inside = pairs.take(labels[pairs.left] == labels[pairs.right])
    groups = []
    for members in members_of(labels):
        group = DuplicateGroup(tuple(sorted(index.paths(members))))
        if explain:
            own = inside.take(labels[inside.left] == labels[members[0]])
            evidence = pair_evidence(index, own, limits, options.hashes)
            group = replace(group, facts=group_facts(index, members, len(own)), evidence=tuple(evidence))
        groups.append(group)
    return Duplicates(labels, tuple(sorted(groups, key=lambda group: group.paths)))


def _labels(index: IndexReader, pairs: Pairs, grouping: Grouping) -> Labels:
    """int64 (n,): for each image the smallest row number of its group. Grouped by number of path, not of row, so that
    ties do not depend on the order in which images came into the index."""
    rows = np.unique(np.concatenate([pairs.left, pairs.right]))
    rows = rows[np.argsort(np.array(index.paths(rows), dtype=object), kind="stable")]
    places = np.full(len(index), -1, dtype=np.int64)
    places[rows] = np.arange(rows.size)
    left, right = places[pairs.left], places[pairs.right]
    apart = [(int(places[one]), int(places[other])) for one, other in rows_apart(index)]
    found = group_labels(
        rows.size,
        Pairs(np.minimum(left, right), np.maximum(left, right), pairs.scores),
        grouping,
        [pair for pair in apart if min(pair) >= 0],
    )
    labels = np.arange(len(index), dtype=np.int64)
    smallest = np.full(rows.size, len(index), dtype=np.int64)
    np.minimum.at(smallest, found, rows)
    labels[rows] = smallest[found]
    return labels


def duplicate_pairs(
    index: IndexReader, limits: npt.NDArray[np.float32], hashes: HashUse, near: Near | None = None
) -> Pairs:
    """The pairs that count as duplicates before they are grouped. limits: float32 (n,), see `limits_of`."""
    if not len(index):
        return Pairs.concatenate([])
    lowest = float(limits.min())
    pairs = near.pairs(lowest) if near else pairs_at_least(index, lowest)
    pairs = pairs.take(pairs.scores >= _limits(limits, pairs))
    if hashes == "none":
        return pairs
    hashed = hash_pairs(index, rotations=hashes == "turned")
    return Pairs.union(pairs, hashed.take(hashed.scores >= _limits(limits, hashed) - np.float32(COSINE_SLACK)))


def _limits(limits: npt.NDArray[np.float32], pairs: Pairs) -> npt.NDArray[np.float32]:
    return np.maximum(limits[pairs.left], limits[pairs.right])
