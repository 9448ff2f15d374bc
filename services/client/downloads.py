"""A checkpoint on its way from the service into a folder: written aside, checked, renamed, or not there at all."""

import hashlib
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from gradwire.proto.v1 import blobs_pb2
from gradwire.services import records as r
from gradwire.services.client import calls
from gradwire.services.client.connection import Stream


class DownloadError(Exception):
    """A checkpoint can't be brought here; the message says why."""


def check_target(target: Path) -> None:
    """Raises DownloadError where `target` is no new folder."""
    if target.exists():
        raise DownloadError(f"{target} exists already: name a new folder with --to, or remove it")


def chosen(job_id: str, found: Sequence[r.Checkpoint], step: int | None) -> r.Checkpoint:
    """The newest checkpoint, or that of `step`. Raises DownloadError."""
    if not found:
        raise DownloadError(
            f"job {job_id} has no checkpoint yet: `gradwire watch {job_id}` shows when it has"
        )
    fitting = [each for each in found if step is None or each.step == step]
    if not fitting:
        has = ", ".join(str(each.step) for each in found)
        raise DownloadError(f"job {job_id} has no checkpoint of step {step}; it has those of steps {has}")
    return fitting[0]


class Incoming:
    """The folder of a checkpoint that is being brought; what is not `kept` at the end is removed."""

    def __init__(self, target: Path, checkpoint: r.Checkpoint) -> None:
        self._target = target
        self._aside = target.absolute().parent / f".tmp-{target.name}-{uuid.uuid4().hex[:8]}"
        self.total = sum(file.size for file in checkpoint.files)
        self.got = 0

    def __enter__(self) -> Self:
        try:
            self._aside.mkdir(parents=True)
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def file(self, job_id: str, file: r.CheckpointFile) -> "IncomingFile":
        """A file of it, to be written. Raises DownloadError."""
        if Path(file.name).name != file.name:
            raise DownloadError(f"the service named a file outside of the checkpoint: {file.name!r}")
        return IncomingFile(self, job_id, file, self._aside / file.name)

    def keep(self) -> None:
        """Puts it in its place."""
        self._aside.rename(self._target)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._aside, ignore_errors=True)
        if isinstance(error, OSError):
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> DownloadError:
        return DownloadError(f"can't write {self._target}: {error.strerror}")


class IncomingBlob:
    """An uploaded blob on its way into a new file: written aside, checked, renamed, or not there at all."""

    def __init__(self, target: Path, sha256: str) -> None:
        if target.exists():
            raise DownloadError(f"{target} exists already: name a new file with --to, or remove it")
        self._target, self._sha256 = target, sha256
        self._aside = target.absolute().parent / f".tmp-{target.name}-{uuid.uuid4().hex[:8]}"
        self._digest = hashlib.sha256()
        self.got = self.total = 0

    def stream(self) -> Stream:
        """Its bytes that are still to come."""
        return Stream("blobs", "ReadBlob", lambda: calls.read_blob("", self._sha256, self.got))

    def take(self, answer: blobs_pb2.ReadBlobResponse) -> None:
        """Writes what came."""
        self._out.write(answer.data)
        self._digest.update(answer.data)
        self.got += len(answer.data)
        self.total = answer.total_size

    def keep(self) -> None:
        """Puts it in its place. Raises DownloadError where it is not what was named."""
        self._out.close()
        if self._digest.hexdigest() != self._sha256:
            raise DownloadError(
                f"the blob came with sha256 {self._digest.hexdigest()}, not {self._sha256}: "
                "it is damaged on the service's storage"
            )
        self._aside.rename(self._target)

    def __enter__(self) -> Self:
        try:
            self._out = open(self._aside, "xb")
        except OSError as error:
            raise DownloadError(f"can't write {self._target}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.close()
        self._aside.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise DownloadError(f"can't write {self._target}: {error.strerror}") from error


class IncomingFile:
    """One file of it. Its stream goes on at what was got so far."""

    def __init__(self, folder: Incoming, job_id: str, file: r.CheckpointFile, path: Path) -> None:
        self._folder, self._job_id, self._file = folder, job_id, file
        self._path, self._digest, self._got = path, hashlib.sha256(), 0

    def stream(self) -> Stream:
        """Its bytes that are still to come."""
        return Stream(
            "blobs", "ReadBlob", lambda: calls.read_blob(self._job_id, self._file.sha256, self._got)
        )

    def take(self, answer: blobs_pb2.ReadBlobResponse) -> None:
        """Writes what came."""
        self._out.write(answer.data)
        self._digest.update(answer.data)
        self._got += len(answer.data)
        self._folder.got += len(answer.data)

    def check(self) -> None:
        """Raises DownloadError where it is not the file that was named."""
        if self._digest.hexdigest() != self._file.sha256:
            raise DownloadError(
                f"{self._file.name} came with sha256 {self._digest.hexdigest()}, not {self._file.sha256}: "
                "it is damaged on the service's storage"
            )

    def __enter__(self) -> Self:
        self._out = open(self._path, "xb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._out.close()
