"""A transport over connections between processes, and the listener that makes one of TCP connections.

Every pair of ranks has one connection (`connections`). A thread for each peer reads all that comes into the mailbox, so
a sender never waits for the receiver's code.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping, Sequence

from gradwire.workers.connections import Meeting, Place, tcp_target
from gradwire.workers.links import Kind, SocketLink
from gradwire.workers.mailbox import Mailbox
from gradwire.workers.memory import ReusedMemory
from gradwire.workers.transport import (
    Buffer,
    ExchangeAborted,
    ExchangeTimeout,
    PeerLost,
    as_bytes,
)

__all__ = ["Address", "SocketListener", "SocketTransport", "listening_socket"]

Address = tuple[str, int]

_BACKLOG = 512
_LAST_WORDS_S = 0.5


def listening_socket(host: str) -> socket.socket:
    """A TCP socket that listens on a free port of this host's address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family, backlog=_BACKLOG)


class SocketListener:
    """A rank's listening socket. It is bound before the group is formed, so that its address can be told to the others."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        sock = listening_socket(host)
        memory = ReusedMemory()
        self.address: Address = (host, sock.getsockname()[1])
        self._meeting: Meeting[SocketLink] = Meeting([sock], lambda sock, _: SocketLink(sock, memory))

    def close(self) -> None:
        """See transport.Listener."""
        self._meeting.close()

    def form(
        self,
        rank: int,
        addresses: Sequence[Address],
        *,
        generation: int,
        secret: bytes,
        deadline_s: float,
        connect_deadline_s: float = 30.0,
    ) -> SocketTransport:
        """See transport.Listener. All ranks call it with the same list of addresses."""
        place = Place(rank, len(addresses), generation, secret, connect_deadline_s)
        links = self._meeting.form(place, lambda peer: tcp_target(*addresses[peer]))
        return SocketTransport(rank, generation, links, deadline_s)


class SocketTransport:
    """One process's end of a group whose ranks are connected by `links`. Made by a listener."""

    def __init__(
        self, rank: int, generation: int, links: Mapping[int, SocketLink], deadline_s: float
    ) -> None:
        self._mailbox = Mailbox(rank, generation, deadline_s)
        self.links = dict(links)
        """The connections, by rank."""
        self._send_locks = {peer: threading.Lock() for peer in links}
        self._closing = False
        self._close_lock = threading.Lock()
        self._readers = [
            threading.Thread(target=self._read, args=(peer,), daemon=True, name=f"gradwire-from-{peer}")
            for peer in links
        ]
        for reader in self._readers:
            reader.start()

    @property
    def rank(self) -> int:
        return self._mailbox.rank

    @property
    def world_size(self) -> int:
        return len(self.links) + 1

    @property
    def generation(self) -> int:
        return self._mailbox.generation

    @property
    def dropped(self) -> int:
        """Messages of other generations that were thrown away."""
        return self._mailbox.dropped

    def send(self, dest: int, tag: int, buffers: Sequence[Buffer]) -> None:
        self._mailbox.check()
        if dest not in self.links:
            raise ValueError(f"rank {self.rank} of {self.world_size} can't send to rank {dest}")
        views = [as_bytes(b) for b in buffers]
        started = time.monotonic()

        def patience() -> None:
            self._mailbox.check()
            waited = time.monotonic() - started
            if waited >= self._mailbox.deadline_s:
                raise ExchangeTimeout(self.rank, dest, tag, waited)

        with self._send_locks[dest]:
            try:
                self.links[dest].send(self.generation, tag, views, patience)
            except OSError as error:
                if not self._mailbox.has_left(dest):
                    self._mailbox.fail(PeerLost(self.rank, dest, f"sending failed ({error})"))
                self._mailbox.check()
                raise PeerLost(self.rank, dest, "it left the group before it took what was sent") from error

    def recv(self, source: int, tag: int) -> memoryview:
        return self._mailbox.take(source, tag)

    def recv_into(self, source: int, tag: int, out: Buffer) -> None:
        self._mailbox.take_into(source, tag, out)

    def _read(self, peer: int) -> None:
        link = self.links[peer]
        try:
            while True:
                kind, generation, tag, payload = link.receive()
                if kind == Kind.DATA:
                    self._mailbox.put(generation, peer, tag, payload)
                elif kind == Kind.BYE:
                    self._mailbox.leave(peer)
                    return
                elif generation == self.generation:
                    self._mailbox.fail(ExchangeAborted(tag, bytes(payload).decode(errors="replace")))
                    return
                del payload  # its memory may be given out again before the next message comes
        except (OSError, ValueError, MemoryError) as error:
            if not self._closing:
                self._mailbox.fail(
                    PeerLost(self.rank, peer, f"its process or the connection ended ({error})")
                )

    def abort(self, reason: str) -> None:
        if self._mailbox.fail(ExchangeAborted(self.rank, reason)):
            self._pass_on(self.rank, reason)

    def _pass_on(self, by: int, reason: str) -> None:
        """Tells all peers that rank `by` ended the exchange; the tag's field carries the rank."""
        for peer in self.links:
            self._say_last(peer, Kind.ABORT, by, reason.encode())

    def _say_last(self, peer: int, kind: Kind, tag: int, text: bytes = b"") -> None:
        """Sends a short frame if that can be done soon; else hangs up, which ends the peer's waits as well."""
        lock = self._send_locks[peer]
        link = self.links[peer]
        if lock.acquire(timeout=_LAST_WORDS_S):
            try:
                if link.send_at_once(kind, self.generation, tag, text):
                    return
            finally:
                lock.release()
        link.hang_up()

    def close(self) -> None:
        with self._close_lock:
            if self._closing:
                return
            self._closing = True
        failure = self._mailbox.failure
        if isinstance(failure, ExchangeAborted):
            # Who has not heard of it yet would take the end of this connection for a death.
            if failure.by != self.rank:
                self._pass_on(failure.by, failure.reason)
        elif failure is not None:
            self._pass_on(self.rank, str(failure))
        for peer, link in self.links.items():
            if failure is None:
                self._say_last(peer, Kind.BYE, 0)
            link.hang_up(socket.SHUT_WR)
        # Reading on until the peer has hung up too keeps the kernel from resetting what is on its way to it.
        end = time.monotonic() + _LAST_WORDS_S
        for reader in self._readers:
            reader.join(max(0.0, end - time.monotonic()))
        for link in self.links.values():
            link.close()

    def __enter__(self) -> SocketTransport:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
