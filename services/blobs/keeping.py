"""The blobs of a service: uploads taken, checked and kept; found, listed, deleted, swept. Called by faces/blobs.py.

Bytes lie at `folder/AB/ABCD…` by their sha256, once for all owners; who may use them is a row for each owner. A row is had by
sending all bytes, also where the service has them from somebody else: naming a hash neither shows nor opens anything.
All methods block, on the disk or on the store's writer.
"""

import functools
import logging
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Row

from gradwire.services import records as r
from gradwire.services.blobs import rows
from gradwire.services.blobs.naming import path_of
from gradwire.services.blobs.partial import Partial, PartialFiles
from gradwire.services.connections import from_us
from gradwire.services.errors import (
    BlobDamagedError,
    BlobNotFoundError,
    DrainingError,
    InvalidRequestError,
    StorageError,
    Violation,
)
from gradwire.services.security import audit
from gradwire.services.security.callers import Caller
from gradwire.services.store import Store
from gradwire.services.writer import StoreClosedError

log = logging.getLogger(__name__)
T = TypeVar("T")
GIB = 1024**3
LIMIT_BYTES = 64 * GIB
STALE_S = 24 * 3600.0
SWEEP_S = 3600.0
_SPARE_BYTES = 64 * 1024 * 1024
"""What an upload leaves free on the disk: the job store must go on."""


