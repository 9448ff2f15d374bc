"""The fixed binary tree that gradients, metrics and counts are summed by, whoever owns the leaves.

Node (level k, index i) covers the leaves [i * 2^k, (i + 1) * 2^k). A leaf may be absent: its shard had no rows, or
it lies beyond the last shard. An absent sibling is passed over, never added as zeros (-0 + 0 is +0, another bit).

A rank pushes its leaves in order onto a `TreeStack`, which keeps at most about 2 * log2(V) partial sums and ends up
with the canonical nodes of the rank's range; whoever has the nodes of all ranges pushes them in order and calls `root`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

__all__ = ["Forest", "Node", "TreeStack", "add_into_left", "canonical_nodes", "sum_of"]

T = TypeVar("T")


@dataclass(frozen=True)
class Node(Generic[T]):
    """A node of the tree and the sum of its leaves; None where all of them are absent."""

    level: int
    index: int
    value: T | None

    @property
    def start(self) -> int:
        """Its first leaf."""
        return self.index << self.level

    @property
    def stop(self) -> int:
        """The leaf after its last one."""
        return (self.index + 1) << self.level


class TreeStack(Generic[T]):
    """Adds up consecutive nodes as soon as both children of a node are there: a binary counter."""

    def __init__(self, add: Callable[[T, T], T]) -> None:
        self._add = add
        self._nodes: list[Node[T]] = []

    @property
    def nodes(self) -> Sequence[Node[T]]:
        """The canonical nodes of the range pushed so far, from left to right."""
        return tuple(self._nodes)

    def push(self, node: Node[T], add: Callable[[T, T], T] | None = None) -> None:
        """Adds the node that begins where the last one ended. add: instead of the stack's own."""
        if self._nodes and self._nodes[-1].stop != node.start:
            raise ValueError(
                f"the next node must begin at leaf {self._nodes[-1].stop}; got one from leaf {node.start}"
            )
        while self._nodes and node.index % 2 == 1 and self._nodes[-1].level == node.level:
            left = self._nodes.pop()
            node = Node(node.level + 1, node.index // 2, self._sum(left.value, node.value, add))
        self._nodes.append(node)

    def push_leaf(self, leaf: int, value: T | None) -> None:
        """Adds a leaf."""
        self.push(Node(0, leaf, value))

    def root(self) -> T | None:
        """The sum of all leaves, when they were pushed from leaf 0 on; None when all are absent."""
        if not self._nodes:
            return None
        if self._nodes[0].start != 0:
            raise ValueError(f"the leaves before {self._nodes[0].start} are missing")
        nodes = list(self._nodes)
        node = nodes.pop()
        while nodes or node.index:
            if node.index % 2 == 0:  # what would be its right sibling lies beyond the last leaf
                node = Node(node.level + 1, node.index // 2, node.value)
            else:
                left = nodes.pop()
                node = Node(node.level + 1, node.index // 2, self._sum(left.value, node.value))
        return node.value

    def _sum(self, left: T | None, right: T | None, add: Callable[[T, T], T] | None = None) -> T | None:
        if left is None:
            return right
        if right is None:
            return left
        return (add or self._add)(left, right)


class Forest(Generic[T]):
    """Sums of any set of leaves, in any order: a `TreeStack` for each run of consecutive ones."""

    def __init__(self, add: Callable[[T, T], T]) -> None:
        self._add = add
        self._runs: list[TreeStack[T]] = []

    @property
    def nodes(self) -> list[Node[T]]:
        """The nodes of all runs, from left to right."""
        return sorted((node for run in self._runs for node in run.nodes), key=lambda node: node.start)

    def push_leaf(self, leaf: int, value: T | None, add: Callable[[T, T], T] | None = None) -> None:
        """Adds a leaf that is not there yet. add: instead of the forest's own."""
        self._push(Node(0, leaf, value), add)

    def sibling(self, leaf: int) -> T | None:
        """The leaf to which this one will be added first, where it is there by itself."""
        for run in self._runs:
            last = run.nodes[-1]
            if leaf % 2 == 1 and (last.level, last.index) == (0, leaf - 1):
                return last.value
        return None

    def extend(self, nodes: Iterable[Node[T]]) -> None:
        """Adds nodes whose leaves are not there yet."""
        for node in nodes:
            self._push(node)

    def _push(self, node: Node[T], add: Callable[[T, T], T] | None = None) -> None:
        run = next((run for run in self._runs if run.nodes[-1].stop == node.start), None)
        if run is None:
            run = TreeStack(self._add)
            self._runs.append(run)
        run.push(node, add)


def sum_of(nodes: Sequence[Node[T]], add: Callable[[T, T], T]) -> T | None:
    """The sum of all leaves, from nodes in any order that cover each leaf once."""
    stack = TreeStack(add)
    for node in sorted(nodes, key=lambda node: node.start):
        stack.push(node)
    return stack.root()


def add_into_left(left: Any, right: Any) -> Any:
    """left + right for arrays of any array module, kept in the memory of left."""
    with np.errstate(over="ignore", invalid="ignore"):  # the whole sum is looked at
        left += right
    return left


def canonical_nodes(leaves: range) -> list[tuple[int, int]]:
    """(level, index) of the nodes that a `TreeStack` holds after exactly these leaves."""
    stack: TreeStack[int] = TreeStack(lambda left, right: left)
    for leaf in leaves:
        stack.push_leaf(leaf, None)
    return [(node.level, node.index) for node in stack.nodes]
