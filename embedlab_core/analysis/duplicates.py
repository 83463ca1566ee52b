"""Which images are duplicates of each other, in groups, and what a group looks like inside."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embedlab_core.analysis.groups import Grouping, Labels, group_labels, members_of
from embedlab_core.analysis.keeper import GroupFacts, group_facts
from embedlab_core.analysis.pairs import Pairs, pairs_at_least
from embedlab_core.index.reader import IndexReader


@dataclass(frozen=True, slots=True)
class DuplicateOptions:
    """threshold: cosine from which two images are near-duplicates, in (-1, 1]."""

    threshold: float = 0.92
    grouping: Grouping = "components"


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """paths: sorted. facts: None unless they were asked for."""

    paths: tuple[str, ...]
    facts: GroupFacts | None


@dataclass(frozen=True, slots=True)
class Duplicates:
    """labels: int64 (n,), for each image the smallest row number of its group. groups: by first member."""

    labels: Labels
    groups: tuple[DuplicateGroup, ...]


def find_duplicates(index: IndexReader, options: DuplicateOptions, explain: bool) -> Duplicates:
    """The groups of two or more images; explain: with their facts, for which the vectors are read again."""
    pairs = duplicate_pairs(index, options)
    labels = group_labels(len(index), pairs, options.grouping)
    members = members_of(labels)
    counts = _pair_counts(labels, pairs)
    groups = [
        DuplicateGroup(
            tuple(sorted(index.paths(rows))), group_facts(index, rows, counts[labels[rows[0]]]) if explain else None
        )
        for rows in members
    ]
    return Duplicates(labels, tuple(sorted(groups, key=lambda group: group.paths)))


def duplicate_pairs(index: IndexReader, options: DuplicateOptions) -> Pairs:
    """The pairs that count as duplicates before they are grouped."""
    return pairs_at_least(index, options.threshold)


def _pair_counts(labels: Labels, pairs: Pairs) -> Sequence[int]:
    """For each label, how many pairs lie inside its group."""
    inside = labels[pairs.left] == labels[pairs.right]
    counts: list[int] = np.bincount(labels[pairs.left[inside]], minlength=len(labels)).tolist()
    return counts
