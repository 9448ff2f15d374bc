"""A transport over TCP, between processes of one host or of several.

Every pair of ranks has one connection: the higher rank connects, the lower accepts (`handshake`). A thread for each
peer reads all that comes into the mailbox, so a sender never waits for the receiver's code. Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from gradwire.workers.handshake import SECRET_BYTES, accept_handshake, connect_handshake, receive_exactly
from gradwire.workers.mailbox import Mailbox
from gradwire.workers.transport import (
    Buffer,
    ExchangeAborted,
    ExchangeTimeout,
    PeerLost,
    as_bytes,
)

__all__ = ["Address", "SocketListener", "SocketTransport"]

Address = tuple[str, int]

_HEADER = struct.Struct("<BxxxIQQQ")  # kind, magic, generation, tag, length
_MAGIC = 0x67775831
_LARGEST_MESSAGE = 1 << 36
_STRANGER_TIMEOUT_S = 5.0
_ABORT_TIMEOUT_S = 0.5


class _Kind(IntEnum):
    DATA = 0
    ABORT = 1
    BYE = 2


class SocketListener:
    """A rank's listening socket. It is bound before the group is formed, so that its address can be told to the others."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, 0), family=family, backlog=512)
        self.address: Address = (host, self._socket.getsockname()[1])
        self._lock = threading.Lock()
        self._connecting: socket.socket | None = None
        self._closed = False

    def close(self) -> None:
        """Stops listening, and connecting to others."""
        with self._lock:
            self._closed = True
            self._socket.close()
            if self._connecting is not None:
                with contextlib.suppress(OSError):
                    self._connecting.shutdown(socket.SHUT_RDWR)

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
        """Connects this rank with all others, then stops listening. All ranks call it with the same list of addresses.

        Raises `HandshakeRefused`, `PeerLost` or `ExchangeTimeout`; nothing stays open then.
        """
        if len(secret) != SECRET_BYTES:
            raise ValueError(f"a group's secret has {SECRET_BYTES} bytes; got {len(secret)}")
        peers: dict[int, socket.socket] = {}
        end = time.monotonic() + connect_deadline_s
        try:
            for peer in range(rank):
                with self._lock:
                    if self._closed:
                        raise ExchangeAborted(rank, "its listener was closed")
                    family = socket.AF_INET6 if ":" in addresses[peer][0] else socket.AF_INET
                    sock = self._connecting = socket.socket(family)
                try:
                    _connect(sock, rank, peer, addresses[peer], len(addresses), generation, secret, end)
                except BaseException:
                    sock.close()
                    raise
                finally:
                    with self._lock:
                        self._connecting = None
                peers[peer] = sock
            peers.update(self._accept(rank, len(addresses), generation, secret, end, connect_deadline_s))
        except BaseException:
            for sock in peers.values():
                sock.close()
            raise
        finally:
            self.close()
        return SocketTransport(rank, generation, peers, deadline_s)

    def _accept(
        self, rank: int, world_size: int, generation: int, secret: bytes, end: float, deadline_s: float
    ) -> dict[int, socket.socket]:
        """Connections of all higher ranks. Strangers are sent away and cannot hold up the others."""
        arrived: dict[int, socket.socket] = {}
        changed = threading.Condition()
        closed = False

        def meet(sock: socket.socket) -> None:
            keep = False
            try:
                sock.settimeout(_STRANGER_TIMEOUT_S)
                peer = accept_handshake(sock, rank, world_size, generation, secret)
                with changed:
                    if peer is not None and peer not in arrived and not closed:
                        arrived[peer] = sock
                        keep = True
                        changed.notify_all()
            except OSError:
                pass  # a stranger that went away; a missing peer is noticed by the deadline
            finally:
                if not keep:
                    sock.close()

        wanted = world_size - 1 - rank
        try:
            while True:
                with changed:
                    if len(arrived) == wanted:
                        return arrived
                remaining = end - time.monotonic()
                if remaining <= 0:
                    missing = next(p for p in range(rank + 1, world_size) if p not in arrived)
                    raise ExchangeTimeout(rank, missing, 0, deadline_s)
                self._socket.settimeout(min(remaining, 0.02 if arrived else 0.1))
                try:
                    sock, _ = self._socket.accept()
                except TimeoutError:
                    continue
                threading.Thread(target=meet, args=(sock,), daemon=True, name="gradwire-handshake").start()
        except BaseException:
            with changed:
                closed = True
                for sock in arrived.values():
                    sock.close()
            raise


def _connect(
    sock: socket.socket,
    rank: int,
    peer: int,
    address: Address,
    world_size: int,
    generation: int,
    secret: bytes,
    end: float,
) -> None:
    begun = time.monotonic()
    sock.settimeout(max(0.01, end - begun))
    try:
        sock.connect(address)
    except TimeoutError as error:
        raise ExchangeTimeout(rank, peer, 0, time.monotonic() - begun) from error
    except OSError as error:
        raise PeerLost(rank, peer, f"can't connect to {address[0]}:{address[1]} ({error})") from error
    try:
        connect_handshake(sock, rank, peer, world_size, generation, secret)
    except TimeoutError as error:
        raise ExchangeTimeout(rank, peer, 0, time.monotonic() - begun) from error
    except OSError as error:
        raise PeerLost(rank, peer, f"the connection broke while the group was formed ({error})") from error


