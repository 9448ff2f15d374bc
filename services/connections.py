"""Connections to the job store: a SQLite file of its own, or a PostgreSQL database by URL. Used by store.py and whatever
else reads or writes it.

Whatever differs between the two stands here and in column types of schema.py; statements and migrations are one for both.
"""

import contextlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, OperationalError

from gradwire.services.errors import StorageError

log = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Where: TypeAlias = Path | URL
"""Where a store is: its SQLite file, or the URL of a PostgreSQL database."""

CHANNEL = "gradwire_changes"
"""What commits to PostgreSQL are announced on (NOTIFY)."""
# "grad" in ASCII: two numbers name an advisory lock, for all that use the database.
_LOCKS = 0x67726164
_WRITING, _SERVING = 1, 2
CONNECT_S = 10
LOCK_S = 10
IDLE_S = 15


class StoreUrlError(ValueError):
    """A URL that names no store; the message never holds a password."""


def parse_store(text: str) -> URL:
    """The URL of a store. Raises StoreUrlError, whose message never holds what may be a password."""
    form = "expected postgresql://USER@HOST/DATABASE"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StoreUrlError(f"{form}, not something else") from None
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise StoreUrlError(
            f"{form}, not {url.drivername}://…; without a URL the store is a file in the home"
        )
    if not url.database:
        raise StoreUrlError(f"{form}: the name of the database is missing")
    if hidden := sorted(name for name in url.query if "password" in name.lower()):
        # It would be shown where the URL is: only the password between user and host is masked.
        raise StoreUrlError(f"{hidden[0]} can't be part of the URL's query: use a password file, passfile=…")
    return url.set(drivername="postgresql+psycopg")


def shown(where: Where) -> str:
    """Where a store is, for people: a password is masked."""
    return str(where) if isinstance(where, Path) else str(where.set(drivername="postgresql"))


def is_shared(engine: Engine) -> bool:
    """True where several processes write the store: on PostgreSQL."""
    return engine.dialect.name == "postgresql"


def open_engine(where: Where) -> Engine:
    """The engine of a store. A file is made, for its owner's eyes alone, where there is none; a database must be there.

    Connections to PostgreSQL are made as they are needed; whatever can't reach it raises StorageError.
    """
    if isinstance(where, Path):
        return _open_file(where)
    try:
        engine = create_engine(
            where,
            isolation_level="AUTOCOMMIT",
            pool_size=8,
            max_overflow=8,
            hide_parameters=True,
            connect_args={
                "connect_timeout": CONNECT_S,
                "application_name": "gradwire",
                # A host that is gone is found out, and a process that stands still within a transaction loses the lock.
                "options": f"-c lock_timeout={LOCK_S}s -c idle_in_transaction_session_timeout={IDLE_S}s "
                "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
            },
        )
    except ModuleNotFoundError as error:
        raise StorageError(
            f"a store on PostgreSQL needs a package that is not installed ({error.name}): pip install 'gradwire[cluster]'"
        ) from error
    event.listen(engine, "connect", _prepare_session)
    event.listen(engine, "handle_error", _tell_of_trouble, retval=True)
    return engine


def _open_file(path: Path) -> Engine:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # SQLite gives the files beside it the permissions of this one. Whoever does not own it can't change them.
    with contextlib.suppress(PermissionError):
        os.fchmod(descriptor, 0o600)
    os.close(descriptor)
    engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT", pool_size=8, max_overflow=8)
    event.listen(engine, "connect", _prepare_file)
    return engine


def begin(connection: Connection) -> None:
    """Begins a transaction that writes, when no other one does.

    All that write the store do so one after the other, whichever process they are in. So numbers that a transaction gives
    (events, revisions of jobs) come in the order of commits, and who reads on from a number never skips one that is committed later.
    """
    if connection.dialect.name == "postgresql":
        # A snapshot that is taken per statement sees what was committed while this one waited for the lock.
        connection.exec_driver_sql(
            f"BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock({_LOCKS}, {_WRITING})"
        )
    else:
        # A deferred BEGIN would fail at once with BUSY where another connection writes, without waiting.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def commit(connection: Connection) -> None:
    """Commits, and wakes whoever waits for news of jobs."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}; COMMIT")
    else:
        connection.exec_driver_sql("COMMIT")


def roll_back(connection: Connection) -> None:
    """Undoes a transaction, however it failed."""
    if connection.invalidated:
        return
    try:
        connection.exec_driver_sql("ROLLBACK")
    except (OperationalError, StorageError):
        # SQLite rolls back by itself on some errors (disk full, I/O), PostgreSQL when the connection is lost.
        if connection.dialect.name == "postgresql":
            connection.invalidate()


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """A connection whose changes are all on disk when the block ends, or undone where it raises."""
    with engine.connect() as connection:
        begin(connection)
        try:
            yield connection
        except BaseException:
            roll_back(connection)
            raise
        commit(connection)


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection on which all statements of the block see one state of the store. For reads, and for short."""
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        else:
            connection.exec_driver_sql("BEGIN DEFERRED")
        try:
            yield connection
        finally:
            roll_back(connection)


def serve_version(connection: Connection) -> None:
    """Says on a connection to PostgreSQL, as long as it lives, that a front end uses the store's tables as they are."""
    connection.exec_driver_sql(f"SELECT pg_advisory_lock_shared({_LOCKS}, {_SERVING})")


def nobody_serves(connection: Connection) -> bool:
    """True where no front end uses the tables of a store on PostgreSQL, nor will before this transaction ends."""
    text = f"SELECT pg_try_advisory_xact_lock({_LOCKS}, {_SERVING})"
    return bool(connection.exec_driver_sql(text).scalar_one())


def others_serve(engine: Engine) -> bool:
    """True where front ends use this store beside the one that asks."""
    if not is_shared(engine):
        return False
    held = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' AND granted "
        f"AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        f"AND classid = {_LOCKS} AND objid = {_SERVING}"
    )
    with engine.connect() as connection:
        return bool(connection.exec_driver_sql(held).scalar_one() > 1)


def to_us(time: datetime) -> int:
    """A time as it is stored: microseconds since 1970."""
    return (time - _EPOCH) // timedelta(microseconds=1)


def from_us(time_us: int) -> datetime:
    """A stored time."""
    return _EPOCH + timedelta(microseconds=time_us)


def _prepare_file(connection: Any, _record: Any) -> None:
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


def _prepare_session(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        # Whatever the server's default: what is answered is on disk. A stricter setting of its own stays.
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
        cursor.execute("SELECT current_setting('fsync')")
        if cursor.fetchone() != ("on",):
            log.warning("PostgreSQL runs with fsync=off: a power cut may take back what was answered")


def _tell_of_trouble(context: ExceptionContext) -> BaseException | None:
    """Makes what says that PostgreSQL is not there, or does not answer, an error that clients try again on."""
    cause = context.original_exception
    names = {each.__name__ for each in type(cause).__mro__}
    if context.is_disconnect or names & _TROUBLE:
        text = str(cause).strip().splitlines() or [type(cause).__name__]
        return StorageError(f"the job store on PostgreSQL does not answer: {text[0]}")
    return None


# Of psycopg, which is imported only where it is used.
_TROUBLE = {"OperationalError", "IdleInTransactionSessionTimeout", "ReadOnlySqlTransaction"}
