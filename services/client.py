"""The Python client of a gradwire service: synchronous, typed, and undisturbed by a service that restarts.

    with Client("127.0.0.1:7411") as client:
        job = client.submit("digits.py", workers=2, overrides={"lr": "0.01"})
        for event in job.watch():
            print(event.number, event.kind)

Calls are tried again while the service is away; a submit carries a request_id, so that trying again is not a
second job. Errors are those of errors.py.
"""

import hashlib
import os
import random
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gradwire.proto.v1 import blobs_pb2, blobs_pb2_grpc, jobs_pb2_grpc
from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages
from gradwire.services import records as r
from gradwire.services.errors import (
    DrainingError,
    InvalidRequestError,
    RateLimitedError,
    ServiceError,
    StorageError,
    TooManyError,
    UnexpectedError,
    UnreachableError,
    Violation,
    from_rpc_error,
)
from gradwire.services.security.access import Access, find_access
from gradwire.services.sources import collect
from gradwire.services.states import JobState

T = TypeVar("T")
DEFAULT_ADDRESS = "127.0.0.1:7411"
CALL_TIMEOUT_S = 30.0
FIRST_PAUSE_S, LAST_PAUSE_S = 0.05, 1.0
MESSAGE_BYTES = 4 * 1024 * 1024
_AWAY = (UnreachableError, DrainingError, StorageError, TooManyError, RateLimitedError)
_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # gRPC waits up to two minutes between attempts to connect by itself; a service restarts in a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A proxy variable meant for the web must not catch calls to this machine.
    ("grpc.enable_http_proxy", 0),
]


class DownloadError(Exception):
    """A checkpoint can't be brought here; the message says why."""


class _Patience:
    """How long to go on trying: `first_s` seconds for the first success, `then_s` from each one; pausing longer each time."""

    def __init__(self, first_s: float, then_s: float) -> None:
        self._then_s = then_s
        self._start(first_s)

    def renew(self) -> None:
        """Says that something succeeded."""
        self._start(self._then_s)

    def _start(self, limit_s: float) -> None:
        self._deadline = time.monotonic() + limit_s
        self._pause_s = FIRST_PAUSE_S

    def wait(self, error: ServiceError) -> bool:
        """Pauses, as long as the error asks for, and returns True, or returns False where it is over."""
        pause_s = self._pause_s * random.uniform(0.5, 1.0)
        if isinstance(error, RateLimitedError):
            pause_s = max(pause_s, error.retry_s)
        if time.monotonic() + pause_s > self._deadline:
            return False
        time.sleep(pause_s)
        self._pause_s = min(self._pause_s * 2, LAST_PAUSE_S)
        return True


