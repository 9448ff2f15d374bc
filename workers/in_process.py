"""A transport between threads of one process: for tests, for debugging, and for simulating hundreds of ranks."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np

from gradwire.workers.mailbox import Mailbox
from gradwire.workers.transport import Buffer, ExchangeAborted, ExchangeTimeout, PeerLost, as_bytes

__all__ = ["InProcessListener", "InProcessNetwork", "InProcessTransport"]


class InProcessNetwork:
    """The place where in-process ranks find each other. Forming a group again replaces its ranks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._came = threading.Condition(self._lock)
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

    def join(self, rank: int, generation: int, deadline_s: float) -> Mailbox:
        """The mailbox of a rank of a group that forms one by one."""
        with self._came:
            mailbox = self._mailboxes[rank] = Mailbox(rank, generation, deadline_s)
            self._came.notify_all()
            return mailbox

    def wait_for(self, mailbox: Mailbox, world_size: int, deadline_s: float) -> None:
        """Returns when all ranks have joined. Raises ExchangeTimeout, and what ended the exchange meanwhile."""
        end = time.monotonic() + deadline_s
        with self._came:
            while len(self._mailboxes) < world_size:
                mailbox.check()
                if time.monotonic() >= end:
                    missing = next(r for r in range(world_size) if r not in self._mailboxes)
                    raise ExchangeTimeout(mailbox.rank, missing, 0, deadline_s)
                self._came.wait(0.05)

    def mailbox(self, rank: int) -> Mailbox | None:
        """Where messages to `rank` go at present."""
        with self._lock:
            return self._mailboxes.get(rank)

    def others(self, mailbox: Mailbox) -> list[Mailbox]:
        """The mailboxes of the other ranks of the same generation."""
        with self._lock:
            boxes = list(self._mailboxes.values())
        return [b for b in boxes if b is not mailbox and b.generation == mailbox.generation]


class InProcessListener:
    """The end of a rank whose group forms as its ranks come, one by one. Its address is itself."""

    def __init__(self) -> None:
        self._changed = threading.Lock()
        self._network: InProcessNetwork | None = None
        self._mailbox: Mailbox | None = None
        self._closed = False

    @property
    def address(self) -> InProcessListener:
        return self

    def form(
        self,
        rank: int,
        addresses: Sequence[InProcessListener],
        *,
        generation: int,
        secret: bytes,
        deadline_s: float,
        connect_deadline_s: float = 30.0,
    ) -> InProcessTransport:
        """See transport.Listener."""
        # The network of a group is made by whoever comes first, and kept by the end of rank 0.
        first = addresses[0]
        with first._changed:
            if first._closed:
                raise PeerLost(rank, 0, "it does not listen any more")
            if first._network is None:
                first._network = InProcessNetwork()
            network = first._network
        mailbox = network.join(rank, generation, deadline_s)
        with self._changed:
            self._mailbox = mailbox
            if self._closed:
                mailbox.fail(ExchangeAborted(rank, "its listener was closed"))
        network.wait_for(mailbox, len(addresses), connect_deadline_s)
        with self._changed:
            self._mailbox = None  # the group is whole: closing the listener does not end it any more
        return InProcessTransport(network, mailbox, len(addresses))

    def close(self) -> None:
        """See transport.Listener."""
        with self._changed:
            self._closed = True
            if self._mailbox is not None:
                self._mailbox.fail(ExchangeAborted(self._mailbox.rank, "its listener was closed"))


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
