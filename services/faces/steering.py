"""CancelJob, PauseJob, ResumeJob, ResizeJob, UpdateJob, DeleteJob, UndeleteJob."""

import asyncio

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages
from gradwire.services.faces.calls import Context, caller, unary
from gradwire.services.faces.family import Family
from gradwire.services.validation import checked_update, checked_workers


class Steering(Family):
    """What an owner asks of a job."""

    @unary
    async def CancelJob(self, request: pb.CancelJobRequest, context: Context) -> pb.CancelJobResponse:
        change = await asyncio.wrap_future(
            self._store.request_cancel(request.job_id, caller(context), request.etag)
        )
        return pb.CancelJobResponse(job=self._render(change.job))

    @unary
    async def PauseJob(self, request: pb.PauseJobRequest, context: Context) -> pb.PauseJobResponse:
        change = await asyncio.wrap_future(
            self._store.request_pause(request.job_id, caller(context), request.etag)
        )
        return pb.PauseJobResponse(job=self._render(change.job))

    @unary
    async def ResumeJob(self, request: pb.ResumeJobRequest, context: Context) -> pb.ResumeJobResponse:
        change = await asyncio.wrap_future(
            self._store.request_resume(request.job_id, caller(context), request.etag)
        )
        return pb.ResumeJobResponse(job=self._render(change.job))

    @unary
    async def ResizeJob(self, request: pb.ResizeJobRequest, context: Context) -> pb.ResizeJobResponse:
        workers, capacity = checked_workers(request.workers), self._runner.capacity()
        change = await asyncio.wrap_future(
            self._store.request_resize(request.job_id, workers, capacity, caller(context), request.etag)
        )
        return pb.ResizeJobResponse(job=self._render(change.job))

    @unary
    async def UpdateJob(self, request: pb.UpdateJobRequest, context: Context) -> pb.UpdateJobResponse:
        update = checked_update(messages.update_from_message(request))
        change = await asyncio.wrap_future(
            self._store.request_update(request.job_id, update, caller(context), request.etag)
        )
        return pb.UpdateJobResponse(job=self._render(change.job))

    @unary
    async def DeleteJob(self, request: pb.DeleteJobRequest, context: Context) -> pb.DeleteJobResponse:
        change = await asyncio.wrap_future(
            self._store.request_delete(request.job_id, self._retention, caller(context), request.etag)
        )
        return pb.DeleteJobResponse(job=self._render(change.job))

    @unary
    async def UndeleteJob(self, request: pb.UndeleteJobRequest, context: Context) -> pb.UndeleteJobResponse:
        change = await asyncio.wrap_future(self._store.request_undelete(request.job_id, caller(context)))
        return pb.UndeleteJobResponse(job=self._render(change.job))
