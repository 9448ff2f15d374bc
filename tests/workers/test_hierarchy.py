"""The exchange by way of hosts: the bits of the plain one for every layout of ranks on hosts, and fewer messages between."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradwire.training import BLOCK, owned_range, tree_sum
from gradwire.workers.exchange import Exchange
from gradwire.workers.faults import Fault
from gradwire.workers.hierarchy import HostExchange
from gradwire.workers.transport import Transport
from gradwire.workers.tree import Forest, add_into_left
from tests.workers.crews import run_job
from tests.workers.groups import form_group, on_all


class Counted:
    """A transport that counts what it sends, by destination."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.messages: Counter[int] = Counter()
        self.bytes: Counter[int] = Counter()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def send(self, dest: int, tag: int, buffers: Any) -> None:
        self.messages[dest] += 1
        self.bytes[dest] += sum(memoryview(b).nbytes for b in buffers)
        self._transport.send(dest, tag, buffers)


def run(hosts: str, leaves: int, by_host: bool) -> tuple[bytes, int, int]:
    """The gathered sum, and the messages and bytes that crossed between hosts."""
    world, size = len(hosts), 12 * BLOCK
    rng = np.random.default_rng(1)
    values = [None if v in (3, leaves - 1) else rng.standard_normal(size, np.float32) for v in range(leaves)]
    parts = [owned_range(r, world, size // BLOCK) for r in range(world)]
    bounds = [(p.start * BLOCK, p.stop * BLOCK) for p in parts]

    def body(transport: Transport) -> tuple[bytes, int, int]:
        counted = Counted(transport)
        plain = Exchange(counted, leaves)  # type: ignore[arg-type]
        exchange = HostExchange(plain, list(hosts)) if by_host else plain
        forest: Forest[Any] = Forest(add_into_left)
        for v in plain.owned_leaves:
            value = values[v]
            forest.push_leaf(v, None if value is None else value.copy())
        before = [None if n.value is None else n.value.copy() for n in forest.nodes]
        for _ in range(2):  # nothing that was summed here may change: an interrupted step goes on from it
            part, notes = exchange.reduce_scatter(
                forest.nodes, bounds, np.dtype(np.float32), b"%d" % plain.rank
            )
        assert notes == [b"%d" % r for r in range(world)]
        assert all(
            (a is None and n.value is None) or np.array_equal(a, n.value)
            for a, n in zip(before, forest.nodes, strict=True)
        )
        assert part is not None
        out = np.full(size, np.nan, np.float32)
        exchange.all_gather(part, bounds, out)
        across = [r for r in range(world) if hosts[r] != hosts[plain.rank]]
        sent = sum(counted.messages[r] for r in across), sum(counted.bytes[r] for r in across)
        plain.all_gather_bytes(b"")
        return out.tobytes(), *sent

    found = on_all(form_group("in_process", world), body)
    assert len({out for out, _, _ in found}) == 1
    assert found[0][0] == tree_sum([v if v is None else v.copy() for v in values]).tobytes()
    return found[0][0], sum(m for _, m, _ in found), sum(b for _, _, b in found)


@pytest.mark.parametrize("hosts", ["aabb", "aaab", "abbb", "aabbcc", "abcd", "aabbbccccd", "aaaabbbb"])
@pytest.mark.parametrize("leaves", [11, 16])
def test_the_bits_are_those_of_the_plain_exchange(hosts: str, leaves: int) -> None:
    plain, hierarchical = run(hosts, leaves, False), run(hosts, leaves, True)
    assert plain[0] == hierarchical[0]
    if max(Counter(hosts).values()) > 1:
        assert hierarchical[1] < plain[1]


def test_between_two_hosts_of_four_it_sends_a_quarter_of_the_messages_and_less_than_half_of_the_bytes() -> (
    None
):
    plain, hierarchical = run("aaaabbbb", 16, False), run("aaaabbbb", 16, True)
    assert hierarchical[1] * 4 == plain[1]
    assert hierarchical[2] < 0.4 * plain[2]


@pytest.mark.parametrize("point", ["", "reduced", "passed", "gathered"])
def test_whole_jobs_over_two_hosts_end_with_the_same_bits(point: str, tmp_path: Path) -> None:
    faults = [Fault(2, point, 4)] if point else []
    run_job("mlp", tmp_path, 5, faults=faults, hosts="aabba").is_the_oracle_s("mlp")
