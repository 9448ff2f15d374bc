"""ExplainJob."""

from dataclasses import replace

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services.accounts_and_reasons import explanation_to_message
from gradwire.services.explanation import WaitCode, explain
from gradwire.services.faces.calls import Context, caller, unary
from gradwire.services.faces.family import Family


class Explaining(Family):
    """Why jobs wait."""

    @unary
    async def ExplainJob(self, request: pb.ExplainJobRequest, context: Context) -> pb.ExplainJobResponse:
        by = caller(context)
        job = await self._readers.run(self._store.get, request.job_id, by)
        found = explain(job, self._runner, by)
        if found.code == WaitCode.NOT_CONSIDERED and not self._leadership.leads:
            address = await self._readers.run(self._leadership.leader)
            where = (
                f"the front end at {address} schedules: ask that one"
                if address
                else "no front end schedules now"
            )
            found = replace(found, sentence=where)
        return explanation_to_message(found)
