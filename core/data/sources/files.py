"""Files that are read by ranges of bytes, wherever they are: on this machine, behind fsspec, or held in memory.

Reads have no position: they come from any thread, before and after a fork. Called by the formats beside this file.
"""

from __future__ import annotations

import hashlib
import os
import random
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from .naming import DataError, masked, scheme_of, scrubbed

__all__ = [
    "CHUNK", "LOAD_LIMIT", "File", "HeldFile", "LocalFile", "RemoteFile", "content_of", "open_files", "undisturbed",
]  # fmt: skip

T = TypeVar("T")
Range = tuple[int, int]
CHUNK = 4 << 20
"""Bytes of one read where a file is read from end to end."""
LOAD_LIMIT = 1 << 30
"""Bytes of a file that is held in memory because it can't be read by ranges."""
LOCAL_HASH_LIMIT, REMOTE_HASH_LIMIT = 1 << 30, 128 << 20
"""Bytes of data whose sha256 is told; of more, what the storage tells of its content."""
PATIENCE_S, OPENING_PATIENCE_S = 60.0, 2.0
"""For how long a read, and the first look at a file, is tried again."""
PAUSES_S = (0.1, 0.3, 1.0, 3.0, 5.0)
_PACKAGES = {
    "http": "aiohttp",
    "https": "aiohttp",
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
}
_PACKAGES |= {"az": "adlfs", "abfs": "adlfs", "abfss": "adlfs", "hf": "huggingface_hub", "sftp": "paramiko"}
_IDENTITY = ("ETag", "etag", "md5Hash", "Content-MD5", "content_md5", "Digest", "crc32c")
_TIMES = ("Last-Modified", "LastModified", "last_modified", "updated", "mtime", "modified", "created")


class File(ABC):
    """A file. told: its URL without secrets; size: in bytes; fetched: bytes that were read from it here."""

    _version = ""

    def __init__(self, told: str, size: int) -> None:
        self.told, self.size, self.fetched = told, size, 0

    def read(self, start: int, stop: int) -> bytes:
        """The bytes from `start` to `stop`. Raises DataError where they can't be had."""
        return self.read_many([(start, stop)])[0]

    def read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of several ranges."""
        for start, stop in ranges:
            if not 0 <= start <= stop <= self.size:
                raise DataError(
                    f"{self.told}: damaged: bytes {start} to {stop} are to be read of a file of {self.size}"
                )
        found = self._read_many(ranges)
        for (start, stop), data in zip(ranges, found, strict=True):
            self.fetched += len(data)
            if len(data) != stop - start:
                raise DataError(
                    f"{self.told}: bytes {start} to {stop} are not there any more: it was changed while it was read"
                )
        return found

    @abstractmethod
    def _read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of several ranges, which lie within the file."""

    def whole(self, why: str) -> bytes:
        """All of it, where it can't be read by ranges. Raises DataError for more than LOAD_LIMIT bytes."""
        if self.size > LOAD_LIMIT:
            raise DataError(
                f"{self.told}: {why}, so it has to be held in memory, and its {self.size} bytes are more than {LOAD_LIMIT}"
            )
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """All of it, piece by piece."""
        for start in range(0, self.size, CHUNK):
            yield self.read(start, min(start + CHUNK, self.size))

    @abstractmethod
    def version(self) -> str:
        """What the storage tells of its content, now, without reading it."""

    @property
    def changed(self) -> bool:
        """Whether the storage tells of another content than when it was opened."""
        return self.version() != self._version


class HeldFile(File):
    """The bytes of a file that was loaded or unpacked from `source`."""

    def __init__(self, source: File, data: bytes) -> None:
        super().__init__(source.told, len(data))
        self._data, self._source, self._version = data, source, source._version

    def _read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        return [self._data[start:stop] for start, stop in ranges]

    def version(self) -> str:
        return self._source.version()


