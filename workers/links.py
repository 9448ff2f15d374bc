"""One connection to one peer, as a transport uses it: frames go out, frames come in. Nothing is unpickled.

frame   header (kind, way, room, magic, generation, tag, length), then `length` bytes
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple

from gradwire.workers.handshake import receive_exactly
from gradwire.workers.memory import ReusedMemory

__all__ = ["FRAME_MAGIC", "HEADER", "Frame", "Kind", "SocketLink", "Way"]

HEADER = struct.Struct("<BBHIQQQ")  # kind, way, room, magic, generation, tag, length
FRAME_MAGIC = 0x67775831
_LARGEST_MESSAGE = 1 << 36
_PATIENCE_S = 0.1


class Kind(IntEnum):
    """What a frame is."""

    DATA = 0
    ABORT = 1
    BYE = 2


class Way(IntEnum):
    """How a frame's bytes travel."""

    INLINE = 0
    """After the header, over the socket."""
    ROOM = 1
    """In the room of shared memory that the header names."""
    NEW_ROOM = 2
    """In a room whose descriptor comes with the header."""


class Frame(NamedTuple):
    """What came in. ABORT carries the rank that gave up as its tag."""

    kind: Kind
    generation: int
    tag: int
    payload: memoryview


Patience = Callable[[], None]
"""Called about every tenth of a second while nothing can be sent; raises when that has been long enough."""


class SocketLink:
    """A stream socket."""

    def __init__(self, sock: socket.socket, memory: ReusedMemory) -> None:
        self.socket = sock
        self._memory = memory
        self._header = bytearray(HEADER.size)
        self._cut = False  # a frame was given up in its middle: what came after would be taken for its rest
        sock.settimeout(None)
        # A blocked send looks up from time to time, to see an abort or the deadline.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, int(_PATIENCE_S * 1e6)))
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def send(self, generation: int, tag: int, views: Sequence[memoryview], patience: Patience) -> None:
        """Sends a DATA frame whole. `OSError` where the connection is gone; whatever `patience` raises."""
        length = sum(v.nbytes for v in views)
        header = HEADER.pack(Kind.DATA, Way.INLINE, 0, FRAME_MAGIC, generation, tag, length)
        self._write([memoryview(header), *views], patience)

    def _write(self, views: list[memoryview], patience: Patience) -> None:
        if self._cut:
            raise ConnectionError("an earlier message was not sent to its end")
        pending = [v for v in views if v.nbytes]
        self._cut = True
        while pending:
            try:
                sent = self.socket.sendmsg(pending[:64])
            except BlockingIOError:
                patience()
                continue
            while pending and sent >= pending[0].nbytes:
                sent -= pending.pop(0).nbytes
            if sent:
                pending[0] = pending[0][sent:]
        self._cut = False

    def receive(self) -> Frame:
        """Waits for a frame. `OSError` where the connection ends or what comes is no frame."""
        self._read_header(memoryview(self._header))
        kind, way, room, magic, generation, tag, length = HEADER.unpack(self._header)
        if magic != FRAME_MAGIC or length > _LARGEST_MESSAGE or kind not in tuple(Kind):
            raise ConnectionError("what it sent is not a message of gradwire")
        return Frame(Kind(kind), generation, tag, self._payload(way, room, length))

    def _read_header(self, header: memoryview) -> None:
        receive_exactly(self.socket, header)

    def _payload(self, way: int, room: int, length: int) -> memoryview:
        if way != Way.INLINE:
            raise ConnectionError("it sent a message by shared memory where there is none")
        payload = self._memory.take(length).data
        receive_exactly(self.socket, payload)
        return payload

    def send_at_once(self, kind: Kind, generation: int, tag: int, text: bytes = b"") -> bool:
        """Sends a short frame if there is room for it now; whether it was sent."""
        if self._cut:
            return False
        frame = HEADER.pack(kind, Way.INLINE, 0, FRAME_MAGIC, generation, tag, len(text)) + text
        try:
            return self.socket.send(frame, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL) == len(frame)
        except OSError:
            return False

    def hang_up(self, how: int = socket.SHUT_RDWR) -> None:
        """Ends the connection, or one direction of it; waits on it end."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(how)

    def close(self) -> None:
        """Ends the connection and gives back what it holds."""
        self.hang_up()
        self.socket.close()
