"""A transport through shared memory between processes of one host, and the listener that uses it where it can.

Each pair of ranks has a Unix socket, over which frames go as over TCP (`links`), but the bytes of a long message lie in a
**room**: memory without a name (memfd) that the sender makes, and whose descriptor it passes over the socket. The receiver
reads where they lie; a room is free again when nothing there refers to it any more. Nothing can be left behind: the memory
goes with the last process that has it, and no size of /dev/shm limits it.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import mmap
import os
import secrets
import socket
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradwire.workers.connections import Meeting, Place, tcp_target
from gradwire.workers.links import FRAME_MAGIC, HEADER, Frame, Kind, Patience, SocketLink, Way
from gradwire.workers.memory import ReusedMemory
from gradwire.workers.sockets import SocketTransport, listening_socket

__all__ = ["HostAddress", "HostListener", "host_identity"]

SMALL = 1 << 16
"""Bytes up to which a message goes over the socket: a copy by the kernel costs less there than a room's bookkeeping."""
ROOMS_LIMIT = 1 << 30
"""Bytes of rooms that a sender makes for one receiver; where none is free then, a message goes over the socket."""
_ROOM_STEP = 1 << 20
_FREE, _TAKEN = 0, 1
_STATE, _BYTES = 0, mmap.PAGESIZE  # a room's first page holds its state alone


