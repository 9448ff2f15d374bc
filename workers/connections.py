"""How a rank's connections to all others come about: the higher rank connects, the lower accepts (`handshake`).

Used by the listeners. Nothing that waits here can be held up by strangers, and another thread can end every wait.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from gradwire.workers.handshake import SECRET_BYTES, accept_handshake, connect_handshake
from gradwire.workers.transport import ExchangeAborted, ExchangeTimeout, PeerLost

__all__ = ["Meeting", "Place", "tcp_target"]

_STRANGER_TIMEOUT_S = 5.0

Target = tuple[int, Any]
"""Address family and socket address."""


class _Closable(Protocol):
    def close(self) -> None: ...


Link = TypeVar("Link", bound=_Closable)


@dataclass(frozen=True)
class Place:
    """A rank's place in the group that is being formed, and what proves that it belongs there."""

    rank: int
    world_size: int
    generation: int
    secret: bytes
    deadline_s: float
    """How long forming may take."""

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES:
            raise ValueError(f"a group's secret has {SECRET_BYTES} bytes; got {len(self.secret)}")
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"there is no rank {self.rank} among {self.world_size}")


def tcp_target(host: str, port: int) -> Target:
    """Where to connect to; `OSError` for a name that is not known."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return family, address


class Meeting(Generic[Link]):
    """The listening sockets of a rank until its group is formed. `make_link(socket, connected)` turns a connection whose
    other end has proved itself into what the transport uses; it may exchange some bytes with its counterpart."""

    def __init__(
        self, listening: Sequence[socket.socket], make_link: Callable[[socket.socket, bool], Link]
    ) -> None:
        self._listening = list(listening)
        self._make_link = make_link
        self._changed = threading.Condition()
        self._links: dict[int, Link] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._error: BaseException | None = None
        self._closed = False
        self._in_use = False
        self._connecting: socket.socket | None = None
        self._bell, self._bell_rope = socket.socketpair()

    def close(self) -> None:
        """Stops listening; a `form` that waits in another thread raises ExchangeAborted."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            if self._connecting is not None:
                with contextlib.suppress(OSError):
                    self._connecting.shutdown(socket.SHUT_RDWR)
            if self._in_use:
                self._bell_rope.send(b"!")
                return
        self._stop_listening()

    def form(self, place: Place, target_of: Callable[[int], Target]) -> dict[int, Link]:
        """The links to all other ranks; stops listening. Raises `HandshakeRefused`, `PeerLost`, `ExchangeTimeout` or
        `ExchangeAborted`, and nothing stays open then. `target_of`: where a lower rank listens."""
        with self._changed:
            if self._closed:
                raise ExchangeAborted(place.rank, "its listener was closed")
            self._in_use = True
        end = time.monotonic() + place.deadline_s
        try:
            for peer in range(place.rank):
                self._connect(place, peer, target_of, end)
            self._accept(place, end)
            with self._changed:
                self._check_closed(place)
                return dict(self._links)
        except BaseException as error:
            with self._changed:
                self._error = error  # who arrives from now on is sent away
                for link in self._links.values():
                    link.close()
                closed = self._closed
            if closed and isinstance(error, OSError | PeerLost | ExchangeTimeout):
                raise ExchangeAborted(place.rank, "its listener was closed") from error
            raise
        finally:
            with self._changed:
                self._closed = True
            self._stop_listening()

    def _check_closed(self, place: Place) -> None:
        if self._closed:
            raise ExchangeAborted(place.rank, "its listener was closed")

    def _stop_listening(self) -> None:
        for sock in (*self._listening, self._bell, self._bell_rope):
            sock.close()

    def _connect(self, place: Place, peer: int, target_of: Callable[[int], Target], end: float) -> None:
        remaining = end - time.monotonic()
        if remaining <= 0:
            raise ExchangeTimeout(place.rank, peer, 0, place.deadline_s)
        where = ""
        sock = None
        try:
            family, address = target_of(peer)
            where = _words(address)
            sock = socket.socket(family, socket.SOCK_STREAM)
            with self._changed:
                self._check_closed(place)
                self._connecting = sock
            sock.settimeout(remaining)
            sock.connect(address)
            where = ""
            connect_handshake(sock, place.rank, peer, place.world_size, place.generation, place.secret)
            link = self._make_link(sock, True)
        except BaseException as error:
            if sock is not None:
                sock.close()
            if isinstance(error, TimeoutError):
                raise ExchangeTimeout(place.rank, peer, 0, place.deadline_s) from error
            if isinstance(error, OSError):
                what = (
                    f"can't connect to {where}"
                    if where
                    else "the connection broke while the group was formed"
                )
                raise PeerLost(place.rank, peer, f"{what} ({error})") from error
            raise
        finally:
            with self._changed:
                self._connecting = None
        with self._changed:
            self._links[peer], self._sockets[peer] = link, sock

    def _accept(self, place: Place, end: float) -> None:
        """Takes in all higher ranks, and notices when one that has connected goes away again."""
        wanted = place.world_size - 1
        watch = select.poll()
        for sock in (self._bell, *self._listening):
            watch.register(sock, select.POLLIN)
        doors = {sock.fileno(): sock for sock in self._listening}
        watched: dict[int, int] = {}
        while True:
            with self._changed:
                self._check_closed(place)
                if len(self._links) == wanted:
                    return
                for peer, sock in self._sockets.items():
                    if peer not in watched.values():
                        watched[sock.fileno()] = peer
                        watch.register(sock, select.POLLRDHUP)
            remaining = end - time.monotonic()
            if remaining <= 0:
                missing = next(p for p in range(place.world_size) if p != place.rank and p not in self._links)
                raise ExchangeTimeout(place.rank, missing, 0, place.deadline_s)
            for fd, _ in watch.poll(1e3 * remaining):
                if fd in doors:
                    with contextlib.suppress(OSError):
                        sock, _ = doors[fd].accept()
                        threading.Thread(
                            target=self._meet, args=(place, sock), daemon=True, name="gradwire-handshake"
                        ).start()
                elif fd in watched:
                    peer = watched[fd]
                    if _is_gone(self._sockets[peer]):
                        raise PeerLost(place.rank, peer, "it went away while the group was formed")
                    watch.unregister(fd)  # it has said all it wanted, which is still to be read
                elif not self._closed:
                    self._bell.recv(64)  # somebody arrived

    def _meet(self, place: Place, sock: socket.socket) -> None:
        link = None
        try:
            sock.settimeout(_STRANGER_TIMEOUT_S)
            peer = accept_handshake(sock, place.rank, place.world_size, place.generation, place.secret)
            if peer is not None:
                link = self._make_link(sock, False)
                with self._changed:
                    if peer not in self._links and self._error is None and not self._closed:
                        self._links[peer], self._sockets[peer] = link, sock
                        link = None
                        self._bell_rope.send(b".")
                        return
        except OSError:
            pass  # a stranger that went away; a missing peer is noticed by the deadline
        if link is not None:
            link.close()
        sock.close()


def _is_gone(sock: socket.socket) -> bool:
    """Whether nothing more will come, of a socket that was hung up."""
    try:
        return not sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return True


def _words(address: Any) -> str:
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else repr(address)