class Blobs:
    """The blobs below `folder`. `check_room(connection, owner, more)` raises where an owner may not store so many bytes more."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        limit_bytes: int = LIMIT_BYTES,
        check_room: Callable[[Connection, str, int], None] = lambda connection, owner, more: None,
    ) -> None:
        self._store, self.folder, self._limit = store, folder, limit_bytes
        self._check_room = check_room
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / "partial").mkdir(mode=0o700, exist_ok=True)
        self._partial = PartialFiles(folder / "partial")
        self._closed = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep_often, name="blob-sweeper", daemon=True)

    def start(self) -> None:
        """Sweeps what earlier services left, now and from time to time."""
        self._sweeper.start()

    def close(self) -> None:
        """Ends the sweeps."""
        self._closed.set()
        if self._sweeper.is_alive():
            self._sweeper.join()

    def begin(self, by: Caller, sha256: str, size: int, offset: int) -> "Upload | r.Blob":
        """An upload to be written on from `offset`, or the blob where its owner has it already.

        Raises InvalidRequestError, UploadOffsetError, StorageError, or what `check_room` raises.
        """
        if size > self._limit:
            raise InvalidRequestError(
                [Violation("size", f"expected at most {self._limit} bytes (serve --max-blob), not {size}")]
            )

        def enter(connection: Connection) -> "Row[Any] | None":
            row = rows.find(connection, by.owner, sha256)
            if row is not None and row.whole:
                return row
            self._check_room(connection, by.owner, size - (row.size if row is not None else 0))
            rows.put(connection, by.owner, sha256, size, False, self._now())
            return None

        self._check_disk(size - offset)
        row = self._change(enter)
        if row is not None:
            if row.size != size:
                raise InvalidRequestError(
                    [Violation("size", f"expected {row.size}, the bytes of this blob, not {size}")]
                )
            return self._blob(row)
        try:
            partial = self._partial.claim(by.owner, sha256, size, offset)
        except OSError as error:
            raise _storage_error(error) from error
        upload = Upload(self, by, sha256, partial)
        try:
            partial.go_on_at(offset)
        except BaseException as error:
            upload.close()
            if isinstance(error, OSError):
                raise _storage_error(error) from error
            raise
        return upload

    def find(self, by: Caller, sha256: str) -> r.Blob:
        """What there is of a blob of the caller. Raises BlobNotFoundError."""
        with self._store.engine.connect() as connection:
            row = rows.find(connection, by.owner, sha256)
        if row is None:
            raise BlobNotFoundError.of(sha256)
        return self._blob(row)

    def page(self, by: Caller, count: int, before: int) -> tuple[list[r.Blob], int]:
        """The caller's newest blobs entered before number `before`, and the number to go on with, 0 at the end."""
        with self._store.engine.connect() as connection:
            found = rows.page(connection, by.owner, count + 1, before)
        following = int(found[count - 1].sequence) if len(found) > count else 0
        return [self._blob(row) for row in found[:count]], following

    def usable(self, owner: str, sha256: str) -> bool:
        """Whether a new job of this owner may name it: a whole blob of its own, or one that another job of its own keeps."""
        with self._store.engine.connect() as connection:
            return rows.usable(connection, owner, sha256)

    def file(self, by: Caller, sha256: str) -> tuple[Path, int]:
        """Where a whole blob of the caller lies, and its size. Raises BlobNotFoundError."""
        with self._store.engine.connect() as connection:
            row = rows.find(connection, by.owner, sha256)
        if row is None:
            raise BlobNotFoundError.of(sha256)
        if not row.whole:
            raise BlobNotFoundError.of(sha256, "its upload has not come to an end")
        return path_of(self.folder, sha256), int(row.size)

    def file_of_job(self, job_id: str, sha256: str) -> tuple[Path, int] | None:
        """Where a blob that a job keeps lies, and its size; None where it keeps no such one."""
        with self._store.engine.connect() as connection:
            if not rows.kept_by_job(connection, job_id, sha256):
                return None
        path = path_of(self.folder, sha256)
        return path, path.stat().st_size

    def delete(self, by: Caller, sha256: str) -> None:
        """Removes the caller's blob, and the bytes where nobody else and no job needs them. Raises BlobNotFoundError."""

        def remove(connection: Connection) -> None:
            if rows.find(connection, by.owner, sha256) is None:
                raise BlobNotFoundError.of(sha256)
            rows.remove(connection, by.owner, sha256)
            audit.note(connection, self._now(), by, "DeleteBlob", sha256)

        self._change(remove)
        self._partial.remove(by.owner, sha256)
        self.collect(sha256)

    def collect(self, sha256: str) -> None:
        """Removes the bytes of a blob that nobody needs."""

        def look(connection: Connection) -> None:
            # Within a transaction, because uploads of the same bytes end in one as well.
            if not rows.needed(connection, sha256):
                path_of(self.folder, sha256).unlink(missing_ok=True)

        self._change(look)

    def sweep(self, stale_s: float = STALE_S) -> None:
        """Removes uploads that nobody went on with for so long, and bytes that belong to nobody."""
        self._partial.sweep(stale_s)
        with self._store.engine.connect() as connection:
            old = rows.unfinished(connection, self._now() - timedelta(seconds=stale_s))
        for row in old:
            if not self._partial.any_of(row.owner, row.sha256):
                self._change(functools.partial(self._forget, owner=row.owner, sha256=row.sha256))
        for folder in self.folder.iterdir():
            if len(folder.name) != 2:
                continue
            for path in list(folder.iterdir()):
                with self._store.engine.connect() as connection:
                    needed = rows.needed(connection, path.name)
                if not needed:
                    self.collect(path.name)

    def keep(self, upload: "Upload") -> r.Blob:
        """Ends an upload of which all bytes came. Raises BlobDamagedError, StorageError."""
        by, partial, sha256 = upload.by, upload.partial, upload.sha256
        if (found := partial.sha256()) != sha256:
            partial.remove()
            self._change(functools.partial(self._forget, owner=by.owner, sha256=sha256))
            raise BlobDamagedError(
                f"the bytes that came have the sha256 {found}, not {sha256}: nothing of them is kept, send them again from 0",
                {"sha256": sha256, "found": found},
            )
        target = path_of(self.folder, sha256)

        def enter(connection: Connection) -> None:
            # Its last other owner may have gone since it was linked; nobody can go now.
            _link(partial.path, target)
            known = rows.find(connection, by.owner, sha256)
            rows.put(connection, by.owner, sha256, partial.size, True, self._now())
            if known is None or not known.whole:
                audit.note(connection, self._now(), by, "UploadBlob", sha256)

        try:
            partial.sync()
            _link(partial.path, target)
            self._change(enter)
        except OSError as error:
            raise _storage_error(error) from error
        partial.remove()
        self._partial.remove(by.owner, sha256)
        return self.find(by, sha256)

    def _forget(self, connection: Connection, owner: str, sha256: str) -> None:
        """Removes the row of an upload that came to nothing."""
        row = rows.find(connection, owner, sha256)
        if row is not None and not row.whole and not self._partial.any_of(owner, sha256):
            rows.remove(connection, owner, sha256)

    def _blob(self, row: "Row[Any]") -> r.Blob:
        received = int(row.size)
        if not row.whole:
            # All bytes are there only when they are checked as well.
            came = self._partial.received(row.owner, row.sha256, row.size)
            received = min(came, max(0, row.size - 1))
        return r.Blob(row.sha256, int(row.size), received, from_us(row.create_time_us))

    def _check_disk(self, more: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if more + _SPARE_BYTES > free:
            raise StorageError(
                f"the service's disk has {free} bytes free, too few for {more} more: delete blobs or jobs, or ask its administrator",
                {"free": str(free), "needed": str(more)},
            )

    def _change(self, apply: Callable[[Connection], T]) -> T:
        try:
            return self._store.write(apply).result()
        except StoreClosedError:
            raise DrainingError("the service is stopping: go on when it is back") from None

    def _sweep_often(self) -> None:
        while True:
            try:
                self.sweep()
            except Exception:
                if self._closed.is_set():
                    return
                log.exception("sweeping blobs failed; trying again later")
            if self._closed.wait(SWEEP_S):
                return

    def _now(self) -> datetime:
        return datetime.now(UTC)


class Upload:
    """One upload that is under way. `write` and `finish` by one thread at a time, `close` after them."""

    def __init__(self, blobs: Blobs, by: Caller, sha256: str, partial: Partial) -> None:
        self._blobs, self.by, self.sha256, self.partial = blobs, by, sha256, partial

    @property
    def received(self) -> int:
        """Bytes that came so far, those before this upload included."""
        return self.partial.received

    def write(self, data: bytes) -> None:
        """Adds bytes. Raises StorageError where the disk refuses, and then none of them is there."""
        try:
            self.partial.write(data)
        except OSError as error:
            raise _storage_error(error) from error

    def finish(self) -> r.Blob:
        """The blob: kept where all bytes came, else as it stands. Raises BlobDamagedError, StorageError."""
        if self.received == self.partial.size:
            return self._blobs.keep(self)
        self.close()
        return self._blobs.find(self.by, self.sha256)

    def close(self) -> None:
        """Lets its file go; what came stays for whoever goes on."""
        self.partial.close()


def _link(source: Path, target: Path) -> None:
    """Gives the file its name among the whole ones, on disk when it returns."""
    if target.exists():
        return
    try:
        target.parent.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        _sync_folder(target.parent.parent)
    with suppress(FileExistsError):
        os.link(source, target)
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _storage_error(error: OSError) -> StorageError:
    return StorageError(
        f"the service could not write the blob ({error.strerror or error}): what came before stays, try again later"
    )
