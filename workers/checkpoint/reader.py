"""Reads one checkpoint from storage: nothing is handed out before the sums of its bytes were found right."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np

from gradwire.workers.checkpoint.content import Checkpoint, CheckpointDamagedError
from gradwire.workers.checkpoint.manifest import (
    BUFFERS,
    MANIFEST,
    MODEL,
    OPTIMIZER,
    RECENT,
    Manifest,
    StoredFile,
    parsed,
)
from gradwire.workers.checkpoint.place import Place, Source, step_of
from gradwire.workers.checkpoint.tensors import Entry, header_bytes, parsed_header

__all__ = ["CheckpointReader", "manifest_of"]

_LARGEST_MANIFEST = 2**28
_HEAD_BYTES = 8


def manifest_of(place: Place, name: str) -> Manifest:
    """The manifest of a checkpoint, which is of the step in its name. Raises ValueError, OSError."""
    source = place.open(name, MANIFEST)
    try:
        if source.size > _LARGEST_MANIFEST:
            raise ValueError(f"{MANIFEST} has {source.size} bytes")
        raw = bytearray(source.size)
        source.read_into(0, memoryview(raw))
    finally:
        source.close()
    manifest = parsed(bytes(raw))
    if manifest.step != step_of(name):
        raise ValueError(f"{MANIFEST} is that of step {manifest.step}")
    return manifest


class CheckpointReader:
    """A checkpoint that is not removed while this is open (see `Place.hold`). Every method raises CheckpointDamagedError.

    with storage.open(name) as reader: first_half = reader.elements("optimizer.safetensors", "w/exp_avg", 0, 500)
    """

    def __init__(self, place: Place, name: str) -> None:
        self._place, self.name = place, name
        self._sources: dict[str, Source] = {}
        self._headers: dict[str, dict[str, Entry]] = {}
        self._hold = place.hold(name)
        try:
            self._hold.__enter__()
        except OSError as error:
            raise self._damaged(error) from error
        try:
            self.manifest = manifest_of(place, name)
        except BaseException as error:
            self.close()
            raise self._damaged(error) from error

    def __enter__(self) -> CheckpointReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets it go."""
        for source in self._sources.values():
            source.close()
        self._sources.clear()
        self._hold.__exit__(None, None, None)

    def verify(self) -> None:
        """Reads everything and checks every sum."""
        try:
            for file in self.manifest.files.values():
                scratch = np.empty(min(file.size, self.manifest.chunk_bytes), np.uint8)
                for index in range(len(file.chunks)):
                    self._checked_chunk(file, index, scratch.data)
        except Exception as error:
            raise self._damaged(error) from error

    def read(self) -> Checkpoint:
        """All of it. Arrays of one file share memory."""
        manifest = self.manifest
        return Checkpoint(
            step=manifest.step,
            epoch=manifest.epoch,
            total_steps=manifest.total_steps,
            model=self.arrays(MODEL),
            optimizer=self.arrays(OPTIMIZER),
            buffers=self.arrays(BUFFERS) if BUFFERS in manifest.files else {},
            step_counts=manifest.step_counts,
            scheduler=manifest.scheduler,
            spec=manifest.spec,
            recent=self.recent(),
            metrics=manifest.metrics,
            extra=manifest.extra,
        )

    def recent(self) -> Sequence[Any]:
        """What the last steps reported."""
        if RECENT not in self.manifest.files:
            return ()
        try:
            told = json.loads(self._bytes(RECENT, 0, self.manifest.files[RECENT].size).tobytes())
        except Exception as error:
            raise self._damaged(error) from error
        return list(told)

    def arrays(self, file: str) -> dict[str, np.ndarray[Any, Any]]:
        """All arrays of a file, by name."""
        try:
            size = self.manifest.files[file].size
            raw = self._bytes(file, 0, size)
            head = header_bytes(raw[:_HEAD_BYTES].tobytes(), size)
            entries = parsed_header(raw[:head].tobytes(), size)
        except Exception as error:
            raise self._damaged(error) from error
        return {
            name: raw[entry.begin : entry.end].view(entry.dtype).reshape(entry.shape)
            for name, entry in entries.items()
        }

    def entries(self, file: str) -> dict[str, Entry]:
        """Dtype and shape of the arrays of a file, by name, without reading them."""
        if file not in self._headers:
            try:
                size = self.manifest.files[file].size
                head = header_bytes(self._bytes(file, 0, min(_HEAD_BYTES, size)).tobytes(), size)
                self._headers[file] = parsed_header(self._bytes(file, 0, head).tobytes(), size)
            except Exception as error:
                raise self._damaged(error) from error
        return self._headers[file]

    def elements(self, file: str, name: str, start: int = 0, stop: int | None = None) -> np.ndarray[Any, Any]:
        """Elements `start` to `stop` of an array in C order, in one dimension; reads the chunks that hold them alone.

        Raises KeyError for an array that is not in the file, IndexError for bounds beyond it.
        """
        entry = self.entries(file)[name]
        item = entry.dtype.itemsize
        size = (entry.end - entry.begin) // item
        stop = size if stop is None else stop
        if not 0 <= start <= stop <= size:
            raise IndexError(f"elements {start} to {stop} of {name}, which has {size}")
        try:
            raw = self._bytes(file, entry.begin + start * item, entry.begin + stop * item)
        except Exception as error:
            raise self._damaged(error) from error
        return raw.view(entry.dtype)

    def _bytes(self, file: str, begin: int, end: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Bytes of a file, of chunks whose sums are right; whole chunks are read in their place, without a copy."""
        stored, chunk = self.manifest.files[file], self.manifest.chunk_bytes
        # Before any memory is asked for: a manifest may claim any size.
        if self._source(stored).size != stored.size:
            raise ValueError(f"{file} is not what was written")
        wanted = np.empty(end - begin, np.uint8)
        scratch: np.ndarray[Any, np.dtype[np.uint8]] | None = None
        for index in range(begin // chunk, -(-end // chunk) if end > begin else 0):
            first, last = index * chunk, min((index + 1) * chunk, stored.size)
            if begin <= first and last <= end:
                self._checked_chunk(stored, index, wanted[first - begin : last - begin].data)
                continue
            if scratch is None:
                scratch = np.empty(min(chunk, stored.size), np.uint8)
            self._checked_chunk(stored, index, scratch.data)
            a, b = max(first, begin), min(last, end)
            wanted[a - begin : b - begin] = scratch[a - first : b - first]
        return wanted

    def _checked_chunk(self, file: StoredFile, index: int, buffer: memoryview) -> None:
        """Reads a chunk into the beginning of `buffer`."""
        first = index * self.manifest.chunk_bytes
        part = buffer[: min(self.manifest.chunk_bytes, file.size - first)]
        self._source(file).read_into(first, part)
        if hashlib.sha256(part).hexdigest() != file.chunks[index]:
            raise ValueError(f"{file.name} is not what was written, from byte {first} to {first + len(part)}")

    def _source(self, file: StoredFile) -> Source:
        if file.name not in self._sources:
            source = self._sources[file.name] = self._place.open(self.name, file.name)
            if source.size != file.size:
                raise ValueError(
                    f"{file.name} is not what was written: it has {source.size} bytes, not {file.size}"
                )
        return self._sources[file.name]

    def _damaged(self, error: BaseException) -> BaseException:
        """What to raise for an error: a damaged checkpoint, unless it is the storage that can't be reached."""
        if isinstance(error, ConnectionError | TimeoutError) or not isinstance(
            error, OSError | ValueError | KeyError
        ):
            return error
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, ValueError):
            reason = str(error)
        elif isinstance(error, FileNotFoundError):
            missing = str(error.filename or error).rstrip("/").rpartition("/")[2]
            reason = f"{missing} is missing"
        elif isinstance(error, OSError) and error.errno == errno.EIO:
            reason = f"{error.filename}: {error.strerror}"
        return CheckpointDamagedError(f"checkpoint {self.name} is damaged ({reason})")
