"""The client for asyncio: the names and promises of synchronous.py, with `await` and `async for`.

    async with AsyncClient("127.0.0.1:7411") as client:
        job = await client.submit("digits.py", workers=2)
        async for event in job.watch():
            print(event.number, event.kind)

A task that is cancelled, or leaves a watch early, ends its call on the service as well.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
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
from gradwire.services.errors import BlobNotFoundError, ClosedError, ServiceError, from_rpc_error
from gradwire.services.explanation import Explanation
from gradwire.services.scheduling import Quota
from gradwire.services.security.access import Access, find_access
from gradwire.services.states import JobState

T = TypeVar("T")


class AsyncClient:
    """A connection to the service at `address`, for the tasks of one event loop: that of the first call."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        retry_for_s: float = 10.0,
        access: Access | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        """See synchronous.Client."""
        access = find_access(address) if access is None else access
        self.access = access
        self._metadata = access.metadata()
        self.address = address
        self._retry_for_s, self._timeout_s = retry_for_s, timeout_s
        self._channel: Any = None
        self._closed = False

    async def close(self) -> None:
        """Ends the connection and every watch on it."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def serving(self) -> bool:
        """True where the service answers and takes jobs. Raises UnreachableError where nobody answers."""
        self._connect()
        answer = await self._send(self._health.Check, health_pb2.HealthCheckRequest())
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def submit(
        self, program: str | os.PathLike[str] | r.Code, **options: Unpack[SubmitOptions]
    ) -> "AsyncRemoteJob":
        """Stores a job and returns it, waiting in the queue. It starts with `workers`; see SubmitOptions.

        `program` is a job file (sent with the modules beside it that it imports), its path in `archive`, or code made by hand.
        Raises SourceError, UploadError, InvalidRequestError, UnreachableError.
        """
        files, options = attached(options)
        if files:
            options = with_blobs(options, {file: await self.upload(file) for file in files})
        code = await asyncio.to_thread(program_of, program, options)
        return AsyncRemoteJob(self, await self._call(calls.submit(code, options)))

    def job(self, job_id: str) -> "AsyncRemoteJob":
        """A job by its id; whether it exists is seen when it is asked for something."""
        return AsyncRemoteJob(self, job_id)

    async def jobs(
        self,
        states: Sequence[JobState] = (),
        limit: int | None = None,
        *,
        filter: str = "",
        show_deleted: bool = False,
    ) -> AsyncIterator[r.Job]:
        """Jobs in one of `states` (none means all) and as `filter` says, newest first, fetched page by page.

        `filter`: in the language of AIP-160, see docs/grpc.md. Raises InvalidRequestError.
        """
        pages = JobPages(states, limit, filter, show_deleted)
        while pages.more:
            for job in await self._call(pages.call()):
                yield job

    async def upload(
        self, path: str | os.PathLike[str], sent: Callable[[int, int], None] = lambda got, of: None
    ) -> str:
        """Sends a file, and returns its sha256 when the service has it whole on disk. What it has already is not sent again.

        Goes on where it broke when the connection or the service is lost, trying for a minute each time. `sent` is told the
        bytes so far and in all. Raises UploadError, InvalidRequestError, UnreachableError.
        """
        outgoing = uploads.Outgoing(Path(path), sent)
        await asyncio.to_thread(outgoing.open)
        try:
            patience = Patience(self._retry_for_s, max(self._retry_for_s, uploads.RECONNECT_S))
            while True:
                try:
                    known = await self._call(outgoing.look())
                    outgoing.take(known)
                except BlobNotFoundError:
                    outgoing.take(None)
                if outgoing.whole:
                    return outgoing.sha256
                if outgoing.came_further:
                    patience.renew()
                try:
                    method = self._connect().method(uploads.UPLOAD)
                    answer = await method(_aside(outgoing.requests()), metadata=self._metadata)
                    if uploads.UPLOAD.read(answer).received == outgoing.size:
                        return outgoing.sha256
                    continue
                except (grpc.RpcError, asyncio.CancelledError) as problem:
                    error = self._end_of(problem)
                if await asyncio.to_thread(outgoing.fails, error):
                    continue
                pause_s = patience.pause_s(error)
                if pause_s is None:
                    raise error
                await asyncio.sleep(pause_s)
        finally:
            outgoing.close()

    async def blobs(self) -> AsyncIterator[r.Blob]:
        """One's own blobs, newest first, fetched page by page."""
        token, more = "", True
        while more:
            found, token = await self._call(uploads.list_blobs(token))
            for blob in found:
                yield blob
            more = bool(token)

    async def blob(self, sha256: str) -> r.Blob:
        """A blob as it stands. Raises BlobNotFoundError."""
        return await self._call(uploads.get_blob(sha256))

    async def delete_blob(self, sha256: str) -> None:
        """Removes a blob; jobs that were submitted with it keep it. Raises BlobNotFoundError."""
        await self.blob(sha256)
        # It was there: where a repeated call finds none, the one before was carried out.
        with suppress(BlobNotFoundError):
            await self._call(uploads.delete_blob(sha256))

    async def download_blob(
        self, sha256: str, target: Path, received: Callable[[int, int], None] = lambda got, of: None
    ) -> None:
        """Brings a blob into the new file `target`, checked and whole or not at all. Raises DownloadError, BlobNotFoundError."""
        with downloads.IncomingBlob(target, sha256) as incoming:
            answers: Any = self._stream(incoming.stream(), Patience(self._retry_for_s, self._retry_for_s))
            async with aclosing(answers) as coming:
                async for answer in coming:
                    await asyncio.to_thread(incoming.take, answer)
                    received(incoming.got, incoming.total)
            incoming.keep()

    async def account(self, owner: str = "") -> OwnerAccount:
        """An owner's account; one's own where no name is given. Raises ForbiddenError for others' without the scope admin."""
        return await self._call(account_calls.get_account(owner))

    async def accounts(self) -> AsyncIterator[OwnerAccount]:
        """The accounts of all owners, by name; one's own alone without the scope admin."""
        pages = AccountPages()
        while pages.more:
            for account in await self._call(pages.call()):
                yield account

    async def update_account(
        self, owner: str, *, weight: float | None = None, quota: Quota | None = None
    ) -> OwnerAccount:
        """Changes an account, whose quota comes whole, and returns it. Raises ForbiddenError without the scope admin, InvalidRequestError."""
        return await self._call(account_calls.update_account(owner, AccountChange(weight, quota)))

    def _connect(self) -> Stubs:
        if self._closed:
            raise ClosedError.of(self.address)
        if self._channel is None:
            # It belongs to the loop that runs when it is made.
            self._channel = self.access.channel_of_loop(self.address, OPTIONS)
            self._stubs = Stubs(self._channel)
            self._health: Any = health_pb2_grpc.HealthStub(self._channel)
        return self._stubs

    def _end_of(self, problem: grpc.RpcError | asyncio.CancelledError) -> ServiceError:
        """The error of a call that ended so. Raises the cancellation where it is the task's own."""
        if self._closed:
            task = asyncio.current_task()
            if task is None or not task.cancelling():
                return ClosedError.of(self.address)
        if isinstance(problem, asyncio.CancelledError):
            raise problem
        return from_rpc_error(problem, self.address)

    async def _call(self, call: Call[T]) -> T:
        method = self._connect().method(call)
        return call.read(await self._send(method, call.request, call.repeatable))

    async def _send(self, method: Callable[..., Any], request: object, repeatable: bool = True) -> Any:
        patience = Patience(self._retry_for_s, self._retry_for_s)
        while True:
            self._connect()
            try:
                return await method(request, timeout=self._timeout_s, metadata=self._metadata)
            except (grpc.RpcError, asyncio.CancelledError) as problem:
                error = self._end_of(problem)
            pause_s = patience.pause_s(error, repeatable)
            if pause_s is None:
                raise error
            await asyncio.sleep(pause_s)

    async def _stream(
        self,
        stream: Stream,
        patience: Patience,
        interrupted: Callable[[ServiceError], None] = lambda error: None,
    ) -> AsyncIterator[Any]:
        """Messages of a stream that is opened again, where it stopped, until it ends by itself."""
        while True:
            opened = self._connect().method(stream)(stream.request(), metadata=self._metadata)
            try:
                async for message in opened:
                    patience.renew()
                    yield message
                return
            except (grpc.RpcError, asyncio.CancelledError) as problem:
                error = self._end_of(problem)
            finally:
                opened.cancel()
            if worth_repeating(error):
                interrupted(error)
            pause_s = patience.pause_s(error)
            if pause_s is None:
                raise error
            await asyncio.sleep(pause_s)


