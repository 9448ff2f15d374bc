"""Checkpoints on any storage that fsspec has a driver for: object stores and other file systems.

Such storage can't rename in one go. So every writer writes under a name of its own, the manifest comes last and in one
piece, and a checkpoint is there when its manifest is. Nobody's files can be in another's way.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from fsspec import AbstractFileSystem

from gradwire.workers.checkpoint.manifest import MANIFEST
from gradwire.workers.checkpoint.place import Sink, step_of

__all__ = ["ObjectPlace"]


class ObjectPlace:
    """The folder `root` of `files`; `location` is how a user names it.

    Readers are known within this object only: those of another process find a checkpoint removed under them, which
    they tell from a damaged one.
    """

    def __init__(self, files: AbstractFileSystem, root: str, location: str) -> None:
        self.files, self.root, self.location = files, root.rstrip("/"), location.rstrip("/")
        self._lock = threading.Lock()
        self._held: collections.Counter[str] = collections.Counter()

    def path(self, *parts: str) -> str:
        """Where something lies, as the driver names it."""
        return "/".join((self.root, *parts))

    def names(self) -> list[str]:
        """All folders that have a checkpoint's name."""
        self.files.invalidate_cache()
        try:
            found = self.files.ls(self.root, detail=False)
        except FileNotFoundError:
            return []
        names = {str(path).rstrip("/").rpartition("/")[2] for path in found}
        return sorted(name for name in names if step_of(name) is not None)

    def begin(self, name: str) -> UnfinishedObjects:
        """Begins a checkpoint under a name of its own."""
        return UnfinishedObjects(self, f"{name}-{uuid.uuid4().hex[:8]}")

    @contextlib.contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Keeps it from `remove` of this object."""
        with self._lock:
            self._held[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[name] -= 1

    def open(self, name: str, file: str) -> ObjectSource:
        """A file of a checkpoint."""
        return ObjectSource(self.files, self.path(name, file))

    def remove(self, name: str) -> bool:
        """Removes the manifest first: a half removed checkpoint is none."""
        with self._lock:
            if self._held[name]:
                return False
            with contextlib.suppress(FileNotFoundError):
                self.files.rm_file(self.path(name, MANIFEST))
        with contextlib.suppress(FileNotFoundError):
            self.files.rm(self.path(name), recursive=True)
        return True

    def clear_unfinished(self) -> None:
        """Removes folders without a manifest."""
        for name in self.names():
            if not self.files.exists(self.path(name, MANIFEST)):
                with contextlib.suppress(FileNotFoundError):
                    self.files.rm(self.path(name), recursive=True)


class UnfinishedObjects:
    """A checkpoint whose manifest is not there yet."""

    def __init__(self, place: ObjectPlace, name: str) -> None:
        self._place, self._name = place, name
        self._sizes: dict[str, int] = {}
        place.files.makedirs(place.path(name), exist_ok=True)

    @contextlib.contextmanager
    def file(self, name: str) -> Iterator[Sink]:
        """A new file; the storage has it when it is closed."""
        with self._place.files.open(self._place.path(self._name, name), "wb") as out:
            counted = _Counted(out)
            yield counted
        self._sizes[name] = counted.written

    def finish(self, manifest: bytes, same: Callable[[str], bool]) -> str:
        """Looks once more whether all files are there as they were written, then puts the manifest beside them."""
        files, place = self._place.files, self._place
        files.invalidate_cache()
        for name, size in self._sizes.items():
            found = files.info(place.path(self._name, name))["size"]
            if found != size:
                raise OSError(
                    errno.EIO, f"{found} bytes are there of {size} written", place.path(self._name, name)
                )
        files.pipe_file(place.path(self._name, MANIFEST), manifest)
        return self._name

    def discard(self) -> None:
        """Removes what was written."""
        # The error that led here is told; that storage which fails also fails to remove is no news.
        with contextlib.suppress(Exception):
            self._place.remove(self._name)


class _Counted:
    """A file that knows how many bytes it was given."""

    def __init__(self, out: Any) -> None:
        self._out, self.written = out, 0

    def write(self, piece: memoryview) -> None:
        self._out.write(piece)
        self.written += len(piece)


class ObjectSource:
    """A file that is read by ranges."""

    def __init__(self, files: AbstractFileSystem, path: str) -> None:
        self._files, self._path = files, path
        self._size = int(files.info(path)["size"])

    @property
    def size(self) -> int:
        """Its bytes when it was opened."""
        return self._size

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fills `buffer`."""
        got = self._files.cat_file(self._path, start=offset, end=offset + len(buffer))
        if len(got) != len(buffer):
            raise OSError(errno.EIO, "it ends too soon", self._path)
        buffer[:] = got

    def close(self) -> None:
        """Nothing is held."""
