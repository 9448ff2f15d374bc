"""Tells whoever listens what was committed to a store, in the order of commits. Used by store.py.

On SQLite the writer of the only process tells it. On PostgreSQL any front end commits, and what came after the last revision
and event that were seen is read: by the writer after each commit of this process, before it answers, and by a thread after a
NOTIFY of any, and every `POLL_S` seconds without one, which is all that a lost notification costs. Commits come in order
(connections.begin), so reading on skips none.
"""

import logging
import os
import select
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from gradwire.services.connections import CHANNEL, is_shared, serve_version, snapshot
from gradwire.services.errors import StorageError
from gradwire.services.migrations import VersionError, check_version

log = logging.getLogger(__name__)
T = TypeVar("T")
POLL_S = 0.5
RETRY_S = 0.5

Position = tuple[int, int]
"""The last revision of jobs and the last event that were seen."""
Read = Callable[[Connection, Position], tuple[Sequence[T], Position]]


class News(Generic[T]):
    """Who listens to a store's commits."""

    def __init__(self, engine: Engine, now: Callable[[Connection], Position], read: Read[T]) -> None:
        """`now` reads the position of the newest commit, `read` what came after a position. Both are of a shared store alone."""
        self._engine, self._now, self._read = engine, now, read
        self._shared = is_shared(engine)
        self._listeners: list[tuple[int, Callable[[Sequence[T]], None]]] = []
        self._follower: Follower[T] | None = None

    def listen(self, owner: int, listener: Callable[[Sequence[T]], None]) -> None:
        """Calls `listener` after each commit from now on. Raises what Follower raises."""
        self._listeners = [*self._listeners, (owner, listener)]
        if self._shared and self._follower is None:
            self._follower = Follower(self._engine, self._now, self._read, self._tell)

    def leave(self, owner: int) -> None:
        """Tells that owner's listeners nothing more."""
        self._listeners = [each for each in self._listeners if each[0] != owner]

    def committed(self, changes: Sequence[T]) -> None:
        """Takes what this process committed. On a shared store it is told with what others committed, in one order."""
        if not self._shared:
            self._tell(changes)
        elif self._follower is not None:
            self._follower.look()

    def close(self) -> None:
        """Ends following."""
        if self._follower is not None:
            self._follower.close()

    def _tell(self, changes: Sequence[T]) -> None:
        for _, listener in self._listeners:
            try:
                listener(changes)
            except Exception:
                log.exception("a listener of the job store failed")


class Follower(Generic[T]):
    """Calls `tell` with what `read` finds after the position, from the present one on, in a thread of its own."""

    def __init__(
        self,
        engine: Engine,
        now: Callable[[Connection], Position],
        read: Read[T],
        tell: Callable[[Sequence[T]], None],
    ) -> None:
        """Raises StorageError where the database does not answer, VersionError for tables of another version."""
        self._engine, self._read, self._tell = engine, read, tell
        self._stopping = threading.Event()
        self._waking, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._connection: Connection | None = None
        self._lock = threading.Lock()
        try:
            listening = self._listen()
            with snapshot(engine) as connection:
                self._position = now(connection)
        except BaseException:
            self._leave()
            raise
        self._thread = threading.Thread(
            target=self._run, args=(listening,), name="store-follower", daemon=True
        )
        self._thread.start()

    def look(self) -> None:
        """Tells what is new now; where the database does not answer, the thread does it later."""
        with suppress(DBAPIError, StorageError):
            while self._look():
                pass

    def close(self) -> None:
        """Ends the thread."""
        self._stopping.set()
        os.write(self._wake, b"x")
        self._thread.join()
        self._leave()

    def _leave(self) -> None:
        self._drop()
        os.close(self._wake)
        os.close(self._waking)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Its session ends, and with it what it listens to and the lock that it holds.
            connection.invalidate()
            connection.close()

    def _listen(self) -> Any:
        """The driver's connection, which gets a notification of each commit from now on."""
        self._drop()
        self._connection = self._engine.connect()
        serve_version(self._connection)
        check_version(self._engine)
        self._connection.exec_driver_sql(f"LISTEN {CHANNEL}")
        return self._connection.connection.driver_connection

    def _run(self, listening: Any) -> None:
        well = True
        while not self._stopping.is_set():
            try:
                if listening is None:
                    listening = self._listen()
                more = self._look()
                if not well:
                    log.info("the job store answers again")
                    well = True
                if not more:
                    select.select([listening.pgconn.socket, self._waking], [], [], POLL_S)
                # Notifications are taken before the next look: one that comes during it is seen by the next wait.
                listening.pgconn.consume_input()
                while listening.pgconn.notifies() is not None:
                    pass
            except (DBAPIError, StorageError, VersionError, OSError, ValueError) as error:
                self._fall_back(error, well)
                listening, well = None, False
            except Exception as error:
                # The driver's own errors have no name here: it is not imported where there is no PostgreSQL.
                if type(error).__module__.partition(".")[0] != "psycopg":
                    log.exception("following the job store failed; trying again")
                self._fall_back(error, well)
                listening, well = None, False

    def _fall_back(self, error: Exception, well: bool) -> None:
        if well and not self._stopping.is_set():
            log.warning(
                "what others commit is not heard of until the job store answers: %s", str(error).strip()
            )
        self._stopping.wait(RETRY_S)

    def _look(self) -> bool:
        """Tells what is new; True where there may be more."""
        with self._lock:
            with snapshot(self._engine) as connection:
                found, position = self._read(connection, self._position)
            more = position != self._position
            self._position = position
            if found:
                self._tell(found)
        return more
