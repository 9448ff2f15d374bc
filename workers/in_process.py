"""A transport between threads of one process: for tests, for debugging, and for simulating hundreds of ranks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import numpy as np

from gradwire.workers.handshake import SECRET_BYTES
from gradwire.workers.mailbox import Mailbox
from gradwire.workers.transport import (
    Buffer,
    ExchangeAborted,
    ExchangeTimeout,
    HandshakeRefused,
    PeerLost,
    as_bytes,
)

__all__ = ["InProcessListener", "InProcessNetwork", "InProcessTransport"]

Terms = tuple[int, int, bytes]
"""Generation, world size and secret: what all ranks of a group must agree on."""

_LOOK_S = 0.1


class InProcessNetwork:
    """The place where in-process ranks find each other. Forming a group again replaces its ranks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._mailboxes: dict[int, Mailbox] = {}
        self._terms: Terms | None = None

    def form(
        self, world_size: int, generation: int = 1, deadline_s: float = 30.0
    ) -> list[InProcessTransport]:
        """All ranks of a new group, in rank order; ranks of an older group can no longer reach anyone."""
        if world_size < 1:
            raise ValueError(f"a group needs at least 1 rank; got {world_size}")
        with self._lock:
            self._mailboxes = {r: Mailbox(r, generation, deadline_s) for r in range(world_size)}
            return [InProcessTransport(self, self._mailboxes[r], world_size) for r in range(world_size)]

    def join(
        self, mailbox: Mailbox, terms: Terms, listeners: Sequence[InProcessListener], deadline_s: float
    ) -> None:
        """Enters a rank of a group whose ranks come one by one; returns when all are there.

        Rank 0 says what the terms are. Raises `HandshakeRefused`, `PeerLost`, `ExchangeTimeout`, or what ended the exchange.
        """
        rank = mailbox.rank
        end = time.monotonic() + deadline_s
        with self._changed:
            if rank == 0:
                self._terms = terms
                self._changed.notify_all()
            self._wait(lambda: self._terms is not None, mailbox, listeners, end, deadline_s)
            if terms != self._terms:
                raise HandshakeRefused(rank, 0, _difference(terms, self._terms))
            self._mailboxes[rank] = mailbox
            if len(self._mailboxes) == len(listeners):
                self._changed.notify_all()
            self._wait(lambda: len(self._mailboxes) == len(listeners), mailbox, listeners, end, deadline_s)

    def _wait(
        self,
        done: Callable[[], bool],
        mailbox: Mailbox,
        listeners: Sequence[InProcessListener],
        end: float,
        deadline_s: float,
    ) -> None:
        while not done():
            mailbox.check()
            missing = [r for r in range(len(listeners)) if r not in self._mailboxes and r != mailbox.rank]
            for r in missing:
                if listeners[r].closed:
                    raise PeerLost(mailbox.rank, r, "it does not listen any more")
            remaining = end - time.monotonic()
            if remaining <= 0:
                raise ExchangeTimeout(mailbox.rank, missing[0], 0, deadline_s)
            self._changed.wait(min(remaining, _LOOK_S))

    def mailbox(self, rank: int) -> Mailbox | None:
        """Where messages to `rank` go at present."""
        with self._lock:
            return self._mailboxes.get(rank)

    def forget(self, mailbox: Mailbox) -> None:
        """Takes a rank out again that gave up while its group was formed."""
        with self._lock:
            if self._mailboxes.get(mailbox.rank) is mailbox:
                del self._mailboxes[mailbox.rank]

    def others(self, mailbox: Mailbox) -> list[Mailbox]:
        """The mailboxes of the other ranks of the same generation."""
        with self._lock:
            boxes = list(self._mailboxes.values())
        return [b for b in boxes if b is not mailbox and b.generation == mailbox.generation]


def _difference(terms: Terms, expected: Terms | None) -> str:
    if expected is not None and terms[0] != expected[0]:
        return "it belongs to another generation of the group"
    if expected is not None and terms[1] != expected[1]:
        return "it did not expect this rank of a group of this size"
    return "the group's secret is another one"


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

    @property
    def closed(self) -> bool:
        """Whether nobody can meet this rank here any more."""
        return self._closed

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
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"a group's secret has {SECRET_BYTES} bytes; got {len(secret)}")
        # The network of a group is made by whoever comes first, and kept by the end of rank 0.
        first = addresses[0]
        with first._changed:
            if first._closed:
                raise PeerLost(rank, 0, "it does not listen any more")
            if first._network is None:
                first._network = InProcessNetwork()
            network = first._network
        mailbox = Mailbox(rank, generation, deadline_s)
        with self._changed:
            if self._closed:
                raise ExchangeAborted(rank, "its listener was closed")
            self._mailbox = mailbox
        try:
            network.join(mailbox, (generation, len(addresses), secret), addresses, connect_deadline_s)
            mailbox.check()
        except BaseException:
            for box in network.others(mailbox):
                box.fail(PeerLost(box.rank, rank, "it went away while the group was formed"))
            network.forget(mailbox)
            raise
        finally:
            with self._changed:
                self._mailbox = None  # closing the listener does not end the group any more
                self._closed = True
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
        self._mailbox.take_into(source, tag, out)

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
