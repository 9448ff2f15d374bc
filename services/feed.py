"""Brings new events to everyone who watches, from one reading of the log. Used by faces/, on its loop.

Each watched job has a tail of its newest events, filled as they are committed, and shared by its watchers; a
watcher that is further behind reads the store. No lock is held and no transaction is open while it waits.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from gradwire.services.errors import DrainingError, TooManyError
from gradwire.services.store import Change, StoredEvent

TAIL = 1024
"""Events of a watched job kept in memory."""
HEARTBEAT_S = 10.0
WATCHERS_LIMIT = 10_000

ReadEvents = Callable[[str, int], Awaitable[tuple[list[StoredEvent], bool]]]


class _Tail:
    """The newest events of one job, since someone began to watch it."""

    def __init__(self) -> None:
        self.events: deque[StoredEvent] = deque(maxlen=TAIL)
        self.ended = False
        self.watchers = 0
        self.waiting: list[asyncio.Future[None]] = []

    def after(self, number: int) -> list[StoredEvent] | None:
        """The events after `number`, [] where there are none, None where the tail does not reach back so far."""
        events = self.events
        new = events[-1].number - number if events else 0
        if new <= 0:
            return []
        # Numbers have no gaps. From the end, where a deque is quick: a thousand watchers ask after every event.
        if new > len(events) or events[-new].number != number + 1:
            return None
        return [events[k] for k in range(-new, 0)]

    def wake(self) -> None:
        """Makes every watcher look."""
        waiting, self.waiting = self.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def news(self) -> "asyncio.Future[None]":
        """Done when there is something to look at, at the latest after half a heartbeat."""
        future = asyncio.get_running_loop().create_future()
        self.waiting.append(future)
        return future


class EventFeed:
    """`publish` takes what the store has committed; `batches` is what a watcher gets."""

    def __init__(self, read: ReadEvents, heartbeat_s: float = HEARTBEAT_S) -> None:
        """`read` is Store.events, run aside; it must see everything that was published before it was called."""
        self._read, self._heartbeat_s = read, heartbeat_s
        self._beat: asyncio.TimerHandle | None = None
        self._tails: dict[str, _Tail] = {}
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._watchers = 0

    @property
    def watchers(self) -> int:
        """Open watches."""
        return self._watchers

    def publish(self, changes: Sequence[Change]) -> None:
        """Takes committed changes, in order."""
        for change in changes:
            tail = self._tails.get(change.job.id)
            if tail is not None and change.events:
                tail.events.extend(change.events)
                # On a store that others write too the row may be newer than the last of these events.
                tail.ended = change.job.state.terminal and tail.events[-1].number >= change.job.last_event
                tail.wake()

    async def batches(self, job_id: str, after: int) -> AsyncIterator[tuple[list[StoredEvent], int]]:
        """Yields (events, cursor) in order without gaps, and ([], cursor) when none came for half a heartbeat to a whole one.

        Ends after the event of the terminal state. Raises DrainingError when the service stops, and what
        Store.events raises.
        """
        if self._watchers >= WATCHERS_LIMIT:
            raise TooManyError(
                f"{WATCHERS_LIMIT} clients watch already: try again later", {"limit": "watchers"}
            )
        tail = self._tails.setdefault(job_id, _Tail())
        tail.watchers += 1
        self._watchers += 1
        self._idle.clear()
        if self._beat is None:
            self._wake_all()
        try:
            # The tail exists before the store is read, so an event is in one of them at least.
            cursor, behind, said_at = after, True, time.monotonic()
            while True:
                if self._draining:
                    raise DrainingError(
                        f"the service is stopping: watch again from event {cursor} when it is back",
                        {"job": job_id, "cursor": str(cursor)},
                    )
                events, ended = None if behind else tail.after(cursor), False
                if events is None:
                    events, ended = await self._read(job_id, cursor)
                    behind = bool(events) and not ended
                elif events:
                    ended = tail.ended
                if events:
                    cursor, said_at = events[-1].number, time.monotonic()
                    yield events, cursor
                if ended:
                    return
                if not events and tail.after(cursor) == []:
                    await tail.news()
                    if tail.after(cursor) == [] and time.monotonic() - said_at > self._heartbeat_s / 2:
                        said_at = time.monotonic()
                        yield [], cursor
        finally:
            tail.watchers -= 1
            self._watchers -= 1
            if tail.watchers == 0:
                self._tails.pop(job_id, None)
            if self._watchers == 0:
                self._idle.set()
                if self._beat is not None:
                    self._beat.cancel()
                    self._beat = None

    def _wake_all(self) -> None:
        """One timer for all watchers, where each having its own would cost more than an event does."""
        for tail in self._tails.values():
            tail.wake()
        self._beat = asyncio.get_running_loop().call_later(self._heartbeat_s / 2, self._wake_all)

    async def drain(self, wait_s: float) -> None:
        """Ends every watch with DrainingError, and returns when they have ended, after `wait_s` seconds at most."""
        self._draining = True
        for tail in self._tails.values():
            tail.wake()
        try:
            await asyncio.wait_for(self._idle.wait(), wait_s)
        except TimeoutError:
            pass
