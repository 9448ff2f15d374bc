"""The gRPC face of the service: parse, one call of the domain, render. Runs on one asyncio loop; wired by service.py.

Nothing here blocks the loop: changes are futures of the store's writer, reads run in a few threads. A
client's deadline or cancellation ends its wait and never a commit.
"""

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from gradwire.proto.v1 import blobs_pb2, blobs_pb2_grpc, jobs_pb2_grpc
from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages
from gradwire.services import records as r
from gradwire.services.checkpoints import FoundFile, find_file, list_checkpoints
from gradwire.services.errors import (
    DrainingError,
    FileNotFoundInJobError,
    InvalidRequestError,
    ServiceError,
    Violation,
    to_status,
)
from gradwire.services.feed import EventFeed
from gradwire.services.home import Home
from gradwire.services.kill_points import reach
from gradwire.services.runner import Runner
from gradwire.services.security.callers import Caller, caller_of_this_call
from gradwire.services.states import JobState
from gradwire.services.store import NewJob, Store
from gradwire.services.validation import checked_spec, checked_update, checked_workers

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
# The context's type: the published stubs lack abort_with_status.
Context = Any

PAGE_SIZE = 50
PAGE_LIMIT = 1000
CHUNK_BYTES = 1024 * 1024
HEARTBEAT_S = 10.0
READERS = 4


def _caller(context: Context) -> Caller:
    """Who makes this call, as the gate found."""
    return replace(caller_of_this_call.get(), peer=context.peer())


def _unary(
    method: Callable[[Any, Any, Context], Awaitable[T]],
) -> Callable[[Any, Any, Context], Awaitable[T]]:
    """Gives the errors of an RPC their status."""

    @functools.wraps(method)
    async def answered(self: Any, request: Any, context: Context) -> T:
        try:
            return await method(self, request, context)
        except ServiceError as error:
            await context.abort_with_status(to_status(error))
            raise

    return answered


def _stream(
    method: Callable[[Any, Any, Context], AsyncIterator[T]],
) -> Callable[[Any, Any, Context], AsyncIterator[T]]:
    """Gives the errors of a streaming RPC their status."""

    @functools.wraps(method)
    async def answered(self: Any, request: Any, context: Context) -> AsyncIterator[T]:
        try:
            async with aclosing(method(self, request, context)) as answers:  # type: ignore[type-var]
                async for answer in answers:
                    yield answer
        except ServiceError as error:
            await context.abort_with_status(to_status(error))

    return answered


