"""One thread that makes every change to the job store, many changes to one commit.

Callers hand in a function of the connection, which may be called twice, and get a future. The thread takes all that wait,
runs them inside one transaction, commits (one sync for all), and only then answers. A change that raises is undone
alone; a commit that fails (disk full) fails all of its group, and nothing of it was kept.
"""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from gradwire.services.connections import begin, commit, is_shared, roll_back
from gradwire.services.errors import StorageError, TooManyError
from gradwire.services.kill_points import reach

T = TypeVar("T")
GROUP_LIMIT = 256
"""Changes in one commit: beyond this a commit's own time grows and the gain per change is below 1 µs."""
WAITING_LIMIT = 20_000


class StoreClosedError(Exception):
    """A change came after the writer was closed."""


class _HalfWrittenError(Exception):
    """A change wrote something and then raised."""


@dataclass(slots=True)
class _Change(Generic[T]):
    apply: Callable[[Connection], T]
    future: "Future[T]"


class Writer:
    """The only writer of a store in this process. `submit` may be called from any thread."""

    def __init__(self, engine: Engine, committed: Callable[[list[Any]], None]) -> None:
        """`committed` is called in the writer's thread with the results of each commit, before the answers."""
        self._engine = engine
        self._shared = is_shared(engine)
        self._committed = committed
        self.measure: Callable[[float, int], None] = lambda seconds, changes: None
        """Told how long each commit took, and how many changes it made."""
        self._queue: queue.SimpleQueue[_Change[Any] | None] = queue.SimpleQueue()
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, apply: Callable[[Connection], T]) -> "Future[T]":
        """Queues a change. Its future can't be cancelled: a caller that goes away never cuts a commit."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise StoreClosedError("the job store is closed")
            if self._queue.qsize() > WAITING_LIMIT:
                raise TooManyError(
                    f"more than {WAITING_LIMIT} changes wait to be stored: try again in a second",
                    {"limit": "waiting_changes"},
                )
            self._queue.put(_Change(apply, future))
        return future

    @property
    def waiting(self) -> int:
        """Changes that no commit has taken yet."""
        return self._queue.qsize()

    def close(self) -> None:
        """Commits all that waits, then ends the thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        with self._engine.connect() as connection:
            while True:
                group, last = self._take()
                if group:
                    self._commit(connection, group)
                if last:
                    return

    def _take(self) -> tuple[list[_Change[Any]], bool]:
        group: list[_Change[Any]] = []
        item = self._queue.get()
        while True:
            if item is None:
                return group, True
            group.append(item)
            if len(group) == GROUP_LIMIT:
                return group, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return group, False

    def _commit(self, connection: Connection, group: list[_Change[Any]]) -> None:
        reach("taken")
        began = time.perf_counter()
        try:
            try:
                done, failed = self._applied(connection, group, savepoints=self._shared)
            except _HalfWrittenError:
                roll_back(connection)
                done, failed = self._applied(connection, group, savepoints=True)
            commit(connection)
        except Exception as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            roll_back(connection)
            message = f"the job store could not write: {cause}. Is the disk full?"
            if self._shared:
                # Where the connection broke at the commit, the change may be there. Request ids and numbers of reports
                # make asking again harmless.
                message = f"the job store could not write, or not say that it has: {cause}"
            failed = [(change, StorageError(message)) for change in group]
            done = []
        # Emits nothing; a connection that was lost is made again at its next use.
        connection.rollback()
        reach("committed")
        self.measure(time.perf_counter() - began, len(done))
        if done:
            self._committed([result for _, result in done])
        reach("told")
        for change, result in done:
            change.future.set_result(result)
            reach("answered")
        for change, problem in failed:
            change.future.set_exception(problem)

    def _applied(
        self, connection: Connection, group: list[_Change[Any]], savepoints: bool
    ) -> tuple[list[tuple[_Change[Any], Any]], list[tuple[_Change[Any], BaseException]]]:
        """Begins a transaction and runs the changes: (those that were made, with their results; those that raised).

        Savepoints are a quarter of a submit's statements and hardly ever used: without them a change that raises before it has written
        needs none, and one that raises later makes this raise _HalfWrittenError.
        """
        done: list[tuple[_Change[Any], Any]] = []
        failed: list[tuple[_Change[Any], BaseException]] = []
        begin(connection)
        reach("begun")
        # The driver's own cursor: two savepoints a change are two thirds of the cost through SQLAlchemy.
        cursor = connection.connection.cursor()
        if savepoints:
            cursor.execute("SAVEPOINT change")
        for change in group:
            before = None if savepoints else _rows_written(connection)
            try:
                result = change.apply(connection)
            except Exception as error:
                if savepoints:
                    cursor.execute("ROLLBACK TO SAVEPOINT change")
                elif _rows_written(connection) != before:
                    raise _HalfWrittenError from error
                told = error
                if isinstance(error, DBAPIError):
                    told = StorageError(f"the job store could not write: {error.orig}")
                failed.append((change, told))
            else:
                done.append((change, result))
            if savepoints:
                self._next_savepoint(cursor)
            reach("applied")
        return done, failed

    def _next_savepoint(self, cursor: Any) -> None:
        if self._shared:
            # One round trip.
            cursor.execute("RELEASE SAVEPOINT change; SAVEPOINT change")
        else:
            cursor.execute("RELEASE SAVEPOINT change")
            cursor.execute("SAVEPOINT change")


def _rows_written(connection: Connection) -> int:
    """Rows that a connection to SQLite has written so far."""
    written: int = connection.connection.driver_connection.total_changes  # type: ignore[union-attr]
    return written
