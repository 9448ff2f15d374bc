"""The collective operations of a step, over any transport. Bytes are moved; sums are made here, by the tree.

Arrays are host arrays; a step brings device arrays to the host and back. Every rank calls the same operations in the
same order, which is what numbers their messages. Each operation costs a rank at most world size - 1 messages out and as
many in; none is sent to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from gradwire.training import owned_range
from gradwire.workers.reduction import Reduction
from gradwire.workers.transport import Buffer, Phase, Transport, make_tag
from gradwire.workers.tree import Node

__all__ = ["Bounds", "Exchange"]

Array = np.ndarray[Any, Any]
Bounds = Sequence[tuple[int, int]]


class Exchange:
    """Collective operations of one rank of a group whose work is `leaves` leaves of the tree.

    workers: how many of the transport's ranks take part in them, the first ones; all where it is not given.
    """

    def __init__(self, transport: Transport, leaves: int, workers: int | None = None) -> None:
        self.world_size = transport.world_size if workers is None else workers
        if not 1 <= self.world_size <= leaves:
            raise ValueError(
                f"{self.world_size} ranks can't share {leaves} shards: a rank needs at least one; use fewer workers"
            )
        self._transport = transport
        self.rank = transport.rank
        self.generation = transport.generation
        self.leaves = leaves
        self._sequence = 0
        self._sender: ThreadPoolExecutor | None = None

    @property
    def owned_leaves(self) -> range:
        """The leaves this rank computes in an ordinary step."""
        return owned_range(self.rank, self.world_size, self.leaves)

    def reduction(self, bounds: Bounds, dtype: np.dtype[Any]) -> Reduction:
        """Begins a reduce-scatter whose parts are offered one by one, as they become ready."""
        return Reduction(self, self._next(Phase.REDUCE_SCATTER), bounds, dtype)

    def reduce_scatter(
        self, nodes: Sequence[Node[Array]], bounds: Bounds, dtype: np.dtype[Any], note: bytes = b""
    ) -> tuple[Array | None, list[bytes]]:
        """The sum over all leaves of this rank's part of the vectors, and every rank's note, in rank order.

        `nodes`: sums of leaves whose values are vectors of one size and of `dtype`; the nodes of all ranks together cover
        each leaf once. `bounds`: elements [start, stop) of every rank's part. The sum is None where every leaf is absent.
        """
        return self.reduction(bounds, dtype).finish(bounds[-1][1], nodes, note)

    def send(self, dest: int, tag: int, buffers: Sequence[Buffer]) -> None:
        """See Transport."""
        self._transport.send(dest, tag, buffers)

    def recv(self, source: int, tag: int) -> memoryview:
        """See Transport."""
        return self._transport.recv(source, tag)

    def recv_into(self, source: int, tag: int, out: Buffer) -> None:
        """See Transport."""
        self._transport.recv_into(source, tag, out)

    def reserve(self, phase: Phase) -> int:
        """The next tag of a phase, for messages that are sent and taken one by one. All ranks reserve alike."""
        return self._next(phase)

    @property
    def sender(self) -> ThreadPoolExecutor:
        """A thread that sends while this one computes."""
        if self._sender is None:
            self._sender = ThreadPoolExecutor(1, thread_name_prefix="gradwire-sender")
        return self._sender

    def close(self) -> None:
        """Ends the sending thread, without waiting for it."""
        if self._sender is not None:
            self._sender.shutdown(wait=False, cancel_futures=True)

    def pass_on(self, dest: int, source: int, part: Array, out: Array) -> None:
        """Sends `part` to `dest` and takes what `source` sends into `out`; nothing where these are this rank itself."""
        tag = self._next(Phase.PASS_ON)
        if dest != self.rank:
            self._transport.send(dest, tag, [part])
        if source != self.rank:
            self._transport.recv_into(source, tag, out)

    def all_gather(self, part: Array, bounds: Bounds, out: Array) -> None:
        """Puts every rank's part at its place in `out`; `part` is this rank's."""
        tag = self._next(Phase.ALL_GATHER)
        for dest in self.others:
            self._transport.send(dest, tag, [part])
        start, stop = bounds[self.rank]
        out[start:stop] = part
        for source in self.others:
            start, stop = bounds[source]
            self._transport.recv_into(source, tag, out[start:stop])

    def all_gather_bytes(self, payload: Buffer) -> list[bytes]:
        """Every rank's payload, in rank order. With an empty payload: a barrier."""
        tag = self._next(Phase.ALL_GATHER_BYTES)
        for dest in self.others:
            self._transport.send(dest, tag, [payload])
        return [
            bytes(payload) if source == self.rank else bytes(self._transport.recv(source, tag))
            for source in range(self.world_size)
        ]

    def gather(self, payload: Sequence[Buffer], root: int = 0) -> list[memoryview] | None:
        """Every rank's payload on rank `root`, in rank order (its own is empty); None on the others."""
        messages = self.gather_later(payload, root)()
        return messages if self.rank == root else None

    def gather_later(self, payload: Sequence[Buffer], root: int = 0) -> Callable[[], list[memoryview]]:
        """`gather` whose messages are sent and taken when the result is called, from any thread; [] but on `root`."""
        tag = self._next(Phase.GATHER)

        def carry_out() -> list[memoryview]:
            if self.rank != root:
                self._transport.send(root, tag, payload)
                return []
            own = memoryview(b"")
            return [
                own if source == root else self._transport.recv(source, tag)
                for source in range(self.world_size)
            ]

        return carry_out

    def begin_at(self, other: Exchange) -> None:
        """Numbers messages from where `other`, over the same transport, has come to."""
        self._sequence = other._sequence

    def _next(self, phase: Phase) -> int:
        self._sequence += 1
        return make_tag(phase, self._sequence)

    @property
    def others(self) -> list[int]:
        """The other ranks, beginning after this one, so that not all send to the same one first."""
        return [(self.rank + k) % self.world_size for k in range(1, self.world_size)]
