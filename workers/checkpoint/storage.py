"""Where a job's checkpoints lie: writes them whole or not at all, finds the newest whole one, removes the old ones.

On a file system, or any storage that fsspec has a driver for; `place.py` is the seam between.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradwire.training import parameters_sha256
from gradwire.workers.checkpoint.content import Checkpoint, CheckpointDamagedError, Saved
from gradwire.workers.checkpoint.folder import FolderPlace
from gradwire.workers.checkpoint.manifest import (
    BUFFERS,
    CHUNK_BYTES,
    MODEL,
    OPTIMIZER,
    RECENT,
    StoredFile,
    composed,
)
from gradwire.workers.checkpoint.place import Place, Unfinished, base_name, step_of
from gradwire.workers.checkpoint.reader import CheckpointReader, manifest_of
from gradwire.workers.checkpoint.retention import Retention
from gradwire.workers.checkpoint.tensors import pieces

__all__ = ["CheckpointStorage"]


class CheckpointStorage:
    """The checkpoints at `location`: a path, a URL of fsspec ("s3://bucket/jobs/7", "memory://x"), or a Place.

    Nothing is touched before it is used. Methods raise OSError, or what the storage's driver raises; ValueError for a URL
    that is none, ImportError where its driver is not installed. Safe from several threads, and beside other writers.
    """

    def __init__(self, location: str | Path | Place, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._place = _place(location) if isinstance(location, str | Path) else location
        self._chunk_bytes = chunk_bytes
        self._metrics: dict[str, Mapping[str, float]] = {}
        """Of checkpoints that were found whole, so far as their manifest and sizes tell."""

    @property
    def location(self) -> str:
        """Path or URL."""
        return self._place.location

    def location_of(self, name: str) -> str:
        """Path or URL of a checkpoint."""
        return f"{self._place.location}/{name}"

    def names(self) -> list[str]:
        """Everything that has a checkpoint's name, newest step first."""
        return sorted(self._place.names(), key=lambda name: (-_step(name), name))

    def write(self, checkpoint: Checkpoint) -> Saved:
        """Writes a checkpoint straight from its arrays, chunk by chunk. When it raises nothing is left.

        Where one of the same step and state is already there it stays as it is: the same job makes the same bits.
        """
        sha256 = parameters_sha256(checkpoint.model)

        def same(name: str) -> bool:
            return self._holds(name, checkpoint, sha256)

        for name in self._place.names():
            if step_of(name) == checkpoint.step and same(name):
                return Saved(self.location_of(name), checkpoint.step, sha256)
        unfinished = self._place.begin(base_name(checkpoint.step))
        try:
            files = [
                self._written(unfinished, MODEL, pieces(checkpoint.model)),
                self._written(unfinished, OPTIMIZER, pieces(checkpoint.optimizer)),
            ]
            if checkpoint.buffers:
                files.append(self._written(unfinished, BUFFERS, pieces(checkpoint.buffers)))
            if checkpoint.recent:
                body = json.dumps(list(checkpoint.recent)).encode()
                files.append(self._written(unfinished, RECENT, [memoryview(body)]))
            name = unfinished.finish(composed(checkpoint, sha256, files, self._chunk_bytes), same)
        except BaseException:
            unfinished.discard()
            raise
        return Saved(self.location_of(name), checkpoint.step, sha256)

    def open(self, name: str) -> CheckpointReader:
        """A checkpoint, held until it is closed. Raises CheckpointDamagedError where its manifest is not whole."""
        return CheckpointReader(self._place, name)

    def read(self, name: str) -> Checkpoint:
        """All of a checkpoint, every sum checked. Raises CheckpointDamagedError."""
        with self.open(name) as reader:
            return reader.read()

    def summary(self, name: str) -> tuple[Saved, Sequence[Any]]:
        """What a checkpoint is and what its last steps reported, without its arrays. Raises CheckpointDamagedError."""
        with self.open(name) as reader:
            told = reader.recent()
            manifest = reader.manifest
        return Saved(self.location_of(name), manifest.step, manifest.parameters_sha256), told

    def newest_valid(self, passed_over: Callable[[str], None] = lambda message: None) -> str | None:
        """The name of the newest checkpoint whose every sum is right, or None.

        Each newer one that is damaged or half-written is told to `passed_over`. Storage that can't be reached raises: no
        connection is no reason to begin anew.
        """
        for name in self.names():
            try:
                with self.open(name) as reader:
                    reader.verify()
                return name
            except CheckpointDamagedError as error:
                if name in self._place.names():  # else it was removed meanwhile, as retention does
                    passed_over(f"{error}; using the one before it")
        return None

    def retain(self, retention: Retention, written: Saved) -> list[str]:
        """Removes what `retention` does not keep, of the steps up to that of `written`, which stays. Returns the names.

        Later steps are another writer's, or damaged and about to be made again. What is not whole counts for nothing, and
        goes when it is older than the newest that stay.
        """
        names = [name for name in self.names() if _step(name) <= written.step]
        whole = {_step(name): told for name in names if (told := self._whole(name)) is not None}
        kept = retention.kept(whole) | {written.step}
        newest = sorted({*whole, written.step})[-retention.last :]
        removed = []
        for name in names:
            step = _step(name)
            if step in kept or (step not in whole and step >= newest[0]):
                continue
            try:
                if self._place.remove(name):
                    self._metrics.pop(name, None)
                    removed.append(name)
            except FileNotFoundError:  # another writer was faster
                continue
        return removed

    def clear_unfinished(self) -> None:
        """Removes what writers left that were killed. Only for who knows that none is at work on object storage."""
        self._place.clear_unfinished()

    def _written(self, unfinished: Unfinished, name: str, body: Iterable[memoryview]) -> StoredFile:
        whole, size, chunks = hashlib.sha256(), 0, []
        chunk = hashlib.sha256()
        with unfinished.file(name) as out:
            for piece in body:
                while piece:
                    part = piece[: self._chunk_bytes - size % self._chunk_bytes]
                    out.write(part)
                    whole.update(part)
                    chunk.update(part)
                    size += len(part)
                    piece = piece[len(part) :]
                    if size % self._chunk_bytes == 0:
                        chunks.append(chunk.hexdigest())
                        chunk = hashlib.sha256()
        if size % self._chunk_bytes:
            chunks.append(chunk.hexdigest())
        return StoredFile(name, size, whole.hexdigest(), chunks)

    def _holds(self, name: str, checkpoint: Checkpoint, sha256: str) -> bool:
        """Whether the checkpoint of that name is whole and of this state."""
        try:
            with self.open(name) as reader:
                told = reader.manifest
                if told.parameters_sha256 != sha256:
                    return False
                own = (checkpoint.scheduler, dict(checkpoint.step_counts), dict(checkpoint.extra))
                if json.loads(json.dumps(own)) != [told.scheduler, told.step_counts, told.extra]:
                    return False
                reader.verify()
                return True
        except CheckpointDamagedError:
            return False

    def _whole(self, name: str) -> Mapping[str, float] | None:
        """The metrics of a checkpoint whose manifest and sizes are right; None for another."""
        if name not in self._metrics:
            try:
                manifest = manifest_of(self._place, name)
                for file in manifest.files.values():
                    source = self._place.open(name, file.name)
                    source.close()
                    if source.size != file.size:
                        return None
            except (ValueError, FileNotFoundError):
                return None
            self._metrics[name] = manifest.metrics
        return self._metrics[name]


def _step(name: str) -> int:
    step = step_of(name)
    if step is None:
        raise ValueError(f"{name!r} is no checkpoint's name")
    return step


def _place(location: str | Path) -> Place:
    text = str(location)
    if isinstance(location, Path) or ("://" not in text and "::" not in text):
        return FolderPlace(Path(location))
    from fsspec.core import url_to_fs  # a tenth of a second, which jobs on file systems are spared
    from fsspec.implementations.local import LocalFileSystem

    from gradwire.workers.checkpoint.objects import ObjectPlace

    if "@" in text.partition("://")[2].partition("/")[0]:
        raise ValueError(
            "the URL of a checkpoint storage is shown to users: give its driver names and passwords by the "
            "environment or fsspec's configuration files, not in the URL"
        )
    files, root = url_to_fs(text)
    if isinstance(files, LocalFileSystem):
        return FolderPlace(Path(root))
    return ObjectPlace(files, root, text)