def host_identity() -> str:
    """What processes share that can reach each other by Unix sockets: the same for all of one boot and network namespace."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as source:
            boot = source.read().strip()
        return f"{boot}/{os.stat('/proc/self/ns/net').st_ino}"
    except OSError:
        return f"process-{os.getpid()}-{secrets.token_hex(8)}"


@dataclass(frozen=True)
class HostAddress:
    """Where a rank listens: at `path` (abstract, '' for nowhere) for its own host, at `host` and `port` for others."""

    identity: str
    path: str
    host: str
    port: int


class _Room:
    """A room as its sender has it."""

    def __init__(self, number: int, size: int) -> None:
        self.number, self.size = number, size
        self.descriptor = os.memfd_create("gradwire-room", os.MFD_CLOEXEC)
        try:
            os.ftruncate(self.descriptor, _BYTES + size)
            self.memory = mmap.mmap(self.descriptor, _BYTES + size)
        except BaseException:
            os.close(self.descriptor)
            raise
        self.told = False

    @property
    def free(self) -> bool:
        """Whether the receiver has no use for it any more."""
        return self.memory[_STATE] == _FREE

    def fill(self, views: Sequence[memoryview]) -> None:
        """Takes it, and puts the views in, one after the other."""
        self.memory[_STATE] = _TAKEN
        target, at = np.frombuffer(self.memory, np.uint8), _BYTES
        for view in views:
            # NumPy copies without holding the interpreter's lock, slices of the map would keep it.
            np.copyto(target[at : at + view.nbytes], np.frombuffer(view, np.uint8))
            at += view.nbytes

    def tell(self) -> int:
        """The descriptor, to be passed on and closed."""
        self.told = True
        return self.descriptor


class SharedLink(SocketLink):
    """A Unix socket, and rooms for what is long."""

    def __init__(self, sock: socket.socket, memory: ReusedMemory) -> None:
        super().__init__(sock, memory)
        self._rooms: list[_Room] = []
        self._theirs: dict[int, mmap.mmap] = {}

    def send(self, generation: int, tag: int, views: Sequence[memoryview], patience: Patience) -> None:
        """See SocketLink."""
        length = sum(v.nbytes for v in views)
        room = self._room_for(length) if length > SMALL else None
        if room is None:
            super().send(generation, tag, views, patience)
            return
        room.fill([v for v in views if v.nbytes])
        header = HEADER.pack(
            Kind.DATA,
            Way.ROOM if room.told else Way.NEW_ROOM,
            room.number,
            FRAME_MAGIC,
            generation,
            tag,
            length,
        )
        if room.told:
            self._write([memoryview(header)], patience)
            return
        descriptor = room.tell()
        try:
            sent = self._send_descriptor(header, descriptor, patience)
        finally:
            os.close(descriptor)
        self._write([memoryview(header)[sent:]], patience)

    def _send_descriptor(self, header: bytes, descriptor: int, patience: Patience) -> int:
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
        while True:
            try:
                return self.socket.sendmsg([header], [rights])
            except BlockingIOError:
                patience()

    def _room_for(self, length: int) -> _Room | None:
        """A free room, the smallest that is large enough; None where the message is to go over the socket."""
        fitting = [room for room in self._rooms if room.size >= length and room.free]
        if fitting:
            return min(fitting, key=lambda room: room.size)
        size = -(-length // _ROOM_STEP) * _ROOM_STEP
        if sum(room.size for room in self._rooms) + size > ROOMS_LIMIT or len(self._rooms) >= 1 << 16:
            return None
        try:
            room = _Room(len(self._rooms), size)
        except OSError:  # no memory or descriptor for it: the socket needs neither
            return None
        self._rooms.append(room)
        return room

    def receive(self) -> Frame:
        """See SocketLink."""
        self._passed: list[int] = []
        try:
            return super().receive()
        finally:
            for descriptor in self._passed:
                os.close(descriptor)

    def _read_header(self, header: memoryview) -> None:
        at = 0
        while at < header.nbytes:
            data, descriptors, _, _ = socket.recv_fds(self.socket, header.nbytes - at, 1)
            self._passed += descriptors
            if not data:
                raise ConnectionError("the connection was closed")
            header[at : at + len(data)] = data
            at += len(data)

    def _payload(self, way: int, room: int, length: int) -> memoryview:
        if way == Way.NEW_ROOM:
            if len(self._passed) != 1 or room in self._theirs:
                raise ConnectionError("it named a room of shared memory and did not pass it")
            self._theirs[room] = mmap.mmap(self._passed[0], 0)
        if way in (Way.ROOM, Way.NEW_ROOM):
            memory = self._theirs.get(room)
            if memory is None or len(memory) < _BYTES + length:
                raise ConnectionError("it named a room of shared memory that there is not")
            # A ctypes object is what every view of it keeps alive; NumPy's own views keep only the memory map.
            held = (ctypes.c_ubyte * length).from_buffer(memory, _BYTES)
            weakref.finalize(held, _give_back, memory).atexit = False
            return memoryview(held).cast("B")
        return super()._payload(way, room, length)


def _give_back(memory: mmap.mmap) -> None:
    memory[_STATE] = _FREE


class HostListener:
    """Listens for ranks of the same host at a Unix socket, for others at a TCP port of `host`."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        tcp = listening_socket(host)
        memory = ReusedMemory()
        listening, path = [tcp], ""
        with contextlib.suppress(
            OSError, AttributeError
        ):  # no Unix sockets or memfd here: TCP serves as well
            os.close(os.memfd_create("gradwire-trial", os.MFD_CLOEXEC))
            local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            name = "\0gradwire-" + secrets.token_hex(16)
            local.bind(name)
            local.listen(512)
            listening.append(local)
            path = name
        self.address = HostAddress(host_identity(), path, host, tcp.getsockname()[1])

        def link(sock: socket.socket, connected: bool) -> SocketLink:
            return (SharedLink if sock.family == socket.AF_UNIX else SocketLink)(sock, memory)

        self._meeting: Meeting[SocketLink] = Meeting(listening, link)

    def close(self) -> None:
        """See transport.Listener."""
        self._meeting.close()

    def form(
        self,
        rank: int,
        addresses: Sequence[HostAddress],
        *,
        generation: int,
        secret: bytes,
        deadline_s: float,
        connect_deadline_s: float = 30.0,
    ) -> SocketTransport:
        """See transport.Listener."""
        place = Place(rank, len(addresses), generation, secret, connect_deadline_s)

        def target(peer: int) -> tuple[int, Any]:
            address = addresses[peer]
            if address.path and address.identity == self.address.identity and self.address.path:
                return socket.AF_UNIX, address.path
            return tcp_target(address.host, address.port)

        return SocketTransport(rank, generation, self._meeting.form(place, target), deadline_s)
