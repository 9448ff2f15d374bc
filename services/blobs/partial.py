"""Files of blobs that are on their way: found again, locked, written on. Used by keeping.py.

Each upload has a file of its own, held by a lock of the kernel that ends with its process, so two uploads of the same bytes
at once never meet; one that goes on takes over the longest file that nobody holds.
"""

import fcntl
import hashlib
import os
import secrets
import threading
import time
from pathlib import Path

from gradwire.services.errors import UploadOffsetError

_READ_BYTES = 4 * 1024 * 1024
_SYNC_BYTES = 32 * 1024 * 1024
"""Written out this often while more comes, so that the sync at the end has little left to wait for."""


class Partial:
    """One upload's file, locked. Not for several threads at once."""

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path, self.size = path, size
        self._descriptor = descriptor
        self._digest = hashlib.sha256()
        self._synced = 0
        self.received = 0

    def go_on_at(self, offset: int) -> None:
        """Drops what lies behind `offset` and reads what is before it, for the sum."""
        os.ftruncate(self._descriptor, offset)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while self.received < offset:
            chunk = os.read(self._descriptor, min(_READ_BYTES, offset - self.received))
            if not chunk:
                raise OSError(f"{self.path.name} became shorter while it was read")
            self._digest.update(chunk)
            self.received += len(chunk)

    def write(self, data: bytes) -> None:
        """Adds bytes; when the disk refuses, none of them is there."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            os.ftruncate(self._descriptor, self.received)
            os.lseek(self._descriptor, self.received, os.SEEK_SET)
            raise
        self._digest.update(data)
        self.received += len(data)
        if self.received - self._synced >= _SYNC_BYTES:
            self._synced = self.received
            os.fdatasync(self._descriptor)

    def sha256(self) -> str:
        """Of all bytes so far, hex."""
        return self._digest.hexdigest()

    def sync(self) -> None:
        """Returns when all bytes are on disk."""
        os.fsync(self._descriptor)

    def remove(self) -> None:
        """Removes the file; the descriptor stays until `close`."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets the file go, for whoever goes on with it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class PartialFiles:
    """All of them, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Looking whether a file is free takes its lock for a moment.
        self._lock = threading.Lock()

    def claim(self, owner: str, sha256: str, size: int, offset: int) -> Partial:
        """A file to go on with at `offset`, locked. Raises UploadOffsetError where less came so far."""
        with self._lock:
            best = 0
            for path, length in self._free(owner, sha256, size):
                best = max(best, length)
                if length >= offset and (descriptor := _locked(path)) is not None:
                    return Partial(path, descriptor, size)
            if offset > 0:
                raise UploadOffsetError.of(sha256, offset, best)
            path = self._folder / f"{_prefix(owner, sha256)}{size}-{secrets.token_hex(6)}"
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            return Partial(path, descriptor, size)

    def received(self, owner: str, sha256: str, size: int) -> int:
        """Bytes of the longest file that nobody holds: from here an upload can go on."""
        with self._lock:
            return max((length for _, length in self._free(owner, sha256, size)), default=0)

    def remove(self, owner: str, sha256: str) -> None:
        """Removes all files of a blob that nobody holds."""
        with self._lock:
            for path in self._folder.glob(f"{_prefix(owner, sha256)}*"):
                _remove_free(path)

    def any_of(self, owner: str, sha256: str) -> bool:
        """Whether there is a file of it, held or not."""
        return any(True for _ in self._folder.glob(f"{_prefix(owner, sha256)}*"))

    def sweep(self, older_than_s: float) -> None:
        """Removes files that nobody holds or has written to for so long."""
        with self._lock:
            for path in self._folder.iterdir():
                try:
                    if time.time() - path.stat().st_mtime >= older_than_s:
                        _remove_free(path)
                except FileNotFoundError:
                    pass

    def _free(self, owner: str, sha256: str, size: int) -> list[tuple[Path, int]]:
        """Files that nobody holds, the longest first."""
        found = []
        for path in self._folder.glob(f"{_prefix(owner, sha256)}{size}-*"):
            descriptor = _locked(path)
            if descriptor is not None:
                found.append((path, os.fstat(descriptor).st_size))
                os.close(descriptor)
        return sorted(found, key=lambda each: (-each[1], each[0].name))


def _prefix(owner: str, sha256: str) -> str:
    # Owners have names that files can't have.
    return f"{hashlib.sha256(owner.encode()).hexdigest()[:16]}-{sha256}-"


def _locked(path: Path) -> int | None:
    """A descriptor of the file with its lock, or None where another holds it or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it may have removed it between these two lines.
        if os.fstat(descriptor).st_nlink > 0:
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def _remove_free(path: Path) -> None:
    descriptor = _locked(path)
    if descriptor is not None:
        path.unlink(missing_ok=True)
        os.close(descriptor)
