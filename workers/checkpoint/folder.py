"""Checkpoints in a folder of a file system: written aside, synced and renamed; locked while they are read.

Locks are flock(2) on the checkpoint's folder: shared by who writes or reads it, exclusive for who removes it. They end
with their process and hold between processes; where a file system has none, everybody goes on without.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from gradwire.workers.checkpoint.manifest import MANIFEST
from gradwire.workers.checkpoint.place import Sink, step_of

__all__ = ["FolderPlace"]

_ASIDE = ".tmp-"


class FolderPlace:
    """A folder, made when something is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.location = str(folder)

    def names(self) -> list[str]:
        """All folders that have a checkpoint's name."""
        try:
            with os.scandir(self.folder) as found:
                return [
                    each.name
                    for each in found
                    if step_of(each.name) is not None and each.is_dir(follow_symlinks=False)
                ]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def begin(self, name: str) -> UnfinishedFolder:
        """Begins a checkpoint in a folder aside."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return UnfinishedFolder(self, name)

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """A shared lock on the checkpoint."""
        path = self.folder / name
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if not _locked(descriptor, fcntl.LOCK_SH) or not _is_at(descriptor, path):
                raise FileNotFoundError(errno.ENOENT, "it was just removed", str(path))
            yield
        finally:
            os.close(descriptor)

    def open(self, name: str, file: str) -> FileSource:
        """A file of a checkpoint; links are not followed."""
        return FileSource(self.folder / name / file)

    def remove(self, name: str) -> bool:
        """Moves the checkpoint aside in one go, then removes its files."""
        path = self.folder / name
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if not _locked(descriptor, fcntl.LOCK_EX):
                return False
            shutil.rmtree(self.set_aside(path))
            return True
        finally:
            os.close(descriptor)

    def set_aside(self, path: Path) -> Path:
        """Gives a folder a name that is no checkpoint's."""
        aside = self.aside(path.name)
        path.rename(aside)
        return aside

    def aside(self, name: str) -> Path:
        """A new path beside the checkpoints."""
        return self.folder / f"{_ASIDE}{name.removeprefix(_ASIDE)}-{uuid.uuid4().hex[:8]}"

    def clear_unfinished(self) -> None:
        """Removes what lies aside and is in nobody's hands."""
        for path in self.folder.glob(_ASIDE + "step-*"):
            with contextlib.suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    if _locked(descriptor, fcntl.LOCK_EX):
                        # Renamed first: a writer without locks finds nothing to show, rather than a half.
                        shutil.rmtree(self.set_aside(path), ignore_errors=True)
                finally:
                    os.close(descriptor)


class UnfinishedFolder:
    """A checkpoint in a folder aside, under a shared lock."""

    def __init__(self, place: FolderPlace, name: str) -> None:
        self._place, self._name = place, name
        self._aside = place.aside(name)
        self._aside.mkdir(mode=0o700)
        self._descriptor = os.open(self._aside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _locked(self._descriptor, fcntl.LOCK_SH)

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Sink]:
        """A new file, synced at the end."""
        with open(self._aside / name, "xb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())

    def finish(self, manifest: bytes, same: Callable[[str], bool]) -> str:
        """Renames the folder; a damaged or other checkpoint of that name makes room."""
        with self.file(MANIFEST) as out:
            out.write(memoryview(manifest))
        _sync(self._descriptor)
        target = self._place.folder / self._name
        for _ in range(10):  # others may put theirs there again and again, but each only once
            try:
                self._aside.rename(target)
                break
            except OSError:
                if not target.exists():
                    raise
            if same(self._name):
                self.discard()
                return self._name
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self._place.set_aside(target), ignore_errors=True)
        else:
            raise FileExistsError(errno.EEXIST, "others write it at the same time", str(target))
        self._close()
        folder = os.open(self._place.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _sync(folder)
        finally:
            os.close(folder)
        return self._name

    def discard(self) -> None:
        """Removes the folder aside."""
        shutil.rmtree(self._aside, ignore_errors=True)
        self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class FileSource:
    """A regular file, read by position."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Without O_NONBLOCK a pipe of that name would keep us here for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._descriptor = os.open(path, flags)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        self._size = status.st_size

    @property
    def size(self) -> int:
        """Its bytes when it was opened."""
        return self._size

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fills `buffer`."""
        done = 0
        while done < len(buffer):
            got = os.preadv(self._descriptor, [buffer[done:]], offset + done)
            if got == 0:
                raise OSError(errno.EIO, "it ends too soon", str(self._path))
            done += got

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)


def _locked(descriptor: int, kind: int) -> bool:
    """Whether nobody's lock is in the way."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # this file system has no locks
        return True
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    own, there = os.fstat(descriptor), os.stat(path)
    return (own.st_dev, own.st_ino) == (there.st_dev, there.st_ino)


def _sync(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # some file systems can't sync folders
        os.fsync(descriptor)
