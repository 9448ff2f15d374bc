"""Which rows a shard sees, how sums are formed, and the digest: against second implementations."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradwire import Job
from gradwire.training.digest import parameters_sha256
from gradwire.training.layout import BLOCK
from gradwire.training.plan import Permutation, Plan, owned_range, split
from gradwire.training.rules import block_sums, clip_factor, tree_sum


@given(n=st.integers(1, 3000), seed=st.integers(0, 2**63), epoch=st.integers(0, 10**6))
def test_a_permutation_takes_every_value_once(n, seed, epoch):
    values = Permutation(n, seed, "order", epoch)(np.arange(n))
    assert values.dtype == np.int64 and sorted(values.tolist()) == list(range(n))


def test_a_permutation_may_be_asked_position_by_position():
    p = Permutation(1000, 7)
    assert [int(p([i])[0]) for i in (0, 500, 999)] == p(np.array([0, 500, 999])).tolist()


def test_other_keys_give_other_permutations():
    orders = {
        tuple(Permutation(50, seed, "order", epoch)(np.arange(50)).tolist())
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


def test_a_permutation_of_more_than_32_bits_stays_in_range():
    n = 2**40 + 3
    values = Permutation(n, 1)(np.arange(n - 2000, n))
    assert len(set(values.tolist())) == 2000 and values.min() >= 0 and values.max() < n


@given(n=st.integers(0, 500), parts=st.integers(1, 40))
def test_split_equals_numpys_array_split(n, parts):
    expected = [a.tolist() for a in np.array_split(np.arange(n), parts)]
    assert [list(range(*split(n, parts, i))) for i in range(parts)] == expected


@given(world=st.integers(1, 40), shards=st.integers(1, 64))
def test_every_shard_has_one_owner_and_shares_differ_by_at_most_one(world, shards):
    owned = [owned_range(r, world, shards) for r in range(world)]
    assert [v for o in owned for v in o] == list(range(shards))
    assert max(map(len, owned)) - min(map(len, owned)) <= 1


def _job(**settings):
    job = Job()
    for name, value in settings.items():
        setattr(job, name, value)
    return job


def test_an_epoch_sees_every_row_once_and_each_epoch_in_another_order():
    plan = Plan(_job(epochs=2, batch_size=7), 24, 5, 3)
    epochs = [
        [int(r) for s in range(4) for v in range(3) for r in plan.shard_rows(4 * e + s, v)] for e in range(2)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(24)) and epochs[0] != epochs[1]
    assert (plan.steps_per_epoch, plan.total_steps, plan.eval_batches, plan.batch_samples(3)) == (4, 8, 1, 3)


def test_checkpoints_fall_at_epoch_ends_or_every_so_many_steps_and_after_the_last():
    by_epoch, by_step = (
        Plan(_job(epochs=2, batch_size=8), 24, 0, 2),
        Plan(_job(epochs=2, batch_size=8, checkpoint_every=4), 24, 0, 2),
    )
    assert [s for s in range(6) if by_epoch.checkpoints_after(s)] == [2, 5]
    assert [s for s in range(6) if by_step.checkpoints_after(s)] == [3, 5]


def test_held_out_rows_are_seen_once_in_their_own_order():
    plan = Plan(_job(batch_size=4), 8, 10, 3)
    assert [int(r) for b in range(plan.eval_batches) for v in range(3) for r in plan.eval_rows(b, v)] == list(
        range(10)
    )


def _node(leaves, level, index):
    """Node (level, index) of the tree as the contract spells it out, over any number of leaves."""
    if index << level >= len(leaves):
        return None
    if level == 0:
        return leaves[index]
    left, right = _node(leaves, level - 1, 2 * index), _node(leaves, level - 1, 2 * index + 1)
    if left is None:
        return right
    return left if right is None else left + right


@given(st.lists(st.one_of(st.none(), st.just(-0.0), st.floats(-(2.0**100), 2.0**100, width=32)), max_size=33))
def test_tree_sum_equals_the_recursion_bit_by_bit(values):
    leaves = [None if v is None else np.float32(v) for v in values]
    with np.errstate(all="ignore"):
        got, expected = tree_sum(leaves), _node(leaves, 6, 0)
    assert (got is None) == (expected is None)
    if got is not None:
        assert got.tobytes() == expected.tobytes()


def test_a_missing_leaf_is_no_zero():
    assert (
        math.copysign(1, tree_sum([None, -0.0, None])) == -1
        and tree_sum([None, None]) is None
        and tree_sum([]) is None
    )


def test_clipping_scales_by_the_norm_as_torch_does():
    g = np.zeros(2 * BLOCK, np.float32)
    g[5], g[BLOCK + 1] = 3, 4
    norm, factor = clip_factor(block_sums(np, g), 1.0)
    assert norm == 5 and factor == 1 / (5 + 1e-6)
    assert clip_factor(block_sums(np, g), 100.0)[1] == 1.0


def test_the_digest_equals_that_of_a_dozen_independent_lines():
    state = {
        "b.weight": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "a": np.array(3, np.int64),
        "c": np.array([True, False]),
        "big": np.arange(3, dtype=">f8"),
        "empty": np.zeros((0, 2), np.float16),
    }
    names = {"b.weight": "float32", "a": "int64", "c": "bool", "big": "float64", "empty": "float16"}
    shapes = {"b.weight": "3,2", "a": "", "c": "2", "big": "3", "empty": "0,2"}
    little = {"b.weight": "<f4", "a": "<i8", "c": "?", "big": "<f8", "empty": "<f2"}
    h = hashlib.sha256()
    for name in ("a", "b.weight", "big", "c", "empty"):
        h.update(name.encode() + b"\0" + names[name].encode() + b"\0" + shapes[name].encode() + b"\0")
        h.update(b"".join(np.array(v, little[name]).tobytes() for v in state[name].flatten("C").tolist()))
    assert parameters_sha256(state) == h.hexdigest()


@pytest.mark.parametrize(
    "change",
    [{"b": np.zeros(4, np.float32)}, {"a": np.zeros((2, 2), np.float32)}, {"a": np.zeros(4, np.int32)}],
)
def test_the_digest_tells_names_shapes_and_dtypes_apart(change):
    assert parameters_sha256(change) != parameters_sha256({"a": np.zeros(4, np.float32)})
