"""A copy of all that a service keeps, made while it runs, and its way back. Used by `gradwire backup` and `gradwire restore`.

    <target>/manifest.json     what was copied, with the sha256 and size of every file; written last
    <target>/store.db          the job store's SQLite file, or store.dump: what pg_dump wrote
    <target>/jobs, blobs       checkpoints, code, receipts; uploaded bytes

Checkpoints are copied before the store and blobs after it: no checkpoint is newer than its job's row (steps between would have no
events), and no row names a blob that was not there yet. The folder is written aside and renamed when it is whole.
"""

import hashlib
import json
import os
import secrets
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, Engine, func, inspect, select

import gradwire
from gradwire.services import schema
from gradwire.services.connections import open_engine, shown, transaction
from gradwire.services.home import Home
from gradwire.services.postgresql_tools import dump, load

MANIFEST = "manifest.json"
FORMAT = 1
CHUNK_BYTES = 1024 * 1024
_SQLITE, _POSTGRESQL = "store.db", "store.dump"
# Of a job's folder: what belongs to processes that run now, and what is half written (names with a dot).
_LEFT_OUT = ("attempts", "running.lock", "newest")


class BackupError(Exception):
    """A backup that can't be made, or not be restored; the message says what to do."""


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """A file of a backup, by its path there."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds. `store` is the kind of its store, `version` that of the tables; `complete` is False for one of the store alone."""

    format: int
    gradwire: str
    store: str
    version: int
    time: datetime
    complete: bool
    jobs: int
    events: int
    files: tuple[CopiedFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def back_up(home: Path, store: URL | None, target: Path, complete: bool = True) -> Backup:
    """Copies a home's store, and with `complete` its jobs' checkpoints and code and its blobs, to a new folder.

    The service may run meanwhile, or not. Raises BackupError, OSError.
    """
    home, target = home.expanduser().absolute(), target.expanduser().absolute()
    if os.path.lexists(target):
        raise BackupError(f"{target} is there already: name a folder that is not")
    if store is None and not (home / "jobs.db").is_file():
        raise BackupError(
            f"there is no job store in {home}: name the service's home with --home, or its store with --store"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.parent / f".{target.name}-{secrets.token_hex(4)}"
    aside.mkdir(mode=0o700)
    try:
        if complete:
            _copy_jobs(home / "jobs", aside / "jobs")
        counted = (
            _copy_file(home / "jobs.db", aside / _SQLITE)
            if store is None
            else _dump(store, aside / _POSTGRESQL)
        )
        if complete:
            _copy_tree(home / "blobs", aside / "blobs", ("partial",))
        files = tuple(_listed(aside))
        kind = "sqlite" if store is None else "postgresql"
        made = Backup(
            FORMAT, gradwire.__version__, kind, counted[0], datetime.now(UTC), complete, *counted[1:], files
        )
        text = json.dumps({**asdict(made), "time": made.time.isoformat()}, indent=1)
        _write(aside / MANIFEST, text.encode())
        for folder in [aside, *(path for path in aside.rglob("*") if path.is_dir())]:
            _sync(folder)
        os.rename(aside, target)
        _sync(target.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return made


def restore(source: Path, home: Path, store: URL | None) -> Backup:
    """Puts a backup into a home, and a PostgreSQL database where it has one's store, neither of which may hold anything yet.

    Every file is checked against the manifest first. Jobs that ran go on from their newest checkpoint when a service is started.
    Raises BackupError, HomeInUseError, OSError, StorageError.
    """
    source = source.expanduser().absolute()
    found = read_manifest(source)
    if (found.store == "postgresql") != (store is not None):
        kind = (
            "a PostgreSQL database: name an empty one with --store"
            if store is None
            else "a SQLite file: leave --store out"
        )
        raise BackupError(f"{source} holds a store that was {kind}")
    _check(source, found)
    held = Home(home, "restore" if store is not None else "")
    try:
        for name in ("jobs.db", "jobs", "blobs"):
            path = held.path / name
            if path.is_file() or (path.is_dir() and any(path.iterdir())):
                raise BackupError(f"{path} is there already: restore into a home that holds nothing")
        if store is not None:
            _load(store, source / _POSTGRESQL)
        for name in ("jobs", "blobs"):
            if (source / name).is_dir():
                _copy_tree(source / name, held.path / name, ())
        if store is None:
            aside = held.path / ".jobs.db"
            aside.unlink(missing_ok=True)
            _copy(source / _SQLITE, aside)
            _forget_lease(open_engine(aside))
            # Last: a home whose store is there was restored whole.
            os.rename(aside, held.store)
            _sync(held.path)
    finally:
        held.close()
    return found


def read_manifest(source: Path) -> Backup:
    """What a backup says that it holds. Raises BackupError."""
    try:
        told = json.loads((source / MANIFEST).read_text())
        if told["format"] != FORMAT:
            raise BackupError(
                f"{source} is a backup of format {told['format']}; this gradwire reads format {FORMAT}"
            )
        files = tuple(CopiedFile(**file) for file in told.pop("files"))
        backup = Backup(**{**told, "time": datetime.fromisoformat(told["time"])}, files=files)
    except FileNotFoundError:
        raise BackupError(f"{source} is no backup: it has no {MANIFEST}") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackupError(f"{source / MANIFEST} is damaged: {error}") from error
    for file in files:
        parts = Path(file.path).parts
        if (
            Path(file.path).is_absolute()
            or ".." in parts
            or parts[0] not in ("jobs", "blobs", _SQLITE, _POSTGRESQL)
        ):
            raise BackupError(f"{source / MANIFEST} names {file.path!r}, which is no file of a backup")
    return backup


def _check(source: Path, backup: Backup) -> None:
    there = {str(path.relative_to(source)) for path in _files(source)} - {MANIFEST}
    listed = {file.path for file in backup.files}
    if wrong := sorted(there ^ listed):
        how = "is missing" if wrong[0] in listed else "is not in its manifest"
        raise BackupError(f"{source} is damaged: {wrong[0]} {how}")
    for file in backup.files:
        size, sha256 = _sum(source / file.path)
        if (size, sha256) != (file.size, file.sha256):
            raise BackupError(f"{source} is damaged: {file.path} has other bytes than its manifest says")


def _copy_file(path: Path, target: Path) -> tuple[int, int, int]:
    """Copies a SQLite store that may be written meanwhile; returns its version, jobs and events."""
    _write(target, b"")
    with closing(sqlite3.connect(path, timeout=10)) as old, closing(sqlite3.connect(target)) as new:
        # All pages in one step: one snapshot, which does not keep the service from writing.
        old.backup(new)
        # One file, without a log beside it.
        new.execute("PRAGMA journal_mode=DELETE")
        if (problem := new.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            raise BackupError(f"{path} is damaged: {problem}")
        counts = [new.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("jobs", "events")]
        version = new.execute("SELECT version FROM store_version").fetchone()[0]
    _sync(target)
    return version, counts[0], counts[1]


def _dump(store: URL, target: Path) -> tuple[int, int, int]:
    engine = open_engine(store)
    try:
        if not inspect(engine).has_table(schema.store_version.name):
            raise BackupError(f"{shown(store)} holds no job store")
        dump(store, target)
        # Counted after the dump, which may hold fewer: what counts is that none is missing that it was asked for.
        with engine.connect() as connection:
            version = connection.execute(select(schema.store_version.c.version)).scalar_one()
            counts = [
                connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in (schema.jobs, schema.events)
            ]
    finally:
        engine.dispose()
    _sync(target)
    return version, counts[0], counts[1]


def _load(store: URL, source: Path) -> None:
    engine = open_engine(store)
    if names := inspect(engine).get_table_names():
        engine.dispose()
        raise BackupError(
            f"{shown(store)} is not empty (it has a table {names[0]}): restore into an empty database"
        )
    load(store, source)
    _forget_lease(engine)


def _forget_lease(engine: Engine) -> None:
    """Nobody schedules on what was restored, and what an old scheduler still writes is refused."""
    try:
        leases = schema.leases
        if inspect(engine).has_table(leases.name):
            with transaction(engine) as connection:
                connection.execute(
                    leases.update().values(holder="", address="", expires_us=0, token=leases.c.token + 1)
                )
    finally:
        engine.dispose()


def _copy_jobs(jobs: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    for job in sorted(jobs.glob("*")) if jobs.is_dir() else ():
        if not job.is_symlink() and job.is_dir():
            _copy_tree(job, target / job.name, _LEFT_OUT)


def _copy_tree(source: Path, target: Path, left_out: tuple[str, ...]) -> None:
    """Copies plain files and folders, and nothing else that user code may have left. What is removed meanwhile is left out."""
    if not source.is_dir():
        return
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    for entry in sorted(os.scandir(source), key=lambda entry: entry.name):
        half = entry.name.startswith(".tmp-") and (left_out or source.name == "checkpoints")
        if entry.name in left_out or half:
            continue
        try:
            if entry.is_dir(follow_symlinks=False):
                _copy_tree(Path(entry.path), target / entry.name, ())
            elif entry.is_file(follow_symlinks=False):
                _copy(Path(entry.path), target / entry.name)
        except FileNotFoundError:
            # A checkpoint of which a file is gone is being removed: newer ones are there.
            (target / entry.name).unlink(missing_ok=True)
            if target.name.startswith("step-"):
                shutil.rmtree(target)
                return


def _copy(source: Path, target: Path) -> None:
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as old:
        if not stat.S_ISREG(os.fstat(old.fileno()).st_mode):
            return
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as new:
            shutil.copyfileobj(old, new, CHUNK_BYTES)
            new.flush()
            os.fsync(new.fileno())


def _write(path: Path, body: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
        out.write(body)
        out.flush()
        os.fsync(out.fileno())


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir())


def _listed(folder: Path) -> Iterator[CopiedFile]:
    for path in _files(folder):
        yield CopiedFile(str(path.relative_to(folder)), *_sum(path))


def _sum(path: Path) -> tuple[int, str]:
    if path.is_symlink() or not path.is_file():
        raise BackupError(f"{path} is no plain file")
    size, digest = 0, hashlib.sha256()
    with open(path, "rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            size += len(chunk)
            digest.update(chunk)
    return size, digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
