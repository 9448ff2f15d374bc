"""A relay between a client and a service that loses what a test tells it to. It knows HTTP/2's frames and nothing of gRPC.

    request               the service never sees the request
    reply                 the request is carried out and its answer is lost; in a stream, the answer after `pass_replies`
    reply_while_working   the client is cut off once its request has passed on; the service works on, undisturbed
    link_while_working    the same, but the service sees the caller go

The client sees a broken connection each time, as it would if a cable were pulled or a host had died.
"""

import asyncio
import enum
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

PREFACE_BYTES = 24
DATA, HEADERS = 0, 1
END_STREAM = 1
SEEN_S = 0.05
"""Between a request passing on and its connection ending: time for the service to begin with it."""


class Loss(enum.Enum):
    """What is lost of one call."""

    request = enum.auto()
    reply = enum.auto()
    reply_while_working = enum.auto()
    link_while_working = enum.auto()


class _Link:
    """One connection of a client, and the one to the service behind it."""

    def __init__(self, relay: "Relay", near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._relay, self._near, self._far = relay, near, far
        self._newest = 0
        self._loss: Loss | None = None
        self._stream = 0
        self._deaf = False

    async def upwards(self, source: asyncio.StreamReader) -> None:
        """Client to service."""
        self._far.write(await source.readexactly(PREFACE_BYTES))
        while True:
            head, payload = await _frame(source)
            kind, flags, stream = _read(head)
            if kind == HEADERS and stream > self._newest:
                self._newest = stream
                if self._relay.lost.is_set():
                    self._relay.again.set()
                if self._loss is None and (loss := self._relay._take()) is not None:
                    self._loss, self._stream = loss, stream
            ours = stream == self._stream and kind in (DATA, HEADERS)
            last = ours and bool(flags & END_STREAM)
            if ours and self._loss == Loss.request:
                # Its first part at least was sent.
                if kind == DATA or last:
                    self._cut(both=True)
                continue
            self._far.write(head + payload)
            await self._far.drain()
            if last and self._loss in (Loss.reply_while_working, Loss.link_while_working):
                if self._loss == Loss.link_while_working:
                    await asyncio.sleep(SEEN_S)
                self._cut(both=self._loss == Loss.link_while_working)

    async def downwards(self, source: asyncio.StreamReader) -> None:
        """Service to client."""
        passed = 0
        while True:
            head, payload = await _frame(source)
            kind, flags, stream = _read(head)
            ours = stream == self._stream and kind in (DATA, HEADERS)
            last = ours and bool(flags & END_STREAM)
            if self._deaf:
                if last:
                    self._far.close()
                continue
            if ours and self._loss == Loss.reply:
                wanted = self._relay.pass_replies
                if passed >= wanted:
                    if last or (wanted and kind == DATA):
                        self._cut(both=True)
                    continue
                passed += kind == DATA
            self._near.write(head + payload)
            await self._near.drain()

    def _cut(self, both: bool) -> None:
        self._deaf = True
        # What the client has not read yet is lost too.
        self._near.transport.abort()
        if both:
            self._far.transport.abort()
        self._relay.lost.set()


class Relay:
    """Listens at `address` and passes on to the service at `target`, in a thread of its own, until the `with` block ends."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._lock = threading.Lock()
        self._armed: tuple[Loss, int] | None = None
        self.pass_replies = 0
        self.lost = threading.Event()
        self.again = threading.Event()

    def lose(self, loss: Loss, pass_calls: int = 0, pass_replies: int = 0) -> None:
        """Loses this of the next call, after `pass_calls` of them; `lost` is set when it is done, `again` by the call after it."""
        with self._lock:
            self.lost.clear()
            self.again.clear()
            self._armed, self.pass_replies = (loss, pass_calls), pass_replies

    def _take(self) -> Loss | None:
        with self._lock:
            if self._armed is None:
                return None
            loss, left = self._armed
            self._armed = (loss, left - 1) if left else None
            return None if left else loss

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async def end() -> None:
            self._server.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _serve(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        try:
            far_in, far_out = await asyncio.open_connection(*self._target)
        except OSError:
            near_out.transport.abort()
            return
        link = _Link(self, near_out, far_out)

        async def until_closed(work: Coroutine[Any, Any, None], other: asyncio.StreamWriter) -> None:
            try:
                await work
            except (asyncio.IncompleteReadError, ConnectionError):
                # With the client cut off the service is left alone, until it has said its last.
                if not link._deaf:
                    other.close()

        try:
            await asyncio.gather(
                until_closed(link.upwards(near_in), far_out), until_closed(link.downwards(far_in), near_out)
            )
        finally:
            near_out.transport.abort()
            far_out.transport.abort()


async def _frame(source: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await source.readexactly(9)
    return head, await source.readexactly(int.from_bytes(head[:3], "big"))


def _read(head: bytes) -> tuple[int, int, int]:
    """Kind, flags and stream of a frame (RFC 9113, section 4.1)."""
    return head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFFFFFF
