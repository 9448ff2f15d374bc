"""One thread that makes every change to the job store, many changes to one commit.

Callers hand in a function of the connection and get a future. The thread takes all that wait, runs each
under a savepoint inside one transaction, commits (one sync for all), and only then answers. A change that
raises undoes itself alone; a commit that fails (disk full) fails all of its group, and nothing of it was kept.
"""

import queue
import threading
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
        done: list[tuple[_Change[Any], Any]] = []
        failed: list[tuple[_Change[Any], BaseException]] = []
        reach("taken")
        try:
            begin(connection)
            reach("begun")
            # The driver's own cursor: two savepoints a change are two thirds of the cost through SQLAlchemy.
            cursor = connection.connection.cursor()
            cursor.execute("SAVEPOINT change")
            for change in group:
                try:
                    result = change.apply(connection)
                except DBAPIError as error:
                    cursor.execute("ROLLBACK TO SAVEPOINT change")
                    failed.append((change, StorageError(f"the job store could not write: {error.orig}")))
                except Exception as error:
                    cursor.execute("ROLLBACK TO SAVEPOINT change")
                    failed.append((change, error))
                else:
                    done.append((change, result))
                self._next_savepoint(cursor)
                reach("applied")
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
        if done:
            self._committed([result for _, result in done])
        reach("told")
        for change, result in done:
            change.future.set_result(result)
            reach("answered")
        for change, problem in failed:
            change.future.set_exception(problem)

    def _next_savepoint(self, cursor: Any) -> None:
        if self._shared:
            # One round trip.
            cursor.execute("RELEASE SAVEPOINT change; SAVEPOINT change")
        else:
            cursor.execute("RELEASE SAVEPOINT change")
            cursor.execute("SAVEPOINT change")
