"""Where a rank's arrived messages wait until they are asked for; shared by all transports.

Readers put, the rank's own thread takes. The first failure ends every wait, present and future.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import deque

import numpy as np

from gradwire.workers.transport import Buffer, ExchangeError, ExchangeTimeout, PeerLost, as_bytes

__all__ = ["Mailbox"]


class Mailbox:
    """Messages by (source, tag), each in the order they came."""

    def __init__(self, rank: int, generation: int, deadline_s: float) -> None:
        self.rank = rank
        self.generation = generation
        self.deadline_s = deadline_s
        self.dropped = 0
        """Messages of other generations that were thrown away."""
        self._changed = threading.Condition()
        self._messages: dict[tuple[int, int], deque[memoryview]] = {}
        self._gone: set[int] = set()
        self._failure: ExchangeError | None = None

    @property
    def failure(self) -> ExchangeError | None:
        """What ended the exchange, if anything did."""
        return self._failure

    def check(self) -> None:
        """Raises what ended the exchange, if anything did."""
        if self._failure is not None:
            raise copy.copy(self._failure)  # each waiter gets its own, with its own traceback

    def put(self, generation: int, source: int, tag: int, message: memoryview) -> None:
        """Keeps a message, or drops it when it is of another generation."""
        with self._changed:
            if generation != self.generation:
                self.dropped += 1
                return
            self._messages.setdefault((source, tag), deque()).append(message)
            self._changed.notify_all()

    def take(self, source: int, tag: int) -> memoryview:
        """The oldest message of `source` with `tag`; waits at most `deadline_s` seconds for it."""
        key = (source, tag)
        start = time.monotonic()
        with self._changed:
            while True:
                self.check()
                queue = self._messages.get(key)
                if queue:
                    message = queue.popleft()
                    if not queue:
                        del self._messages[key]
                    return message
                if source in self._gone:
                    raise PeerLost(self.rank, source, "it left the group before it sent what was waited for")
                waited = time.monotonic() - start
                if waited >= self.deadline_s:
                    raise ExchangeTimeout(self.rank, source, tag, waited)
                self._changed.wait(self.deadline_s - waited)

    def take_into(self, source: int, tag: int, out: Buffer) -> None:
        """Like `take`, copied into `out`, which must be exactly as long (`ValueError` if not)."""
        target = as_bytes(out)
        message = self.take(source, tag)
        if target.nbytes != message.nbytes:
            raise ValueError(f"rank {source} sent {message.nbytes} bytes where {target.nbytes} were expected")
        # NumPy copies without holding the interpreter's lock, memoryviews would keep it.
        np.copyto(np.frombuffer(target, np.uint8), np.frombuffer(message, np.uint8))

    def leave(self, source: int) -> None:
        """Notes that `source` left in order and will send nothing more."""
        with self._changed:
            self._gone.add(source)
            self._changed.notify_all()

    def has_left(self, source: int) -> bool:
        """Whether `source` has left in order."""
        return source in self._gone

    def fail(self, failure: ExchangeError) -> bool:
        """Ends every wait with `failure`; False when something had ended them before."""
        with self._changed:
            if self._failure is not None:
                return False
            self._failure = failure
            self._changed.notify_all()
            return True
