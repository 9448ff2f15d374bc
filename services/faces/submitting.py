"""SubmitJob."""

import asyncio
import functools
from dataclasses import replace

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages
from gradwire.services import records as r
from gradwire.services.errors import DrainingError, Violation
from gradwire.services.faces.calls import Context, caller, unary
from gradwire.services.faces.family import Family
from gradwire.services.kill_points import reach
from gradwire.services.store import NewJob
from gradwire.services.validation import checked_spec


class Submitting(Family):
    """New jobs."""

    @unary
    async def SubmitJob(self, request: pb.SubmitJobRequest, context: Context) -> pb.SubmitJobResponse:
        reach("received")
        if self._draining:
            raise DrainingError("the service is stopping and takes no new jobs: submit again when it is back")
        by = caller(context)
        asked = messages.spec_from_message(request.spec)
        code_sha256 = ""
        found: list[Violation] = []
        if asked.code_archive:
            asked, code_sha256, found = await self._lookers.run(self._inputs.look, asked, by.owner)
        check = functools.partial(
            checked_spec,
            asked,
            request.request_id,
            self._runner.capacity(),
            self._data_rules,
            functools.partial(self._inputs.usable, by.owner),
            self._most,
            found,
        )
        # Data may lie on a disk that is slow to answer.
        spec = await self._readers.run(check) if asked.data else check()
        new = NewJob(self._new_id(spec), spec, request.request_id, by, code_sha256=code_sha256)
        self._check_it_can_run(new)
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


def _without_files(spec: r.JobSpec) -> r.JobSpec:
    return replace(spec, code=r.Code(spec.code.entrypoint))