class SocketTransport:
    """One process's end of a group over TCP. Made by `SocketListener.form`."""

    def __init__(
        self, rank: int, generation: int, peers: dict[int, socket.socket], deadline_s: float
    ) -> None:
        self._mailbox = Mailbox(rank, generation, deadline_s)
        self._peers = peers
        self._send_locks = {peer: threading.Lock() for peer in peers}
        self._closing = False
        self._close_lock = threading.Lock()
        second = struct.pack("ll", 1, 0)
        for sock in peers.values():
            sock.settimeout(None)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            # A blocked send looks up once a second, to see an abort or the deadline.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, second)
        self._readers = [
            threading.Thread(target=self._read, args=(peer,), daemon=True, name=f"gradwire-from-{peer}")
            for peer in peers
        ]
        for reader in self._readers:
            reader.start()

    @property
    def rank(self) -> int:
        return self._mailbox.rank

    @property
    def world_size(self) -> int:
        return len(self._peers) + 1

    @property
    def generation(self) -> int:
        return self._mailbox.generation

    @property
    def dropped(self) -> int:
        """Messages of other generations that were thrown away."""
        return self._mailbox.dropped

    def send(self, dest: int, tag: int, buffers: Sequence[Buffer]) -> None:
        self._mailbox.check()
        if dest not in self._peers:
            raise ValueError(f"rank {self.rank} of {self.world_size} can't send to rank {dest}")
        views = [as_bytes(b) for b in buffers]
        length = sum(v.nbytes for v in views)
        header = _HEADER.pack(_Kind.DATA, _MAGIC, self.generation, tag, length)
        with self._send_locks[dest]:
            try:
                self._write(dest, tag, [memoryview(header), *views])
            except OSError as error:
                if not self._mailbox.has_left(dest):
                    self._mailbox.fail(PeerLost(self.rank, dest, f"sending failed ({error})"))
                self._mailbox.check()
                raise PeerLost(self.rank, dest, "it left the group before it took what was sent") from error

    def _write(self, dest: int, tag: int, views: list[memoryview]) -> None:
        sock = self._peers[dest]
        pending = [v for v in views if v.nbytes]
        progress = time.monotonic()
        while pending:
            try:
                sent = sock.sendmsg(pending[:64])
            except BlockingIOError:
                self._mailbox.check()
                waited = time.monotonic() - progress
                if waited >= self._mailbox.deadline_s:
                    raise ExchangeTimeout(self.rank, dest, tag, waited) from None
                continue
            progress = time.monotonic()
            while pending and sent >= pending[0].nbytes:
                sent -= pending.pop(0).nbytes
            if sent:
                pending[0] = pending[0][sent:]

    def recv(self, source: int, tag: int) -> memoryview:
        return self._mailbox.take(source, tag)

    def recv_into(self, source: int, tag: int, out: Buffer) -> None:
        message = self._mailbox.take(source, tag)
        target = as_bytes(out)
        if target.nbytes != message.nbytes:
            raise ValueError(f"rank {source} sent {message.nbytes} bytes where {target.nbytes} were expected")
        target[:] = message

    def _read(self, peer: int) -> None:
        sock = self._peers[peer]
        header = bytearray(_HEADER.size)
        try:
            while True:
                receive_exactly(sock, memoryview(header))
                kind, magic, generation, tag, length = _HEADER.unpack(header)
                if magic != _MAGIC or length > _LARGEST_MESSAGE:
                    raise ConnectionError("what it sent is not a message of gradwire")
                payload = np.empty(length, np.uint8).data
                receive_exactly(sock, payload)
                if kind == _Kind.DATA:
                    self._mailbox.put(generation, peer, tag, payload)
                elif kind == _Kind.BYE:
                    self._mailbox.leave(peer)
                    return
                elif generation == self.generation:
                    self._mailbox.fail(ExchangeAborted(tag, bytes(payload).decode(errors="replace")))
                    return
        except (OSError, ValueError) as error:
            if not self._closing:
                self._mailbox.fail(
                    PeerLost(self.rank, peer, f"its process or the connection ended ({error})")
                )

    def abort(self, reason: str) -> None:
        if self._mailbox.fail(ExchangeAborted(self.rank, reason)):
            self._pass_on(self.rank, reason)

    def _pass_on(self, by: int, reason: str) -> None:
        """Tells all peers that rank `by` ended the exchange; the tag's field carries the rank."""
        text = reason.encode()
        frame = _HEADER.pack(_Kind.ABORT, _MAGIC, self.generation, by, len(text)) + text
        for peer in self._peers:
            self._send_last(peer, frame)

    def _send_last(self, peer: int, frame: bytes) -> None:
        """Sends a short frame if that can be done soon; else hangs up, which ends the peer's waits as well."""
        lock = self._send_locks[peer]
        sock = self._peers[peer]
        if lock.acquire(timeout=_ABORT_TIMEOUT_S):
            try:
                if sock.send(frame, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) == len(frame):
                    return
            except OSError:
                pass  # full or gone: hung up below
            finally:
                lock.release()
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

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
        for peer, sock in self._peers.items():
            if failure is None:
                self._send_last(peer, _HEADER.pack(_Kind.BYE, _MAGIC, self.generation, 0, 0))
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
        # Reading on until the peer has hung up too keeps the kernel from resetting what is on its way to it.
        end = time.monotonic() + _ABORT_TIMEOUT_S
        for reader in self._readers:
            reader.join(max(0.0, end - time.monotonic()))
        for sock in self._peers.values():
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def __enter__(self) -> SocketTransport:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