class Client:
    """A connection to the service at `address`. May be used from several threads."""

    def __init__(
        self, address: str = DEFAULT_ADDRESS, retry_for_s: float = 10.0, access: Access | None = None
    ) -> None:
        """`retry_for_s`: how long a call is tried again while nobody answers; 0 for one try.

        `access`: the token and the TLS files; None takes those of the environment and of `gradwire login`. Raises AccessError.
        """
        access = find_access(address) if access is None else access
        self.access = access
        self._metadata = access.metadata()
        self.address = address
        self._retry_for_s = retry_for_s
        self._channel = access.channel(address, _OPTIONS)
        self._jobs = jobs_pb2_grpc.JobsStub(self._channel)  # type: ignore[no-untyped-call]
        self._blobs = blobs_pb2_grpc.BlobsStub(self._channel)  # type: ignore[no-untyped-call]
        self._health = health_pb2_grpc.HealthStub(self._channel)

    def close(self) -> None:
        """Ends the connection and every watch on it."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def serving(self) -> bool:
        """True where the service answers and takes jobs. Raises UnreachableError where nobody answers."""
        request = health_pb2.HealthCheckRequest()
        answer = self._call(self._health.Check, request)  # type: ignore[attr-defined]
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def submit(
        self,
        program: str | os.PathLike[str] | r.Code,
        *,
        name: str = "",
        overrides: Mapping[str, str] | None = None,
        workers: int = 1,
        shards: int = r.DEFAULT_SHARDS,
        device: str = "cpu",
        threads_per_worker: int = 1,
        priority: int = 0,
        labels: Mapping[str, str] | None = None,
        min_workers: int = 0,
        max_workers: int = 0,
        request_id: str = "",
    ) -> "RemoteJob":
        """Stores a job and returns it, waiting in the queue. It starts with `workers`.

        `program` is a job file (sent with the modules beside it that it imports) or code made by hand. Raises
        SourceError, InvalidRequestError, UnreachableError.
        """
        code = program if isinstance(program, r.Code) else collect(Path(program))
        spec = r.JobSpec(
            name=name,
            code=code,
            overrides=dict(overrides or {}),
            workers=workers,
            shards=shards,
            device=device,
            threads_per_worker=threads_per_worker,
            priority=priority,
            labels=dict(labels or {}),
            min_workers=min_workers,
            max_workers=max_workers,
        )
        # In the message 0 means "the default"; here 0 workers is the mistake that it looks like.
        counts = {"workers": workers, "shards": shards, "threads_per_worker": threads_per_worker}
        zeros = [
            Violation(f"spec.{field}", "expected 1 or more, not 0") for field, n in counts.items() if n == 0
        ]
        if zeros:
            raise InvalidRequestError(zeros)
        message = messages.spec_to_message(spec)
        request = pb.SubmitJobRequest(spec=message, request_id=request_id or str(uuid.uuid4()))
        answer = self._call(self._jobs.SubmitJob, request)
        return RemoteJob(self, answer.job.id)

    def job(self, job_id: str) -> "RemoteJob":
        """A job by its id; whether it exists is seen when it is asked for something."""
        return RemoteJob(self, job_id)

    def jobs(self, states: Sequence[JobState] = (), limit: int | None = None) -> Iterator[r.Job]:
        """Jobs in one of `states` (none means all), newest first, fetched page by page."""
        token, left = "", limit
        wanted = [messages.state_to_message(state) for state in states]
        while left is None or left > 0:
            size = 200 if left is None else min(left, 200)
            request = pb.ListJobsRequest(page_size=size, page_token=token, states=wanted)
            answer = self._call(self._jobs.ListJobs, request)
            yield from (messages.job_from_message(job) for job in answer.jobs)
            token = answer.next_page_token
            if not token:
                return
            left = None if left is None else left - len(answer.jobs)

    def _call(self, method: Callable[..., T], request: object) -> T:
        patience = _Patience(self._retry_for_s, self._retry_for_s)
        while True:
            try:
                return method(request, timeout=CALL_TIMEOUT_S, metadata=self._metadata)
            except grpc.RpcError as problem:
                error = from_rpc_error(problem, self.address)
                if not isinstance(error, _AWAY) or not patience.wait(error):
                    raise error from None

    def _stream(
        self, open_stream: Callable[[], Any], patience: _Patience, interrupted: Callable[[ServiceError], None]
    ) -> Iterator[Any]:
        """Messages of a stream that is opened again, where it stopped, until it ends by itself."""
        while True:
            stream = open_stream()
            try:
                for message in stream:
                    patience.renew()
                    yield message
                return
            except grpc.RpcError as problem:
                error = from_rpc_error(problem, self.address)
                if not isinstance(error, _AWAY):
                    raise error from None
                interrupted(error)
                if not patience.wait(error):
                    raise error from None
            finally:
                stream.cancel()


class RemoteJob:
    """One job of a service."""

    def __init__(self, client: Client, job_id: str) -> None:
        self._client = client
        self.id = job_id

    def get(self) -> r.Job:
        """The job as it stands. Raises JobNotFoundError."""
        answer = self._client._call(self._client._jobs.GetJob, pb.GetJobRequest(job_id=self.id))
        return messages.job_from_message(answer.job)

    def code(self) -> r.Code:
        """The program it was submitted with."""
        request = pb.GetJobRequest(job_id=self.id, include_code=True)
        return messages.code_from_message(
            self._client._call(self._client._jobs.GetJob, request).job.spec.code
        )

    def cancel(self) -> r.Job:
        """Asks it to stop, and returns it as it stands; one that has ended is left as it is."""
        answer = self._client._call(self._client._jobs.CancelJob, pb.CancelJobRequest(job_id=self.id))
        return messages.job_from_message(answer.job)

    def pause(self) -> r.Job:
        """Asks it to write a checkpoint and give its workers back, and returns it as it stands. Raises JobStateError."""
        answer = self._client._call(self._client._jobs.PauseJob, pb.PauseJobRequest(job_id=self.id))
        return messages.job_from_message(answer.job)

    def resume(self) -> r.Job:
        """Queues it again where it is paused, and returns it as it stands. Raises JobStateError."""
        answer = self._client._call(self._client._jobs.ResumeJob, pb.ResumeJobRequest(job_id=self.id))
        return messages.job_from_message(answer.job)

    def resize(self, workers: int) -> r.Job:
        """Says how many workers it is to have, and returns it as it stands. Raises JobStateError, ResizeLimitError."""
        request = pb.ResizeJobRequest(job_id=self.id, workers=workers)
        answer = self._client._call(self._client._jobs.ResizeJob, request)
        return messages.job_from_message(answer.job)

    def update(
        self,
        *,
        lr: float | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        remove_labels: Sequence[str] = (),
    ) -> r.Job:
        """Changes what is given, and returns the job as it stands. The learning rate holds from the next step boundary on.

        Raises JobStateError, InvalidRequestError.
        """
        options = {} if lr is None else {"lr": lr}
        update = r.Update(options, priority, dict(labels or {}), tuple(remove_labels))
        request = messages.update_to_message(self.id, update)
        answer = self._client._call(self._client._jobs.UpdateJob, request)
        return messages.job_from_message(answer.job)

    def watch(
        self,
        after: int = 0,
        reconnect_for_s: float = 60.0,
        interrupted: Callable[[ServiceError], None] = lambda error: None,
    ) -> Iterator[r.Event]:
        """Its events after number `after`, as they come, each once and in order; ends with the terminal state.

        When the connection or the service is lost it goes on from the last event, trying for `reconnect_for_s`
        seconds, calling `interrupted` each time. Raises JobNotFoundError, CursorAheadError, UnreachableError.
        """
        cursor = after
        patience = _Patience(self._client._retry_for_s, reconnect_for_s)

        def open_stream() -> Any:
            request = pb.WatchJobRequest(job_id=self.id, after=cursor)
            return self._client._jobs.WatchJob(request, metadata=self._client._metadata)

        while True:
            for answer in self._client._stream(open_stream, patience, interrupted):
                if not answer.HasField("event") or answer.event.number <= cursor:
                    continue
                if answer.event.number != cursor + 1:
                    raise UnexpectedError(
                        f"job {self.id}: event {answer.event.number} came after event {cursor}"
                    )
                cursor = answer.event.number
                event = messages.event_from_message(answer.event)
                if event is not None:
                    yield event
                    if isinstance(event.kind, r.StateChanged) and event.kind.state.terminal:
                        return
            job = self.get()
            if job.state.terminal and cursor >= job.last_event:
                return

    def wait(self) -> r.Job:
        """Waits for its end and returns it."""
        for _ in self.watch(self.get().last_event):
            pass
        return self.get()

    def logs(self, follow: bool = False) -> Iterator[r.LogLine]:
        """The lines its code printed so far; with `follow`, also those to come, until it ends."""
        last = None if follow else self.get().last_event
        if last == 0:
            return
        for event in self.watch():
            if isinstance(event.kind, r.LogLine):
                yield event.kind
            if last is not None and event.number >= last:
                return

    def checkpoints(self) -> list[r.Checkpoint]:
        """Its checkpoints that are whole on the service's storage, newest first."""
        request = pb.ListCheckpointsRequest(job_id=self.id)
        answer = self._client._call(self._client._jobs.ListCheckpoints, request)
        return [messages.checkpoint_from_message(each) for each in answer.checkpoints]

    def download(
        self,
        target: Path,
        step: int | None = None,
        received: Callable[[int, int], None] = lambda got, of: None,
    ) -> r.Checkpoint:
        """Brings a checkpoint (the newest, or that of `step`) into the new folder `target`, checked and whole or not at all.

        `received` is told the bytes so far and in all. Raises DownloadError.
        """
        if target.exists():
            raise DownloadError(f"{target} exists already: name a new folder with --to, or remove it")
        found = self.checkpoints()
        if not found:
            raise DownloadError(
                f"job {self.id} has no checkpoint yet: `gradwire watch {self.id}` shows when it has"
            )
        chosen = [each for each in found if step is None or each.step == step]
        if not chosen:
            has = ", ".join(str(each.step) for each in found)
            raise DownloadError(
                f"job {self.id} has no checkpoint of step {step}; it has those of steps {has}"
            )
        checkpoint = chosen[0]
        total, before = sum(file.size for file in checkpoint.files), 0
        aside = target.absolute().parent / f".tmp-{target.name}-{uuid.uuid4().hex[:8]}"
        try:
            aside.mkdir(parents=True)
            for file in checkpoint.files:
                if Path(file.name).name != file.name:
                    raise DownloadError(f"the service named a file outside of the checkpoint: {file.name!r}")
                for got in self._fetch(file, aside / file.name):
                    received(before + got, total)
                before += file.size
            aside.rename(target)
        except OSError as error:
            raise DownloadError(f"can't write {target}: {error.strerror}") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return checkpoint

    def _fetch(self, file: r.CheckpointFile, target: Path) -> Iterator[int]:
        digest, got = hashlib.sha256(), 0
        blobs = self._client._blobs
        patience = _Patience(self._client._retry_for_s, self._client._retry_for_s)
        with open(target, "xb") as out:
            chunks = self._client._stream(
                lambda: blobs.ReadBlob(
                    blobs_pb2.ReadBlobRequest(job_id=self.id, sha256=file.sha256, offset=got),
                    metadata=self._client._metadata,
                ),
                patience,
                lambda error: None,
            )
            for chunk in chunks:
                out.write(chunk.data)
                digest.update(chunk.data)
                got += len(chunk.data)
                yield got
        if digest.hexdigest() != file.sha256:
            raise DownloadError(
                f"{file.name} came with sha256 {digest.hexdigest()}, not {file.sha256}: it is damaged on the service's storage"
            )
