"""GetJob, ListJobs, ListCheckpoints."""

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages
from gradwire.services.checkpoints import list_checkpoints
from gradwire.services.errors import InvalidRequestError, Violation
from gradwire.services.faces.calls import Context, caller, unary
from gradwire.services.faces.family import Family
from gradwire.services.listing.language import parse
from gradwire.services.listing.pages import Query
from gradwire.services.states import JobState

PAGE_SIZE = 50
PAGE_LIMIT = 1000


class Reading(Family):
    """Jobs as they stand."""

    @unary
    async def GetJob(self, request: pb.GetJobRequest, context: Context) -> pb.GetJobResponse:
        job = await self._readers.run(self._store.get, request.job_id, caller(context))
        message = self._render(job)
        if request.include_code:
            code = await self._readers.run(self._store.code, request.job_id, caller(context))
            message.spec.code.CopyFrom(messages.code_to_message(code))
        return pb.GetJobResponse(job=message)

    @unary
    async def ListJobs(self, request: pb.ListJobsRequest, context: Context) -> pb.ListJobsResponse:
        wrong = []
        if request.page_size < 0:
            wrong.append(Violation("page_size", f"expected 0 or more, not {request.page_size}"))
        known = {int(state) for state in JobState}
        unknown = [int(state) for state in request.states if state not in known]
        if unknown:
            wrong.append(Violation("states", f"{unknown[0]} is no state of a job"))
        try:
            parse(request.filter)
        except InvalidRequestError as error:
            wrong += error.violations
        if wrong:
            raise InvalidRequestError(wrong)
        query = Query(
            min(request.page_size or PAGE_SIZE, PAGE_LIMIT),
            request.page_token,
            tuple(JobState(state) for state in request.states),
            request.filter,
            request.show_deleted,
        )
        page = await self._readers.run(self._store.page, query, caller(context))
        return pb.ListJobsResponse(
            jobs=[self._render(job) for job in page.jobs], next_page_token=page.next_token
        )

    @unary
    async def ListCheckpoints(
        self, request: pb.ListCheckpointsRequest, context: Context
    ) -> pb.ListCheckpointsResponse:
        await self._readers.run(self._store.get, request.job_id, caller(context))
        found = await self._readers.run(list_checkpoints, self._home.checkpoints(request.job_id))
        return pb.ListCheckpointsResponse(
            checkpoints=[messages.checkpoint_to_message(each) for each in found]
        )