class LocalFile(File):
    """A file of this machine. origin: the version of the file of another machine that it is a copy of."""

    origin = ""

    def __init__(self, path: str, told: str) -> None:
        self.path = path
        super().__init__(told, 0)
        found = self._look(os.stat)
        if not stat.S_ISREG(found.st_mode):
            raise DataError(f"{told}: no ordinary file")
        self.size, self._number = found.st_size, found.st_ino
        self._version = self.version()
        self._read_many([])  # whether it may be read at all

    def _look(self, how: Callable[[Any], T]) -> T:
        """What `how` returns for the path. Raises DataError."""
        try:
            return how(self.path)
        except OSError as error:
            reason = error.strerror
        raise DataError(f"{self.told}: {reason}")

    def check(self) -> None:
        """Raises DataError where it has become shorter: to read a map of it would end the process."""
        if self._look(os.stat).st_size < self.size:
            raise DataError(f"{self.told}: it became shorter while it was read")

    def _read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        def read(path: str) -> list[bytes] | None:
            # Opened each time: data may lie in more files than a process may hold open.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_ino != self._number:
                    return None
                return [_pread(descriptor, start, stop) for start, stop in ranges]
            finally:
                os.close(descriptor)

        found = self._look(read)
        if found is None:
            raise DataError(f"{self.told}: another file took its place while it was read")
        return found

    def version(self) -> str:
        now = self._look(os.stat)
        return self.origin or f"{now.st_size} bytes of {now.st_mtime_ns} ns"


def _pread(descriptor: int, start: int, stop: int) -> bytes:
    data = os.pread(descriptor, stop - start, start)
    while len(data) < stop - start and (
        more := os.pread(descriptor, stop - start - len(data), start + len(data))
    ):
        data += more  # one call gives at most 2 GiB
    return data


