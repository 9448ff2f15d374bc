from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradwire.training import owned_range, tree_sum
from gradwire.workers.tree import (
    Node,
    TreeStack,
    add_into_left,
    canonical_nodes,
)

Leaves = list[np.ndarray[Any, Any] | None]


def recursion(leaves: Leaves, level: int, index: int) -> np.ndarray[Any, Any] | None:
    """The contract's own words: value(0, v) is leaf v or absent; value(k, i) = left + right, absent ones passed over."""
    if index << level >= len(leaves):
        return None
    if level == 0:
        return leaves[index]
    left, right = recursion(leaves, level - 1, 2 * index), recursion(leaves, level - 1, 2 * index + 1)
    if left is None or right is None:
        return right if left is None else left
    return left + right


@st.composite
def leaves_and_cuts(draw: st.DrawFn) -> tuple[Leaves, list[int]]:
    count = draw(st.integers(1, 70))
    seed = draw(st.integers(0, 2**32 - 1))
    absent = draw(st.sets(st.integers(0, count - 1)))
    cuts = sorted(draw(st.sets(st.integers(1, count))) | {0, count})
    rng = np.random.default_rng(seed)
    leaves: Leaves = []
    for v in range(count):
        leaf = (rng.standard_normal(5) * 10.0 ** rng.integers(-8, 8)).astype(np.float32)
        leaf[rng.integers(5)] = -0.0
        leaves.append(None if v in absent else leaf)
    return leaves, cuts


def bits(value: np.ndarray[Any, Any] | None) -> bytes | None:
    return None if value is None else value.tobytes()


@given(leaves_and_cuts())
def test_any_split_into_ranges_gives_the_bytes_of_the_plain_recursion(case: tuple[Leaves, list[int]]) -> None:
    leaves, cuts = case
    expected = recursion(leaves, 7, 0)
    finisher: TreeStack[np.ndarray[Any, Any]] = TreeStack(add_into_left)
    for start, stop in itertools.pairwise(cuts):
        local: TreeStack[np.ndarray[Any, Any]] = TreeStack(add_into_left)
        for v in range(start, stop):
            leaf = leaves[v]
            local.push_leaf(v, None if leaf is None else leaf.copy())
        assert [(n.level, n.index) for n in local.nodes] == canonical_nodes(range(start, stop))
        for node in local.nodes:
            finisher.push(node)
    assert bits(finisher.root()) == bits(expected)
    assert bits(tree_sum(leaves)) == bits(expected)


def test_a_negative_zero_beside_an_absent_leaf_stays_negative() -> None:
    minus = np.array([-0.0])
    assert bits(tree_sum([minus, None, None])) == minus.tobytes()
    assert bits(tree_sum([None, None, minus, None])) == minus.tobytes()


def test_a_stack_stays_logarithmic() -> None:
    stack: TreeStack[float] = TreeStack(lambda a, b: a + b)
    most = 0
    for v in range(3, 1000):
        stack.push_leaf(v, 1.0)
        most = max(most, len(stack.nodes))
    assert most <= 20
    assert sum(n.value or 0 for n in stack.nodes) == 997


def test_leaves_out_of_order_or_missing_are_refused() -> None:
    stack: TreeStack[float] = TreeStack(lambda a, b: a + b)
    stack.push_leaf(2, 1.0)
    with pytest.raises(ValueError, match="must begin at leaf 3; got one from leaf 4"):
        stack.push(Node(1, 2, 1.0))
    with pytest.raises(ValueError, match="leaves before 2 are missing"):
        stack.root()


def test_no_leaves_sum_to_nothing() -> None:
    assert tree_sum([]) is None
    assert tree_sum([None, None, None]) is None


@given(st.integers(1, 70), st.integers(0, 200))
def test_every_thing_is_owned_by_exactly_one_rank(world_size: int, count: int) -> None:
    assert [i for r in range(world_size) for i in owned_range(r, world_size, count)] == list(range(count))
