"""The collective operations of a step, over any transport. Bytes are moved; sums are made here, by the tree.

Arrays are host arrays; a step brings device arrays to the host and back. Every rank calls the same operations in the
same order, which is what numbers their messages. Each operation costs a rank at most world size - 1 messages out and as
many in; none is sent to itself.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradwire.training import owned_range
from gradwire.workers.transport import Buffer, Phase, Transport, make_tag
from gradwire.workers.tree import Node, TreeStack, add_into_left, canonical_nodes

__all__ = ["Exchange"]

Array = np.ndarray[Any, Any]
Bounds = Sequence[tuple[int, int]]
_LENGTHS = struct.Struct("<II")
_ALIGNMENT = 64


class Exchange:
    """Collective operations of one rank of a group whose work is `leaves` leaves of the tree."""

    def __init__(self, transport: Transport, leaves: int) -> None:
        if not 1 <= transport.world_size <= leaves:
            raise ValueError(
                f"{transport.world_size} ranks can't share {leaves} shards: a rank needs at least one; use fewer workers"
            )
        self._transport = transport
        self.rank = transport.rank
        self.world_size = transport.world_size
        self.generation = transport.generation
        self.leaves = leaves
        self._sequence = 0

    @property
    def owned_leaves(self) -> range:
        """The leaves this rank computes."""
        return self.leaves_of(self.rank)

    def leaves_of(self, rank: int) -> range:
        """The leaves a rank computes."""
        return owned_range(rank, self.world_size, self.leaves)

    def reduce_scatter(
        self, nodes: Sequence[Node[Array]], bounds: Bounds, dtype: np.dtype[Any], note: bytes = b""
    ) -> tuple[Array | None, list[bytes]]:
        """The sum over all leaves of this rank's part of the vectors, and every rank's note, in rank order.

        `nodes`: the canonical nodes of this rank's leaves; their values are vectors of one size and of `dtype`, and are
        used up. `bounds`: elements [start, stop) of every rank's part. The sum is None where every leaf is absent.
        """
        tag = self._next(Phase.REDUCE_SCATTER)
        there = [node.value for node in nodes if node.value is not None]
        head = _head(bytes(node.value is not None for node in nodes), note)
        for dest in self._others():
            start, stop = bounds[dest]
            self._transport.send(dest, tag, [head, *(vector[start:stop] for vector in there)])
        start, stop = bounds[self.rank]
        stack: TreeStack[Array] = TreeStack(add_into_left)
        notes = []
        for source in range(self.world_size):
            if source == self.rank:
                notes.append(note)
                for node in nodes:
                    stack.push(
                        Node(node.level, node.index, None if node.value is None else node.value[start:stop])
                    )
                continue
            message = self._transport.recv(source, tag)
            marks, their_note, at = _parse_head(message)
            notes.append(their_note)
            vectors = (
                np.frombuffer(message, dtype, offset=at).reshape(-1, stop - start) if stop > start else None
            )
            taken = 0
            places = canonical_nodes(self.leaves_of(source))
            for (level, index), mark in zip(places, marks, strict=True):
                value = None
                if mark:
                    value = np.empty(0, dtype) if vectors is None else vectors[taken]
                    taken += 1
                stack.push(Node(level, index, value))
        return stack.root(), notes

    def all_gather(self, part: Array, bounds: Bounds, out: Array) -> None:
        """Puts every rank's part at its place in `out`; `part` is this rank's."""
        tag = self._next(Phase.ALL_GATHER)
        for dest in self._others():
            self._transport.send(dest, tag, [part])
        start, stop = bounds[self.rank]
        out[start:stop] = part
        for source in self._others():
            start, stop = bounds[source]
            self._transport.recv_into(source, tag, out[start:stop])

    def all_gather_bytes(self, payload: Buffer) -> list[bytes]:
        """Every rank's payload, in rank order. With an empty payload: a barrier."""
        tag = self._next(Phase.ALL_GATHER_BYTES)
        for dest in self._others():
            self._transport.send(dest, tag, [payload])
        return [
            bytes(payload) if source == self.rank else bytes(self._transport.recv(source, tag))
            for source in range(self.world_size)
        ]

    def gather(self, payload: Sequence[Buffer], root: int = 0) -> list[memoryview] | None:
        """Every rank's payload on rank `root`, in rank order (its own is empty); None on the others."""
        tag = self._next(Phase.GATHER)
        if self.rank != root:
            self._transport.send(root, tag, payload)
            return None
        own = memoryview(b"")
        return [
            own if source == root else self._transport.recv(source, tag) for source in range(self.world_size)
        ]

    def _next(self, phase: Phase) -> int:
        self._sequence += 1
        return make_tag(phase, self._sequence)

    def _others(self) -> list[int]:
        """The other ranks, beginning after this one, so that not all send to the same one first."""
        return [(self.rank + k) % self.world_size for k in range(1, self.world_size)]


def _head(marks: bytes, note: bytes) -> bytes:
    head = _LENGTHS.pack(len(marks), len(note)) + marks + note
    return head.ljust(-(-len(head) // _ALIGNMENT) * _ALIGNMENT, b"\0")


def _parse_head(message: memoryview) -> tuple[bytes, bytes, int]:
    """Marks, note, and where the vectors begin."""
    marks, note = _LENGTHS.unpack_from(message)
    at = _LENGTHS.size
    end = at + marks + note
    return (
        bytes(message[at : at + marks]),
        bytes(message[at + marks : end]),
        -(-end // _ALIGNMENT) * _ALIGNMENT,
    )
