"""Groups are the connected components of the pairs, whatever their order."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.analysis.groups import Grouping, component_labels, group_labels, members_of
from embedlab_core.analysis.pairs import Pairs

Edges = list[tuple[int, int]]


def pairs_of(edges: Edges) -> Pairs:
    left, right = ([edge[end] for edge in edges] for end in (0, 1))
    return Pairs(np.array(left, np.int64), np.array(right, np.int64), np.ones(len(edges), np.float32))


def groups(count: int, edges: Edges) -> list[list[int]]:
    return [members.tolist() for members in members_of(component_labels(count, pairs_of(edges)))]


def components(count: int, edges: Edges) -> list[list[int]]:
    """Depth-first search."""
    neighbours: dict[int, set[int]] = {node: set() for node in range(count)}
    for left, right in edges:
        neighbours[left].add(right)
        neighbours[right].add(left)
    found, seen = [], set()
    for start in range(count):
        stack, component = [start], set()
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                component.add(node)
                stack.extend(neighbours[node])
        if len(component) > 1:
            found.append(sorted(component))
    return found


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, Edges]:
    count = draw(st.integers(2, 25))
    node = st.integers(0, count - 1)
    edges = draw(st.lists(st.tuples(node, node).filter(lambda edge: edge[0] < edge[1]), max_size=30))
    return count, edges


@given(graphs(), st.randoms(use_true_random=False))
def test_groups_equal_depth_first_search_and_do_not_depend_on_the_order(graph: tuple[int, Edges], chance: Any) -> None:
    count, edges = graph
    wanted = components(count, edges)
    assert groups(count, edges) == wanted
    shuffled = chance.sample(edges, len(edges))
    assert np.array_equal(component_labels(count, pairs_of(edges)), component_labels(count, pairs_of(shuffled)))


def test_membership_is_transitive() -> None:
    assert groups(6, [(0, 1), (1, 2), (4, 5)]) == [[0, 1, 2], [4, 5]]


def test_a_label_is_the_smallest_row_of_its_group() -> None:
    assert component_labels(6, pairs_of([(3, 4), (1, 3), (2, 5)])).tolist() == [0, 1, 2, 1, 1, 2]


def test_without_pairs_nobody_is_in_a_group() -> None:
    assert groups(4, []) == []
    assert groups(0, []) == []


def test_a_long_chain_is_one_group() -> None:
    count = 20_000
    for edges in ([(n, n + 1) for n in range(count - 1)], [(n, n + 1) for n in reversed(range(count - 1))]):
        assert groups(count, edges) == [list(range(count))]


@given(graphs(), st.sampled_from(["complete", "medoid"]), st.randoms(use_true_random=False))
def test_strict_groups_hold_only_pairs_lie_inside_components_and_do_not_depend_on_the_order(
    graph: tuple[int, Edges], grouping: Grouping, chance: Any
) -> None:
    count, edges = graph
    labels = group_labels(count, pairs_of(sorted(set(edges))), grouping)
    for members in members_of(labels):
        assert {(a, b) for a in members.tolist() for b in members.tolist() if a < b} <= set(edges)
        assert labels[members[0]] == members[0]
    # No image of a pair is left alone while the other one is alone too.
    alone = {row for row in range(count) if (labels == labels[row]).sum() == 1}
    assert not [edge for edge in edges if set(edge) <= alone]
    shuffled = chance.sample(sorted(set(edges)), len(set(edges)))
    assert group_labels(count, pairs_of(shuffled), grouping).tolist() == labels.tolist()


def test_a_chain_is_cut_where_its_ends_are_no_pair() -> None:
    chain = Pairs(np.array([0, 1]), np.array([1, 2]), np.array([0.93, 0.95], np.float32))
    assert group_labels(3, chain, "components").tolist() == [0, 0, 0]
    assert group_labels(3, chain, "complete").tolist() == [0, 1, 1]
    assert group_labels(3, chain, "medoid").tolist() == [0, 1, 1]


@pytest.mark.parametrize("grouping", ["components", "complete", "medoid"])
@given(st.integers(2, 20), st.integers(0, 10**6))
def test_images_to_be_kept_apart_never_share_a_group(grouping: Grouping, count: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    left, right = np.nonzero(np.triu(chance.random((count, count)) < 0.4, 1))
    pairs = Pairs(left, right, chance.random(len(left)).astype(np.float32))
    apart = [(int(one), int(other)) for one, other in chance.integers(0, count, (3, 2)) if one != other]
    labels = group_labels(count, pairs, grouping, apart)
    assert all(labels[one] != labels[other] for one, other in apart)
