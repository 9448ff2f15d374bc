"""The exchange between several hosts, each with several ranks: what a host's ranks can add up goes to another host once.

For every owner of a slice each other host has a **collector** among its ranks: its fellows send it their sums for that slice,
it adds what the tree lets it add, and sends the owner fewer nodes in one message. New values go the other way: an owner sends
them once to each host, where the collector passes them on. It is the same tree, so the bits are the same; see docs/exchange.md
for what it saves.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradwire.workers.exchange import Bounds, Exchange
from gradwire.workers.transport import Phase
from gradwire.workers.tree import Forest, Node, add_into_left, sum_of

__all__ = ["HostExchange"]

Array = np.ndarray[Any, Any]
_LENGTH = struct.Struct("<Q")
_ALIGNMENT = 64


class HostExchange:
    """Reduce-scatter and all-gather of `exchange` by way of hosts. hosts: where each of its ranks lives."""

    def __init__(self, exchange: Exchange, hosts: Sequence[str]) -> None:
        self._exchange = exchange
        names = list(dict.fromkeys(hosts[: exchange.world_size]))
        self._ranks = [[r for r in range(exchange.world_size) if hosts[r] == name] for name in names]
        self._host_of = {rank: h for h, ranks in enumerate(self._ranks) for rank in ranks}

    @property
    def pays(self) -> bool:
        """Whether there are several hosts, one of them with several ranks."""
        return len(self._ranks) > 1 and any(len(ranks) > 1 for ranks in self._ranks)

    def collector(self, host: int, other: int) -> int:
        """The rank of a host through which it exchanges with rank `other` of another host; they share that work evenly."""
        ranks = self._ranks[host]
        there = self._ranks[self._host_of[other]]
        return ranks[there.index(other) % len(ranks)]

    def reduce_scatter(
        self, nodes: Sequence[Node[Array]], bounds: Bounds, dtype: np.dtype[Any], note: bytes = b""
    ) -> tuple[Array | None, list[bytes]]:
        """See Exchange.reduce_scatter."""
        exchange, me = self._exchange, self._exchange.rank
        mine = self._host_of[me]
        inside, across = exchange.reserve(Phase.REDUCE_SCATTER), exchange.reserve(Phase.REDUCE_SCATTER)
        # To the owners of this host, and to the collectors for those of other hosts.
        for owner in range(exchange.world_size):
            via = owner if self._host_of[owner] == mine else self.collector(mine, owner)
            if via != me:
                exchange.send(via, inside, _packed(_cut(nodes, bounds[owner]), {me: note}))
        found: list[Node[Array]] = []
        notes: dict[int, bytes] = {}
        for owner in range(exchange.world_size):  # the order in which each fellow sends
            if owner == me:
                found, notes = self._collected(nodes, bounds[owner], dtype, note, inside)
            elif self._host_of[owner] != mine and self.collector(mine, owner) == me:
                collected, theirs = self._collected(nodes, bounds[owner], dtype, note, inside)
                forest: Forest[Array] = Forest(add_into_left)
                forest.extend(sorted(collected, key=lambda node: node.start))
                exchange.send(owner, across, _packed(forest.nodes, theirs))
        for host in range(len(self._ranks)):
            if host != mine:
                more, theirs = _unpacked(exchange.recv(self.collector(host, me), across), dtype)
                found += more
                notes |= theirs
        return sum_of(found, add_into_left), [notes[rank] for rank in range(exchange.world_size)]

    def _collected(
        self,
        nodes: Sequence[Node[Array]],
        bounds: tuple[int, int],
        dtype: np.dtype[Any],
        note: bytes,
        tag: int,
    ) -> tuple[list[Node[Array]], dict[int, bytes]]:
        """What the ranks of this host have of the elements `bounds`, this one's copied: sums are made in place."""
        me = self._exchange.rank
        found = [
            Node(n.level, n.index, None if n.value is None else n.value.copy()) for n in _cut(nodes, bounds)
        ]
        notes = {me: note}
        for rank in self._ranks[self._host_of[me]]:
            if rank != me:
                more, theirs = _unpacked(self._exchange.recv(rank, tag), dtype)
                found += more
                notes |= theirs
        return found, notes

    def all_gather(self, part: Array, bounds: Bounds, out: Array) -> None:
        """See Exchange.all_gather."""
        exchange, me = self._exchange, self._exchange.rank
        mine = self._host_of[me]
        inside, across, passed_on = (exchange.reserve(Phase.ALL_GATHER) for _ in range(3))
        for rank in self._ranks[mine]:
            if rank != me:
                exchange.send(rank, inside, [part])
        for host in range(len(self._ranks)):
            if host != mine:
                exchange.send(self.collector(host, me), across, [part])
        start, stop = bounds[me]
        out[start:stop] = part
        for owner in range(exchange.world_size):
            if owner == me:
                continue
            start, stop = bounds[owner]
            if self._host_of[owner] == mine:
                exchange.recv_into(owner, inside, out[start:stop])
            elif (via := self.collector(mine, owner)) != me:
                exchange.recv_into(via, passed_on, out[start:stop])
            else:
                exchange.recv_into(owner, across, out[start:stop])
                for rank in self._ranks[mine]:
                    if rank != me:
                        exchange.send(rank, passed_on, [out[start:stop]])


def _cut(nodes: Sequence[Node[Array]], bounds: tuple[int, int]) -> list[Node[Array]]:
    start, stop = bounds
    return [Node(n.level, n.index, None if n.value is None else n.value[start:stop]) for n in nodes]


def _packed(nodes: Sequence[Node[Array]], notes: dict[int, bytes]) -> list[Any]:
    size = next((n.value.size for n in nodes if n.value is not None), 0)
    head = {
        "nodes": [(n.level, n.index, n.value is not None) for n in nodes],
        "size": size,
        "notes": [(rank, len(note)) for rank, note in notes.items()],
    }
    body = json.dumps(head).encode()
    start = b"".join([_LENGTH.pack(len(body)), body, *notes.values()])
    start = start.ljust(-(-len(start) // _ALIGNMENT) * _ALIGNMENT, b"\0")
    return [start, *(n.value for n in nodes if n.value is not None)]


def _unpacked(message: memoryview, dtype: np.dtype[Any]) -> tuple[list[Node[Array]], dict[int, bytes]]:
    end = _LENGTH.size + _LENGTH.unpack_from(message)[0]
    head = json.loads(bytes(message[_LENGTH.size : end]))
    notes: dict[int, bytes] = {}
    for rank, length in head["notes"]:
        notes[rank] = bytes(message[end : end + length])
        end += length
    at = -(-end // _ALIGNMENT) * _ALIGNMENT
    nodes: list[Node[Array]] = []
    for level, index, present in head["nodes"]:
        value = None
        if present:
            value = np.frombuffer(message, dtype, head["size"], at)
            at += value.nbytes
        nodes.append(Node(level, index, value))
    return nodes, notes
