"""The Python client of a gradwire service: synchronous, typed, and undisturbed by a service that restarts.

    with Client("127.0.0.1:7411") as client:
        job = client.submit("digits.py", workers=2, overrides={"lr": "0.01"})
        for event in job.watch():
            print(event.number, event.kind)

Calls are tried again while the service is away; a submit carries a request_id, so that trying again is not a
second job. Errors are those of errors.py. What is sent and how it is read stands in calls.py.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gradwire.services import records as r
from gradwire.services.accounts import AccountChange
from gradwire.services.accounts_and_reasons import OwnerAccount
from gradwire.services.client import account_calls, calls, downloads, uploads
from gradwire.services.client.account_calls import AccountPages
from gradwire.services.client.attachments import attached, program_of, with_blobs
from gradwire.services.client.calls import Following, JobPages, Output, SubmitOptions
from gradwire.services.client.connection import CALL_TIMEOUT_S, DEFAULT_ADDRESS, OPTIONS, Call, Stream, Stubs
from gradwire.services.client.patience import Patience, worth_repeating
from gradwire.services.client.uploads import UPLOAD, Outgoing
from gradwire.services.errors import BlobNotFoundError, ClosedError, ServiceError, from_rpc_error
from gradwire.services.explanation import Explanation
from gradwire.services.scheduling import Quota
from gradwire.services.security.access import Access, find_access
from gradwire.services.states import JobState

T = TypeVar("T")


class Client:
    """A connection to the service at `address`. May be used from several threads."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        retry_for_s: float = 10.0,
        access: Access | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        """`retry_for_s`: how long a call is tried again while nobody answers; 0 for one try. `timeout_s`: what one try may take.

        `access`: the token and the TLS files; None takes those of the environment and of `gradwire login`. Raises AccessError.
        """
        access = find_access(address) if access is None else access
        self.access = access
        self._metadata = access.metadata()
        self.address = address
        self._retry_for_s, self._timeout_s = retry_for_s, timeout_s
        self._closed = False
        self._channel = access.channel(address, OPTIONS)
        self._stubs = Stubs(self._channel)
        self._health = health_pb2_grpc.HealthStub(self._channel)

    def close(self) -> None:
        """Ends the connection and every watch on it."""
        self._closed = True
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
        answer = self._send(self._health.Check, request)  # type: ignore[attr-defined]
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def submit(
        self, program: str | os.PathLike[str] | r.Code, **options: Unpack[SubmitOptions]
    ) -> "RemoteJob":
        """Stores a job and returns it, waiting in the queue. It starts with `workers`; see SubmitOptions.

        `program` is a job file (sent with the modules beside it that it imports), its path in `archive`, or code made by hand.
        Raises SourceError, UploadError, InvalidRequestError, UnreachableError.
        """
        files, options = attached(options)
        if files:
            options = with_blobs(options, {file: self.upload(file) for file in files})
        code = program_of(program, options)
        return RemoteJob(self, self._call(calls.submit(code, options)))

    def job(self, job_id: str) -> "RemoteJob":
        """A job by its id; whether it exists is seen when it is asked for something."""
        return RemoteJob(self, job_id)

    def jobs(
        self,
        states: Sequence[JobState] = (),
        limit: int | None = None,
        *,
        filter: str = "",
        show_deleted: bool = False,
    ) -> Iterator[r.Job]:
        """Jobs in one of `states` (none means all) and as `filter` says, newest first, fetched page by page.

        `filter`: in the language of AIP-160, see docs/grpc.md. Raises InvalidRequestError.
        """
        pages = JobPages(states, limit, filter, show_deleted)
        while pages.more:
            yield from self._call(pages.call())

    def account(self, owner: str = "") -> OwnerAccount:
        """An owner's account; one's own where no name is given. Raises ForbiddenError for others' without the scope admin."""
        return self._call(account_calls.get_account(owner))

    def accounts(self) -> Iterator[OwnerAccount]:
        """The accounts of all owners, by name; one's own alone without the scope admin."""
        pages = AccountPages()
        while pages.more:
            yield from self._call(pages.call())

    def update_account(
        self, owner: str, *, weight: float | None = None, quota: Quota | None = None
    ) -> OwnerAccount:
        """Changes an account, whose quota comes whole, and returns it. Raises ForbiddenError without the scope admin, InvalidRequestError."""
        return self._call(account_calls.update_account(owner, AccountChange(weight, quota)))

    def upload(
        self, path: str | os.PathLike[str], sent: Callable[[int, int], None] = lambda got, of: None
    ) -> str:
        """Sends a file, and returns its sha256 when the service has it whole on disk. What it has already is not sent again.

        Goes on where it broke when the connection or the service is lost, trying for a minute each time. `sent` is told the
        bytes so far and in all. Raises UploadError, InvalidRequestError, UnreachableError.
        """
        with Outgoing(Path(path), sent) as outgoing:
            patience = Patience(self._retry_for_s, max(self._retry_for_s, uploads.RECONNECT_S))
            while True:
                try:
                    outgoing.take(self._call(outgoing.look()))
                except BlobNotFoundError:
                    outgoing.take(None)
                if outgoing.whole:
                    return outgoing.sha256
                if outgoing.came_further:
                    patience.renew()
                self._check_open()
                try:
                    answer = self._stubs.method(UPLOAD)(outgoing.requests(), metadata=self._metadata)
                    if UPLOAD.read(answer).received == outgoing.size:
                        return outgoing.sha256
                    continue
                except grpc.RpcError as problem:
                    self._check_open()
                    error = from_rpc_error(problem, self.address)
                if outgoing.fails(error):
                    continue
                pause_s = patience.pause_s(error)
                if pause_s is None:
                    raise error
                time.sleep(pause_s)

    def blobs(self) -> Iterator[r.Blob]:
        """One's own blobs, newest first, fetched page by page."""
        token, more = "", True
        while more:
            found, token = self._call(uploads.list_blobs(token))
            yield from found
            more = bool(token)

    def blob(self, sha256: str) -> r.Blob:
        """A blob as it stands. Raises BlobNotFoundError."""
        return self._call(uploads.get_blob(sha256))

    def delete_blob(self, sha256: str) -> None:
        """Removes a blob; jobs that were submitted with it keep it. Raises BlobNotFoundError."""
        self.blob(sha256)
        # It was there: where a repeated call finds none, the one before was carried out.
        with suppress(BlobNotFoundError):
            self._call(uploads.delete_blob(sha256))

    def download_blob(
        self,
        sha256: str,
        target: Path,
        received: Callable[[int, int], None] = lambda got, of: None,
    ) -> None:
        """Brings a blob into the new file `target`, checked and whole or not at all. Raises DownloadError, BlobNotFoundError."""
        with downloads.IncomingBlob(target, sha256) as incoming:
            patience = Patience(self._retry_for_s, self._retry_for_s)
            for answer in self._stream(incoming.stream(), patience):
                incoming.take(answer)
                received(incoming.got, incoming.total)
            incoming.keep()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError.of(self.address) from None

    def _call(self, call: Call[T]) -> T:
        return call.read(self._send(self._stubs.method(call), call.request, call.repeatable))

    def _send(self, method: Callable[..., T], request: object, repeatable: bool = True) -> T:
        patience = Patience(self._retry_for_s, self._retry_for_s)
        while True:
            self._check_open()
            try:
                return method(request, timeout=self._timeout_s, metadata=self._metadata)
            except grpc.RpcError as problem:
                self._check_open()
                error = from_rpc_error(problem, self.address)
                pause_s = patience.pause_s(error, repeatable)
                if pause_s is None:
                    raise error from None
            time.sleep(pause_s)

    def _stream(
        self,
        stream: Stream,
        patience: Patience,
        interrupted: Callable[[ServiceError], None] = lambda error: None,
    ) -> Iterator[Any]:
        """Messages of a stream that is opened again, where it stopped, until it ends by itself."""
        while True:
            self._check_open()
            opened = self._stubs.method(stream)(stream.request(), metadata=self._metadata)
            try:
                for message in opened:
                    patience.renew()
                    yield message
                return
            except grpc.RpcError as problem:
                self._check_open()
                error = from_rpc_error(problem, self.address)
                pause_s = patience.pause_s(error)
                if worth_repeating(error):
                    interrupted(error)
                if pause_s is None:
                    raise error from None
            finally:
                opened.cancel()
            time.sleep(pause_s)


