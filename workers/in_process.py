"""A transport between threads of one process: for tests, for debugging, and for simulating hundreds of ranks."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from gradwire.workers.mailbox import Mailbox
from gradwire.workers.transport import Buffer, ExchangeAborted, PeerLost, as_bytes

__all__ = ["InProcessNetwork", "InProcessTransport"]


class InProcessNetwork:
    """The place where in-process ranks find each other. Forming a group again replaces its ranks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mailboxes: dict[int, Mailbox] = {}

    def form(
        self, world_size: int, generation: int = 1, deadline_s: float = 30.0
    ) -> list[InProcessTransport]:
        """All ranks of a new group, in rank order; ranks of an older group can no longer reach anyone."""
        if world_size < 1:
            raise ValueError(f"a group needs at least 1 rank; got {world_size}")
        with self._lock:
            self._mailboxes = {r: Mailbox(r, generation, deadline_s) for r in range(world_size)}
            return [InProcessTransport(self, self._mailboxes[r], world_size) for r in range(world_size)]

    def mailbox(self, rank: int) -> Mailbox | None:
        """Where messages to `rank` go at present."""
        with self._lock:
            return self._mailboxes.get(rank)

    def others(self, mailbox: Mailbox) -> list[Mailbox]:
        """The mailboxes of the other ranks of the same generation."""
        with self._lock:
            boxes = list(self._mailboxes.values())
        return [b for b in boxes if b is not mailbox and b.generation == mailbox.generation]


class InProcessTransport:
    """One thread's end of an in-process group."""

    def __init__(self, network: InProcessNetwork, mailbox: Mailbox, world_size: int) -> None:
        self._network = network
        self._mailbox = mailbox
        self._world_size = world_size
        self._closed = False

    @property
    def rank(self) -> int:
        return self._mailbox.rank

    @property
    def world_size(self) -> int:
        return self._world_size

    @property
    def generation(self) -> int:
        return self._mailbox.generation

    @property
    def dropped(self) -> int:
        """Messages of other generations that were thrown away."""
        return self._mailbox.dropped

    def send(self, dest: int, tag: int, buffers: Sequence[Buffer]) -> None:
        self._mailbox.check()
        if dest == self.rank or not 0 <= dest < self._world_size:
            raise ValueError(f"rank {self.rank} of {self._world_size} can't send to rank {dest}")
        views = [as_bytes(b) for b in buffers]
        message = np.empty(sum(v.nbytes for v in views), np.uint8)
        at = 0
        for view in views:
            message[at : at + view.nbytes] = view
            at += view.nbytes
        target = self._network.mailbox(dest)
        if target is not None:
            target.put(self.generation, self.rank, tag, message.data)

    def recv(self, source: int, tag: int) -> memoryview:
        return self._mailbox.take(source, tag)

    def recv_into(self, source: int, tag: int, out: Buffer) -> None:
        message = self._mailbox.take(source, tag)
        target = as_bytes(out)
        if target.nbytes != message.nbytes:
            raise ValueError(f"rank {source} sent {message.nbytes} bytes where {target.nbytes} were expected")
        target[:] = message

    def abort(self, reason: str) -> None:
        failure = ExchangeAborted(self.rank, reason)
        if self._mailbox.fail(failure):
            for box in self._network.others(self._mailbox):
                box.fail(failure)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            for box in self._network.others(self._mailbox):
                box.leave(self.rank)

    def die(self) -> None:
        """What a killed process looks like to the others; for tests and simulations of failures."""
        if not self._closed:
            self._closed = True
            for box in self._network.others(self._mailbox):
                box.fail(PeerLost(box.rank, self.rank, "its thread ended without leaving the group"))
