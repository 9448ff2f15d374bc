"""Connections to the job store's SQLite file. Used by store.py and whatever else reads or writes that file."""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def open_engine(path: Path) -> Engine:
    """The engine of the store at `path`, which is made, for its owner's eyes alone, where there is none."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # SQLite gives the files beside it the permissions of this one. Whoever does not own it can't change them.
    with contextlib.suppress(PermissionError):
        os.fchmod(descriptor, 0o600)
    os.close(descriptor)
    engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT", pool_size=8, max_overflow=8)
    event.listen(engine, "connect", _prepare)
    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A connection whose changes are all on disk when the block ends, or undone where it raises."""
    with engine.connect() as connection:
        # A deferred BEGIN would fail at once with BUSY where another connection writes, without waiting.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def to_us(time: datetime) -> int:
    """A time as it is stored: microseconds since 1970."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def from_us(time_us: int) -> datetime:
    """A stored time."""
    return _EPOCH + timedelta(microseconds=time_us)


def _prepare(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        # With NORMAL a power cut may take back commits that were answered.
        "synchronous=FULL",
        "busy_timeout=10000",
        "foreign_keys=ON",
        "journal_size_limit=67108864",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