async def _aside(requests: Iterator[Any]) -> AsyncIterator[Any]:
    """Reads the file in a thread, chunk by chunk."""
    while (request := await asyncio.to_thread(next, requests, None)) is not None:
        yield request


class AsyncRemoteJob:
    """One job of a service."""

    def __init__(self, client: AsyncClient, job_id: str) -> None:
        self._client = client
        self.id = job_id

    async def get(self) -> r.Job:
        """The job as it stands. Raises JobNotFoundError."""
        return await self._client._call(calls.get_job(self.id))

    async def explain(self) -> Explanation:
        """Why it does not run: what is short, who holds it, its place in the queue. Raises JobNotFoundError."""
        return await self._client._call(account_calls.explain(self.id))

    async def code(self) -> r.Code:
        """The program it was submitted with."""
        return await self._client._call(calls.get_code(self.id))

    async def cancel(self, *, etag: str = "") -> r.Job:
        """Asks it to stop, and returns it as it stands; one that has ended is left as it is."""
        return await self._client._call(calls.cancel(self.id, etag))

    async def pause(self, *, etag: str = "") -> r.Job:
        """Asks it to write a checkpoint and give its workers back, and returns it as it stands. Raises JobStateError."""
        return await self._client._call(calls.pause(self.id, etag))

    async def resume(self, *, etag: str = "") -> r.Job:
        """Queues it again where it is paused, and returns it as it stands. Raises JobStateError."""
        return await self._client._call(calls.resume(self.id, etag))

    async def resize(self, workers: int, *, etag: str = "") -> r.Job:
        """Says how many workers it is to have, and returns it as it stands. Raises JobStateError, ResizeLimitError."""
        return await self._client._call(calls.resize(self.id, workers, etag))

    async def delete(self, *, etag: str = "") -> r.Job:
        """Marks it, where it has ended, as deleted: what is left of it goes at its expire_time. Raises JobStateError."""
        return await self._client._call(calls.delete(self.id, etag))

    async def undelete(self) -> r.Job:
        """Takes a deletion back, until its expire_time. Raises JobNotFoundError."""
        return await self._client._call(calls.undelete(self.id))

    async def update(
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
        return await self._client._call(calls.update(self.id, lr, priority, labels, remove_labels, etag))

    async def watch(
        self,
        after: int = 0,
        reconnect_for_s: float = 60.0,
        interrupted: Callable[[ServiceError], None] = lambda error: None,
    ) -> AsyncIterator[r.Event]:
        """Its events after number `after`, as they come, each once and in order; ends with the terminal state.

        When the connection or the service is lost it goes on from the last event, trying for `reconnect_for_s`
        seconds, calling `interrupted` each time. Raises JobNotFoundError, CursorAheadError, UnreachableError.
        """
        following = Following(self.id, after)
        patience = Patience(self._client._retry_for_s, reconnect_for_s)
        while not following.ended:
            answers: Any = self._client._stream(following.stream(), patience, interrupted)
            async with aclosing(answers) as coming:
                async for answer in coming:
                    event = following.take(answer)
                    if event is not None:
                        yield event
                    if following.ended:
                        return
            following.look(await self.get())

    async def wait(self) -> r.Job:
        """Waits for its end and returns it."""
        job = await self.get()
        async for _ in self.watch(job.last_event):
            pass
        return await self.get()

    async def logs(self, follow: bool = False) -> AsyncIterator[r.LogLine]:
        """The lines its code printed so far; with `follow`, also those to come, until it ends."""
        last = None if follow else (await self.get()).last_event
        if last == 0:
            return
        events: Any = self.watch()
        async with aclosing(events) as coming:
            async for event in coming:
                if isinstance(event.kind, r.LogLine):
                    yield event.kind
                if last is not None and event.number >= last:
                    return

    async def read_logs(
        self,
        rank: int = 0,
        stream: str = "stdout",
        offset: int = 0,
        follow: bool = False,
        reconnect_for_s: float = 60.0,
        interrupted: Callable[[ServiceError], None] = lambda error: None,
    ) -> AsyncIterator[bytes]:
        """The bytes that a worker printed to "stdout" or "stderr", from byte `offset` on; with `follow` to the job's end.

        When the connection or the service is lost it goes on where it was, as `watch` does. Raises CursorAheadError where there
        are fewer bytes.
        """
        output = Output(self.id, rank, stream, offset, follow)
        patience = Patience(self._client._retry_for_s, reconnect_for_s)
        answers: Any = self._client._stream(output.stream(), patience, interrupted)
        async with aclosing(answers) as coming:
            async for answer in coming:
                if data := output.take(answer):
                    yield data

    async def metrics(
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
        return await self._client._call(
            calls.query_metrics(self.id, names, first_step, last_step, max_points, evaluation)
        )

    async def replay(self, workers: int = 1, request_id: str = "") -> "AsyncRemoteJob":
        """Queues a job that repeats it, and must have its bits, on `workers` workers. Raises JobStateError where it has not ended."""
        return AsyncRemoteJob(
            self._client, await self._client._call(calls.replay(self.id, workers, request_id))
        )

    async def verify(self, against: str = "") -> r.Comparison:
        """Compares its bits with those of the job `against`, or of its newest replay that has ended. Raises JobStateError."""
        return await self._client._call(calls.verify(self.id, against))

    async def checkpoints(self) -> list[r.Checkpoint]:
        """Its checkpoints that are whole on the service's storage, newest first."""
        return await self._client._call(calls.list_checkpoints(self.id))

    async def download(
        self,
        target: Path,
        step: int | None = None,
        received: Callable[[int, int], None] = lambda got, of: None,
    ) -> r.Checkpoint:
        """Brings a checkpoint (the newest, or that of `step`) into the new folder `target`, checked and whole or not at all.

        `received` is told the bytes so far and in all. Raises DownloadError.
        """
        downloads.check_target(target)
        checkpoint = downloads.chosen(self.id, await self.checkpoints(), step)
        with downloads.Incoming(target, checkpoint) as incoming:
            for file in checkpoint.files:
                with incoming.file(self.id, file) as part:
                    patience = Patience(self._client._retry_for_s, self._client._retry_for_s)
                    answers: Any = self._client._stream(part.stream(), patience)
                    async with aclosing(answers) as coming:
                        async for answer in coming:
                            await asyncio.to_thread(part.take, answer)
                            received(incoming.got, incoming.total)
                    part.check()
            incoming.keep()
        return checkpoint