class RemoteJob:
    """One job of a service."""

    def __init__(self, client: Client, job_id: str) -> None:
        self._client = client
        self.id = job_id

    def get(self) -> r.Job:
        """The job as it stands. Raises JobNotFoundError."""
        return self._client._call(calls.get_job(self.id))

    def explain(self) -> Explanation:
        """Why it does not run: what is short, who holds it, its place in the queue. Raises JobNotFoundError."""
        return self._client._call(account_calls.explain(self.id))

    def code(self) -> r.Code:
        """The program it was submitted with."""
        return self._client._call(calls.get_code(self.id))

    def cancel(self, *, etag: str = "") -> r.Job:
        """Asks it to stop, and returns it as it stands; one that has ended is left as it is."""
        return self._client._call(calls.cancel(self.id, etag))

    def pause(self, *, etag: str = "") -> r.Job:
        """Asks it to write a checkpoint and give its workers back, and returns it as it stands. Raises JobStateError."""
        return self._client._call(calls.pause(self.id, etag))

    def resume(self, *, etag: str = "") -> r.Job:
        """Queues it again where it is paused, and returns it as it stands. Raises JobStateError."""
        return self._client._call(calls.resume(self.id, etag))

    def resize(self, workers: int, *, etag: str = "") -> r.Job:
        """Says how many workers it is to have, and returns it as it stands. Raises JobStateError, ResizeLimitError."""
        return self._client._call(calls.resize(self.id, workers, etag))

    def delete(self, *, etag: str = "") -> r.Job:
        """Marks it, where it has ended, as deleted: what is left of it goes at its expire_time. Raises JobStateError."""
        return self._client._call(calls.delete(self.id, etag))

    def undelete(self) -> r.Job:
        """Takes a deletion back, until its expire_time. Raises JobNotFoundError."""
        return self._client._call(calls.undelete(self.id))

    def update(
        self,
        *,
        lr: float | None = None,
        priority: int | None = None,
        labels: Mapping[str, str] | None = None,
        remove_labels: Sequence[str] = (),
        etag: str = "",
    ) -> r.Job:
        """Changes what is given, and returns the job as it stands. The learning rate holds from the next step boundary on.

        `etag`, here and elsewhere: that of the job as it was read; EtagError where it was changed since. Raises JobStateError,
        InvalidRequestError.
        """
        return self._client._call(calls.update(self.id, lr, priority, labels, remove_labels, etag))

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
        following = Following(self.id, after)
        patience = Patience(self._client._retry_for_s, reconnect_for_s)
        while not following.ended:
            for answer in self._client._stream(following.stream(), patience, interrupted):
                event = following.take(answer)
                if event is not None:
                    yield event
                if following.ended:
                    return
            following.look(self.get())

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

    def read_logs(
        self,
        rank: int = 0,
        stream: str = "stdout",
        offset: int = 0,
        follow: bool = False,
        reconnect_for_s: float = 60.0,
        interrupted: Callable[[ServiceError], None] = lambda error: None,
    ) -> Iterator[bytes]:
        """The bytes that a worker printed to "stdout" or "stderr", from byte `offset` on; with `follow` to the job's end.

        When the connection or the service is lost it goes on where it was, as `watch` does. Raises CursorAheadError where there
        are fewer bytes.
        """
        output = Output(self.id, rank, stream, offset, follow)
        patience = Patience(self._client._retry_for_s, reconnect_for_s)
        for answer in self._client._stream(output.stream(), patience, interrupted):
            if data := output.take(answer):
                yield data

    def metrics(
        self,
        names: Sequence[str] = (),
        *,
        first_step: int = 0,
        last_step: int = 0,
        max_points: int = 0,
        evaluation: bool = False,
    ) -> list[r.MetricSeries]:
        """Its metrics (those of `names`, or all) over steps, or over evaluations, in order of names; 0 means no bound.

        At most `max_points` (0: 1000) of each: more steps are put together. Raises InvalidRequestError.
        """
        return self._client._call(
            calls.query_metrics(self.id, names, first_step, last_step, max_points, evaluation)
        )

    def replay(self, workers: int = 1, request_id: str = "") -> "RemoteJob":
        """Queues a job that repeats it, and must have its bits, on `workers` workers. Raises JobStateError where it has not ended."""
        return RemoteJob(self._client, self._client._call(calls.replay(self.id, workers, request_id)))

    def verify(self, against: str = "") -> r.Comparison:
        """Compares its bits with those of the job `against`, or of its newest replay that has ended. Raises JobStateError."""
        return self._client._call(calls.verify(self.id, against))

    def checkpoints(self) -> list[r.Checkpoint]:
        """Its checkpoints that are whole on the service's storage, newest first."""
        return self._client._call(calls.list_checkpoints(self.id))

    def download(
        self,
        target: Path,
        step: int | None = None,
        received: Callable[[int, int], None] = lambda got, of: None,
    ) -> r.Checkpoint:
        """Brings a checkpoint (the newest, or that of `step`) into the new folder `target`, checked and whole or not at all.

        `received` is told the bytes so far and in all. Raises DownloadError.
        """
        downloads.check_target(target)
        checkpoint = downloads.chosen(self.id, self.checkpoints(), step)
        with downloads.Incoming(target, checkpoint) as incoming:
            for file in checkpoint.files:
                with incoming.file(self.id, file) as part:
                    patience = Patience(self._client._retry_for_s, self._client._retry_for_s)
                    for answer in self._client._stream(part.stream(), patience):
                        part.take(answer)
                        received(incoming.got, incoming.total)
                    part.check()
            incoming.keep()
        return checkpoint