class RemoteFile(File):
    """A file behind fsspec. A read that fails for a while is tried again for a minute."""

    def __init__(self, url: str, path: str, options: Mapping[str, Any], told: str) -> None:
        self._url, self._path, self._options = url, path, dict(options)
        self._fs: tuple[int, Any] | None = None
        super().__init__(told, 0)
        info = self._info()
        if info.get("type") == "directory":
            raise DataError(f"{told}: a folder; name its files, as in {told.rstrip('/')}/*.npy")
        self._version = _version(info)
        self._held: bytes | None = None
        if info.get("size") is None:
            self._hold(self._try(lambda fs: fs.cat_file(self._path), OPENING_PATIENCE_S))
        else:
            self.size = int(info["size"])
            if self.size and not self._gives_ranges(info):
                if self.size > LOAD_LIMIT:
                    raise DataError(
                        f"{told}: the server gives no ranges of bytes, and its {self.size} bytes are more than the {LOAD_LIMIT} "
                        "that are held in memory"
                    )
                self._hold(self._try(lambda fs: fs.cat_file(self._path), OPENING_PATIENCE_S))

    @property
    def address(self) -> str:
        """Where it is, secrets included: not to be told."""
        return f"{self._url} {self._path}"

    @property
    def versioned(self) -> bool:
        """Whether the storage tells more of its content than the size."""
        return "," in self._version

    @property
    def fs(self) -> Any:
        """The file system, this process's own."""
        if self._fs is None or self._fs[0] != os.getpid():
            self._fs = (os.getpid(), file_system(self._url, self._options)[0])
        return self._fs[1]

    def _hold(self, data: bytes) -> None:
        if len(data) > LOAD_LIMIT:
            raise DataError(
                f"{self.told}: its {len(data)} bytes are more than the {LOAD_LIMIT} that are held in memory"
            )
        self._held, self.size = data, len(data)
        self.fetched += len(data)

    def _gives_ranges(self, info: Mapping[str, Any]) -> bool:
        """Whether a server of HTTP gives parts of the file; those who don't send all of it, as if nothing were amiss."""
        if scheme_of(self._url) not in ("http", "https"):
            return True
        if info.get("partial") is False:
            return False

        def probe(fs: Any) -> bool:
            with fs.open(self._path, "rb", block_size=1, cache_type="none", size=self.size) as file:
                try:
                    file.seek(self.size - 1)
                    return len(file.read(1)) == 1
                except ValueError:  # fsspec's word for a server that answers with the whole
                    return False

        return self.size == 1 or self._try(probe, OPENING_PATIENCE_S)

    def _info(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._try(lambda fs: fs.info(self._path), OPENING_PATIENCE_S)
        return found

    def _read_many(self, ranges: Sequence[Range]) -> list[bytes]:
        if self._held is not None:
            self.fetched -= sum(stop - start for start, stop in ranges)  # they were fetched before
            return [self._held[start:stop] for start, stop in ranges]
        wanted = [(start, stop) for start, stop in ranges if start < stop]
        got: dict[Range, bytes] = {}

        def read(fs: Any) -> None:
            left = [each for each in dict.fromkeys(wanted) if each not in got]
            if len(left) == 1:
                got[left[0]] = fs.cat_file(self._path, start=left[0][0], end=left[0][1])
                return
            paths, starts, ends = [self._path] * len(left), [a for a, _ in left], [b for _, b in left]
            answers = fs.cat_ranges(paths, starts, ends, on_error="return")
            failed = None
            for each, answer in zip(left, answers, strict=True):
                if isinstance(answer, BaseException):
                    failed = answer
                else:
                    got[each] = bytes(answer)
            if failed is not None:
                raise failed

        if wanted:
            self._try(read, PATIENCE_S)
        return [got.get(each, b"") for each in ranges]

    def _try(self, action: Callable[[Any], T], patience_s: float) -> T:
        """What `action` returns, tried again where it may help. Raises DataError, which knows nothing of what it was raised for."""
        deadline, attempt = time.monotonic() + patience_s, 0
        while True:
            try:
                with undisturbed():
                    return action(self.fs)
            except DataError:
                raise
            except Exception as error:
                problem = error
            if isinstance(problem, FileNotFoundError) and isinstance(problem.__cause__, Exception):
                problem = problem.__cause__  # what fsspec says of every answer of a web server
            pause_s = PAUSES_S[min(attempt, len(PAUSES_S) - 1)]
            if not _passing(problem) or time.monotonic() + pause_s > deadline:
                break
            time.sleep(pause_s)
            attempt += 1
        text = _reason(problem, self._url)
        del problem  # which may hold the URL as it is
        raise DataError(f"{self.told}: {text}")

    def version(self) -> str:
        """Of now."""
        return _version(self._info())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fs": None}


def _version(info: Mapping[str, Any]) -> str:
    tells = [f"{name} {info[name]}" for name in (*_IDENTITY, *_TIMES) if info.get(name)]
    return f"{info.get('size')} bytes" + (f", {tells[0]}" if tells else "")


def _passing(error: Exception) -> bool:
    """Whether an error may be gone at the next try."""
    if isinstance(
        error, (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError)
    ):
        return False
    status = getattr(error, "status", None)
    if isinstance(status, int) and status:
        return status >= 500 or status in (408, 429)
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in (
        "aiohttp", "asyncio", "botocore", "aiobotocore", "gcsfs", "fsspec",
    )  # fmt: skip


def _reason(error: Exception, url: str) -> str:
    status = getattr(error, "status", None)
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "not allowed to read it"
    if isinstance(status, int) and status:
        return f"the server answered {status} {scrubbed(str(getattr(error, 'message', '')), url)}".rstrip()
    return f"can't be read: {type(error).__name__}: {scrubbed(str(error), url)}"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keeps Python's random numbers as they are: clients of storage draw the length of their pauses from them."""
    before = random.getstate()
    try:
        yield
    finally:
        random.setstate(before)


def file_system(url: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    """fsspec's file system of a URL, and the path there. Raises DataError for a scheme that is unknown or lacks a package."""
    from fsspec.core import url_to_fs

    scheme = scheme_of(url)
    if scheme in ("http", "https"):  # a body that was packed on the way would have other places
        headers = {"Accept-Encoding": "identity", **options.get("headers", {})}
        options = {**options, "headers": headers}
    try:
        fs, path = url_to_fs(url, **options)
        return fs, path
    except ImportError:
        package = _PACKAGES.get(scheme, "")
        known = f"pip install {package}" if package else "install what fsspec needs for it"
        if package == "aiohttp":
            known = "pip install 'gradwire[data]'"
        problem = f"{scheme}: needs the package {package or 'of its file system'}: {known}"
    except ValueError as error:
        problem = scrubbed(str(error), url)
    except Exception as error:  # a driver's own complaint about its options
        problem = f"can't be opened: {type(error).__name__}: {scrubbed(str(error), url)}"
    raise DataError(f"{masked(url)}: {problem}")


def open_files(url: str, options: Mapping[str, Any]) -> list[File]:
    """The files of a URL without a fragment: one, or all that a pattern with * matches, sorted by name.

    Raises DataError where there is none.
    """
    scheme = scheme_of(url)
    if not url:
        raise DataError("expected the URL or the path of data, got ''")
    if "::" not in url and (scheme in ("", "file", "local") or not url.partition(":")[2].startswith("//")):
        return _local_files(url)
    fs, path = file_system(url, options)
    before_query = url.partition("?")[0] if scheme in ("http", "https") else url
    if not _pattern(before_query, scheme):
        return [RemoteFile(url, path, options, masked(url))]
    try:
        with undisturbed():
            found = sorted(fs.glob(path))
        problem = "no file matches" if not found else ""
    except Exception as error:
        found, problem = [], _reason(error, url)
    if problem:
        raise DataError(f"{masked(url)}: {problem}")
    return [RemoteFile(url, each, options, masked(fs.unstrip_protocol(each))) for each in found]


def _pattern(text: str, scheme: str) -> bool:
    return "*" in text or (scheme not in ("http", "https") and ("?" in text or "[" in text))


def _local_files(url: str) -> list[File]:
    """Files of this machine, by path or file: URL."""
    import glob

    from fsspec.implementations.local import LocalFileSystem

    path: str = LocalFileSystem._strip_protocol(url)
    told = url if scheme_of(url) else path
    if _pattern(path, "") and not os.path.exists(path):
        found = sorted(each for each in glob.glob(path, recursive=True) if os.path.isfile(each))
        if not found:
            raise DataError(f"{told}: no file matches")
        prefix = "file://" if scheme_of(url) else ""
        return [LocalFile(each, prefix + each) for each in found]
    if os.path.isdir(path):
        raise DataError(f"{told}: a folder; name its files, as in {told.rstrip('/')}/*.npy")
    return [LocalFile(path, told)]


def content_of(files: Sequence[File]) -> dict[str, Any]:
    """What tells the content of files from others': sha256 of all of them, or, of many bytes, what their storage tells."""
    size = sum(file.size for file in files)
    if any(file.changed for file in files):
        return {"sha256": "", "content": "changed while it was read"}
    versions = [file.version() for file in files]
    remote = any(isinstance(file, RemoteFile) for file in files)
    if size <= (REMOTE_HASH_LIMIT if remote else LOCAL_HASH_LIMIT):
        whole = hashlib.sha256()
        for file in files:
            each = hashlib.sha256()
            for chunk in file.chunks():
                each.update(chunk)
            if len(files) == 1:
                return {"sha256": each.hexdigest()}
            whole.update(each.digest())
        return {"sha256": whole.hexdigest()}
    return {"sha256": "", "content": hashlib.sha256("\n".join(versions).encode()).hexdigest()[:32]}
