"""Groups are the connected components of the pairs, whatever their order."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.analysis.groups import component_labels, members_of
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
