"""torch.utils._pytree beside PyTorch's."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple

import pytest
import torch.utils._pytree as theirs

import gradwire
import gradwire.utils._pytree as ours

Point = namedtuple("Point", "x y")


class Pair:
    def __init__(self, a, b):
        self.a, self.b = a, b

    def __eq__(self, other):
        return (self.a, self.b) == (other.a, other.b)


for _t in (ours, theirs):
    _t.register_pytree_node(Pair, lambda p: ([p.a, p.b], "pair"), lambda c, _: Pair(*c))

TREES = [
    5, None, [], (), {}, [1, (2, [3])], {"b": 1, "a": [2, (3, None)]}, Point(1, OrderedDict(z=2, y=3)),
    defaultdict(list, {"k": [1, 2]}), deque([1, (2,)], maxlen=4), Pair(1, [Pair(2, 3), "text"]), [{"a": ({"b": 1},)}, [[4]]],
]  # fmt: skip
each = pytest.mark.parametrize("tree", TREES, ids=range(len(TREES)))


@each
def test_leaves_structures_and_maps_are_torchs(tree):
    told = []
    for t in (ours, theirs):
        leaves, spec = t.tree_flatten(tree)
        told.append([
            leaves, repr(spec), spec.num_leaves, spec.num_nodes, spec.num_children, spec.is_leaf(), list(t.tree_iter(tree)),
            t.tree_leaves(tree), t.tree_unflatten(leaves, spec), t.tree_map(lambda x: (x, 1), tree), t.tree_is_leaf(tree),
            t.tree_map_only(int, lambda x: x + 1, tree), t.tree_map(lambda *x: x, tree, tree), spec == t.tree_structure(tree),
            t.tree_all(lambda x: x is None, tree), t.tree_any_only(int, lambda x: x > 2, tree), t.tree_all_only(int, lambda x: x > 2, tree),
            t.tree_leaves(tree, is_leaf=lambda x: isinstance(x, tuple)), t.tree_map_(lambda x: None, tree) is tree,
        ])  # fmt: skip
    assert told[0] == told[1]
    again = told[0][8]
    assert again == tree and type(again) is type(tree)


@pytest.mark.parametrize(
    "act",
    [
        lambda t: t.tree_unflatten([1], t.tree_structure([1, 2])),
        lambda t: t.tree_unflatten([1, 2, 3], t.tree_structure([1, 2])),
        lambda t: t.tree_unflatten([1], 3),
        lambda t: t.tree_map(lambda a, b: a + b, [1, 2], [1]),
        lambda t: t.tree_map(lambda a, b: a + b, [1, 2], (1, 2)),
        lambda t: t.tree_map(lambda a, b: a + b, {"a": 1}, {"b": 1}),
        lambda t: t.tree_map(lambda a, b: (a, b), [1, 2], [[3], 4]),
        lambda t: t.tree_map(lambda a, b: (a, b), {"a": 1, "b": 2}, {"b": 3, "a": 4}),
        lambda t: t.tree_map_only(3, str, [1]),
        lambda t: t.register_pytree_node(list, None, None),
        lambda t: t.tree_map_only((int, str), str, [1, "a", 2.0]),
        lambda t: t.tree_map_only(lambda x: x == 1, str, [1, 2]),
    ],
)
def test_refusals_are_of_torchs_type(act):
    told = []
    for t in (ours, theirs):
        try:
            told.append(act(t))
        except (ValueError, TypeError) as e:
            told.append(type(e))
    assert told[0] == told[1]


def test_tensors_are_leaves():
    tree = {"w": gradwire.ones(2), "more": [gradwire.zeros(1)]}
    doubled = ours.tree_map_only(gradwire.Tensor, lambda x: x * 2, tree)
    assert doubled["w"].tolist() == [2, 2] and doubled["more"][0].shape == (1,)
