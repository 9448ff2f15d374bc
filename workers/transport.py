"""The narrow interface that ranks exchange bytes through, its errors, and the contract every transport keeps.

The exchange (`gradwire.workers.exchange`) is the only caller. Implementations are siblings:
`in_process` (threads of one process) and `sockets` (TCP between processes and hosts).

The contract
------------
- A group is `world_size` ranks with one `generation`, a number that grows each time the group is formed again.
- Messages from one rank to another with the same tag arrive whole, once, and in the order they were sent.
  Messages with different tags may be taken in any order.
- `send` may be called while the receiver computes: whatever arrives is kept until it is asked for, so two ranks
  may send any amount to each other at the same time. The buffers may be changed as soon as `send` has returned.
- `recv` gives memory that belongs to the caller and can be written.
- No wait is longer than the transport's `deadline_s`; then `ExchangeTimeout` names who waited for whom, and where.
- After `abort`, here or on any rank, every wait of every rank ends at once with `ExchangeAborted`; so does every later call.
- When a peer dies, every wait ends at once with `PeerLost`; so does every later call. A peer that called `close`
  has left in order: only who still waits for a message of *that* peer gets `PeerLost`.
- A message of another generation is dropped and never seen.

Errors:

    ExchangeError
    ├── ExchangeTimeout    nothing came before the deadline
    ├── ExchangeAborted    a rank gave up and told the others why
    ├── PeerLost           a rank's process or its connection is gone
    └── HandshakeRefused   a connection was not let into the group
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Protocol, TypeAlias

import numpy as np

__all__ = [
    "Buffer",
    "ExchangeAborted",
    "ExchangeError",
    "ExchangeTimeout",
    "HandshakeRefused",
    "Listener",
    "PeerLost",
    "Phase",
    "Transport",
    "as_bytes",
    "describe_tag",
    "make_tag",
]

Buffer: TypeAlias = "bytes | bytearray | memoryview | np.ndarray[Any, Any]"


class Phase(IntEnum):
    """What a message is for; the low bits of its tag, so that an error can name it."""

    PLAIN = 0
    REDUCE_SCATTER = 1
    ALL_GATHER = 2
    ALL_GATHER_BYTES = 3
    GATHER = 4
    PASS_ON = 5
    HAND_OVER = 6


_PHASE_BITS = 4


def make_tag(phase: Phase, sequence: int) -> int:
    """The tag of the `sequence`-th use of a phase."""
    return (sequence << _PHASE_BITS) | phase


def describe_tag(tag: int) -> str:
    """A tag in words: `all-gather 17`."""
    phase = Phase(tag & ((1 << _PHASE_BITS) - 1))
    return f"{phase.name.lower().replace('_', '-')} {tag >> _PHASE_BITS}"


class ExchangeError(Exception):
    """A message could not be exchanged."""


class ExchangeTimeout(ExchangeError):
    """Rank `rank` waited `waited_s` seconds for a message of rank `peer`."""

    def __init__(self, rank: int, peer: int, tag: int, waited_s: float) -> None:
        super().__init__(rank, peer, tag, waited_s)
        self.rank = rank
        self.peer = peer
        self.tag = tag
        self.phase = describe_tag(tag)
        self.waited_s = waited_s

    def __str__(self) -> str:
        return (
            f"rank {self.rank} heard nothing from rank {self.peer} in {self.phase} (tag {self.tag}) for "
            f"{self.waited_s:.1f} s: rank {self.peer} hangs, is stopped, or the network between them is cut"
        )


class ExchangeAborted(ExchangeError):
    """Rank `by` ended the exchange for everyone."""

    def __init__(self, by: int, reason: str) -> None:
        super().__init__(by, reason)
        self.by = by
        self.reason = reason

    def __str__(self) -> str:
        return f"rank {self.by} ended the exchange: {self.reason}"


class PeerLost(ExchangeError):
    """The process of rank `peer`, or the connection to it, is gone."""

    def __init__(self, rank: int, peer: int, detail: str) -> None:
        super().__init__(rank, peer, detail)
        self.rank = rank
        self.peer = peer
        self.detail = detail

    def __str__(self) -> str:
        return f"rank {self.rank} lost rank {self.peer}: {self.detail}"


class HandshakeRefused(ExchangeError):
    """A connection to rank `peer` was refused while the group was being formed."""

    def __init__(self, rank: int, peer: int, detail: str) -> None:
        super().__init__(rank, peer, detail)
        self.rank = rank
        self.peer = peer
        self.detail = detail

    def __str__(self) -> str:
        return f"rank {self.rank} was not let in by rank {self.peer}: {self.detail}"


class Transport(Protocol):
    """One rank's end of a group. See the module's docstring for what every implementation promises."""

    @property
    def rank(self) -> int: ...

    @property
    def world_size(self) -> int: ...

    @property
    def generation(self) -> int: ...

    def send(self, dest: int, tag: int, buffers: Sequence[Buffer]) -> None:
        """Sends the buffers, one after the other, as one message to rank `dest` (which may not be this rank)."""

    def recv(self, source: int, tag: int) -> memoryview:
        """The next message of rank `source` with this tag, as writable bytes that belong to the caller."""

    def recv_into(self, source: int, tag: int, out: Buffer) -> None:
        """Like `recv`, into `out`, which must be exactly as long as the message (`ValueError` if not)."""

    def abort(self, reason: str) -> None:
        """Ends the exchange on every rank. May be called from any thread, and more than once."""

    def close(self) -> None:
        """Leaves the group in order. May be called more than once."""


class Listener(Protocol):
    """A rank's end before its group is formed: it has an address that can be told to the others."""

    @property
    def address(self) -> Any:
        """What the others need to find this rank; can be pickled."""

    def form(
        self,
        rank: int,
        addresses: Sequence[Any],
        *,
        generation: int,
        secret: bytes,
        deadline_s: float,
        connect_deadline_s: float = 30.0,
    ) -> Transport:
        """Joins the group of all `addresses`, in rank order, and stops listening; nothing stays open where it raises."""

    def close(self) -> None:
        """Stops listening; a `form` that waits in another thread raises. May be called more than once."""


def as_bytes(buffer: Buffer) -> memoryview:
    """The bytes of a C-contiguous buffer, without copying (`ValueError` where it is not contiguous)."""
    if isinstance(buffer, np.ndarray):
        if not buffer.flags.c_contiguous:
            raise ValueError(
                f"a message needs contiguous memory; got strides {buffer.strides} for shape {buffer.shape}"
            )
        return buffer.reshape(-1).view(np.uint8).data
    view = memoryview(buffer)
    if not view.c_contiguous:
        raise ValueError(
            f"a message needs contiguous memory; got strides {view.strides} for shape {view.shape}"
        )
    return view.cast("B") if view.nbytes else memoryview(b"")
