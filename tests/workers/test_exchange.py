"""The collective operations, over each transport and many group sizes, against sums by plain recursion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradwire.training import owned_range, tree_sum
from gradwire.workers.exchange import Exchange
from gradwire.workers.transport import Transport
from gradwire.workers.tree import TreeStack, add_into_left
from tests.workers.groups import TRANSPORTS, form_group, on_all

Array = np.ndarray[Any, Any]
BLOCK = 8


def leaves_of(count: int, size: int, absent: set[int]) -> list[Array | None]:
    rng = np.random.default_rng(count)
    every: list[Array | None] = []
    for v in range(count):
        leaf = (rng.standard_normal(size) * 10.0 ** rng.integers(-4, 4)).astype(np.float32)
        leaf[::7] = -0.0
        every.append(None if v in absent else leaf)
    return every


def bounds_of(size: int, world_size: int) -> list[tuple[int, int]]:
    blocks = size // BLOCK
    return [
        (r.start * BLOCK, r.stop * BLOCK)
        for r in (owned_range(k, world_size, blocks) for k in range(world_size))
    ]


def summed(
    ranks: list[Transport], leaves: list[Array | None], size: int
) -> tuple[list[bytes], list[list[bytes]]]:
    """What every rank holds after a reduce-scatter and an all-gather, and the notes every rank got."""
    bounds = bounds_of(size, len(ranks))

    def body(transport: Transport) -> tuple[bytes, list[bytes]]:
        exchange = Exchange(transport, len(leaves))
        for _ in range(2):
            stack: TreeStack[Array] = TreeStack(add_into_left)
            for v in exchange.owned_leaves:
                leaf = leaves[v]
                stack.push_leaf(v, None if leaf is None else leaf.copy())
            part, notes = exchange.reduce_scatter(
                stack.nodes, bounds, np.dtype(np.float32), b"note of %d" % transport.rank
            )
            assert part is not None
            out = np.full(size, np.nan, np.float32)
            exchange.all_gather(part, bounds, out)
        exchange.all_gather_bytes(b"")
        return out.tobytes(), notes

    results = on_all(ranks, body)
    return [out for out, _ in results], [notes for _, notes in results]


@pytest.mark.parametrize("kind", TRANSPORTS)
@pytest.mark.parametrize("world_size", range(1, 9))
def test_every_rank_gets_the_bytes_of_the_plain_recursion(kind: str, world_size: int) -> None:
    size = 10 * BLOCK
    leaves = leaves_of(9, size, absent={3, 7, 8})
    expected = tree_sum(leaves).tobytes()
    ranks = form_group(kind, world_size)
    outs, notes = summed(ranks, leaves, size)
    assert outs == [expected] * world_size
    assert notes == [[b"note of %d" % r for r in range(world_size)]] * world_size
    on_all(ranks, lambda t: t.close())


@pytest.mark.parametrize("world_size", [64, 70])
def test_scores_of_ranks_get_them_too_even_those_that_own_nothing(world_size: int) -> None:
    size = 40 * BLOCK  # fewer blocks than ranks
    leaves = leaves_of(70, size, absent={0, 33, 69})
    outs, _ = summed(form_group("in_process", world_size), leaves, size)
    assert outs == [tree_sum(leaves).tobytes()] * world_size


def test_a_rank_whose_leaves_are_all_absent_still_owns_its_part() -> None:
    leaves = leaves_of(4, 4 * BLOCK, absent={2, 3})
    outs, _ = summed(form_group("in_process", 4), leaves, 4 * BLOCK)
    assert outs == [tree_sum(leaves).tobytes()] * 4


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_payloads_are_gathered_in_rank_order(kind: str) -> None:
    ranks = form_group(kind, 3)

    def body(t: Transport) -> tuple[list[bytes], list[bytes] | None]:
        exchange = Exchange(t, 3)
        everywhere = exchange.all_gather_bytes(bytes([t.rank]) * t.rank)
        at_root = exchange.gather([b"a", np.full(2, t.rank, np.uint8)], root=1)
        return everywhere, None if at_root is None else [bytes(m) for m in at_root]

    everywhere = [b"", b"\1", b"\2\2"]
    assert on_all(ranks, body) == [
        (everywhere, None),
        (everywhere, [b"a\0\0", b"", b"a\2\2"]),
        (everywhere, None),
    ]
    on_all(ranks, lambda t: t.close())


def test_more_ranks_than_shards_are_refused() -> None:
    ranks = form_group("in_process", 3)
    with pytest.raises(ValueError, match="3 ranks can't share 2 shards"):
        Exchange(ranks[0], 2)