class Readers:
    """A few threads for reads of the store and of files."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="reader")

    async def run(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `read` returns, run aside."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, functools.partial(read, *args, **kwargs))

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=True)


class JobsFace(jobs_pb2_grpc.JobsServicer):
    """gradwire.v1.Jobs."""

    def __init__(
        self,
        store: Store,
        runner: Runner,
        home: Home,
        feed: EventFeed,
        readers: Readers,
        new_id: Callable[[r.JobSpec], str],
    ) -> None:
        self._store, self._runner, self._home = store, runner, home
        self._feed, self._readers, self._new_id = feed, readers, new_id
        self._draining = False

    def drain(self) -> None:
        """Refuses new jobs from now on."""
        self._draining = True

    @_unary
    async def SubmitJob(self, request: pb.SubmitJobRequest, context: Context) -> pb.SubmitJobResponse:
        reach("received")
        if self._draining:
            raise DrainingError("the service is stopping and takes no new jobs: submit again when it is back")
        spec = checked_spec(
            messages.spec_from_message(request.spec), request.request_id, self._runner.capacity()
        )
        new = NewJob(self._new_id(spec), spec, request.request_id, _caller(context))
        if request.validate_only:
            return pb.SubmitJobResponse(job=pb.Job(spec=messages.spec_to_message(_without_files(spec))))
        reach("checked")
        stored = self._store.submit(new)
        reach("queued")
        change = await asyncio.wrap_future(stored)
        reach("resumed")
        answer = pb.SubmitJobResponse(job=self._render(change.job))
        reach("rendered")
        return answer

    @_unary
    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.GetJobResponse:
        job = await self._readers.run(self._store.get, request.job_id, _caller(context))
        message = self._render(job)
        if request.include_code:
            code = await self._readers.run(self._store.code, request.job_id, _caller(context))
            message.spec.code.CopyFrom(messages.code_to_message(code))
        return pb.GetJobResponse(job=message)

    @_unary
    async def ListJobs(self, request: pb.ListJobsRequest, context: Context) -> pb.ListJobsResponse:
        if request.page_size < 0:
            raise InvalidRequestError(
                [Violation("page_size", f"expected 0 or more, not {request.page_size}")]
            )
        known = {int(state) for state in JobState}
        unknown = [int(state) for state in request.states if state not in known]
        if unknown:
            raise InvalidRequestError([Violation("states", f"{unknown[0]} is no state of a job")])
        size = min(request.page_size or PAGE_SIZE, PAGE_LIMIT)
        states = [JobState(state) for state in request.states]
        page = await self._readers.run(self._store.page, size, request.page_token, states, _caller(context))
        return pb.ListJobsResponse(
            jobs=[self._render(job) for job in page.jobs], next_page_token=page.next_token
        )

    @_stream
    async def WatchJob(
        self, request: pb.WatchJobRequest, context: Context
    ) -> AsyncIterator[pb.WatchJobResponse]:
        if request.after < 0:
            raise InvalidRequestError([Violation("after", f"expected 0 or more, not {request.after}")])
        await self._readers.run(self._store.check_visible, request.job_id, _caller(context))
        batches = self._feed.batches(request.job_id, request.after, HEARTBEAT_S)
        async with aclosing(batches) as following:  # type: ignore[type-var]
            async for events, cursor in following:
                for event in events:
                    yield pb.WatchJobResponse(event=pb.Event.FromString(event.body), cursor=event.number)
                if not events:
                    yield pb.WatchJobResponse(cursor=cursor)

    @_unary
    async def CancelJob(self, request: pb.CancelJobRequest, context: Context) -> pb.CancelJobResponse:
        change = await asyncio.wrap_future(self._store.request_cancel(request.job_id, _caller(context)))
        return pb.CancelJobResponse(job=self._render(change.job))

    @_unary
    async def PauseJob(self, request: pb.PauseJobRequest, context: Context) -> pb.PauseJobResponse:
        change = await asyncio.wrap_future(self._store.request_pause(request.job_id, _caller(context)))
        return pb.PauseJobResponse(job=self._render(change.job))

    @_unary
    async def ResumeJob(self, request: pb.ResumeJobRequest, context: Context) -> pb.ResumeJobResponse:
        change = await asyncio.wrap_future(self._store.request_resume(request.job_id, _caller(context)))
        return pb.ResumeJobResponse(job=self._render(change.job))

    @_unary
    async def ResizeJob(self, request: pb.ResizeJobRequest, context: Context) -> pb.ResizeJobResponse:
        workers, capacity = checked_workers(request.workers), self._runner.capacity()
        change = await asyncio.wrap_future(
            self._store.request_resize(request.job_id, workers, capacity, _caller(context))
        )
        return pb.ResizeJobResponse(job=self._render(change.job))

    @_unary
    async def UpdateJob(self, request: pb.UpdateJobRequest, context: Context) -> pb.UpdateJobResponse:
        update = checked_update(messages.update_from_message(request))
        change = await asyncio.wrap_future(
            self._store.request_update(request.job_id, update, _caller(context))
        )
        return pb.UpdateJobResponse(job=self._render(change.job))

    @_unary
    async def ListCheckpoints(
        self, request: pb.ListCheckpointsRequest, context: Context
    ) -> pb.ListCheckpointsResponse:
        await self._readers.run(self._store.get, request.job_id, _caller(context))
        found = await self._readers.run(list_checkpoints, self._home.checkpoints(request.job_id))
        return pb.ListCheckpointsResponse(
            checkpoints=[messages.checkpoint_to_message(each) for each in found]
        )

    def _render(self, job: r.Job) -> pb.Job:
        if job.state in (JobState.QUEUED, JobState.RUNNING):
            job = replace(job, waiting_reason=self._runner.waiting_reason(job.id))
        return messages.job_to_message(job)


class BlobsFace(blobs_pb2_grpc.BlobsServicer):
    """gradwire.v1.Blobs."""

    def __init__(self, store: Store, home: Home, readers: Readers) -> None:
        self._store, self._home, self._readers = store, home, readers

    @_stream
    async def ReadBlob(
        self, request: blobs_pb2.ReadBlobRequest, context: Context
    ) -> AsyncIterator[blobs_pb2.ReadBlobResponse]:
        await self._readers.run(self._store.get, request.job_id, _caller(context))
        found = await self._readers.run(find_file, self._home.checkpoints(request.job_id), request.sha256)
        if found is None:
            raise FileNotFoundInJobError(
                f"no checkpoint of job {request.job_id} has a file with sha256 {request.sha256[:64]!r}: "
                "older checkpoints are removed as newer ones are written; list them again",
                {"job": request.job_id, "sha256": request.sha256[:64]},
            )
        if not 0 <= request.offset <= found.size:
            raise InvalidRequestError(
                [Violation("offset", f"expected 0 to {found.size}, not {request.offset}")]
            )
        async for chunk in self._chunks(found, request.offset):
            yield blobs_pb2.ReadBlobResponse(data=chunk, total_size=found.size)

    async def _chunks(self, found: FoundFile, offset: int) -> AsyncIterator[bytes]:
        """The file's bytes from `offset`; one empty chunk where there are none, so that the size is always told."""
        # Opened once: a checkpoint that is removed meanwhile can still be read to its end.
        source = await self._readers.run(open, found.path, "rb")
        try:
            await self._readers.run(source.seek, offset)
            left = found.size - offset
            first = True
            while left > 0 or first:
                chunk: bytes = await self._readers.run(source.read, min(CHUNK_BYTES, left))
                if left > 0 and not chunk:
                    raise FileNotFoundInJobError(f"{Path(found.path).name} became shorter while it was read")
                left -= len(chunk)
                first = False
                yield chunk
        finally:
            source.close()


def _without_files(spec: r.JobSpec) -> r.JobSpec:
    return replace(spec, code=r.Code(spec.code.entrypoint))
