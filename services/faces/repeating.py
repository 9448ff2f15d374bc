"""ReplayJob and VerifyJob: a job again, and whether its bits are the same."""

import asyncio
import re
from dataclasses import replace

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages
from gradwire.services import records as r
from gradwire.services.comparison import Chains, Run, compare, receipt_in
from gradwire.services.errors import (
    DrainingError,
    InvalidRequestError,
    JobStateError,
    Violation,
)
from gradwire.services.event_rows import STEPS
from gradwire.services.faces.calls import Context, caller, unary
from gradwire.services.faces.family import Family
from gradwire.services.security.callers import Caller
from gradwire.services.series import STEPS_AT_ONCE, read_steps
from gradwire.services.store import NewJob

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{0,64}\Z")
_LAST = 2**62


class Repeating(Family):
    """Jobs again."""

    @unary
    async def ReplayJob(self, request: pb.ReplayJobRequest, context: Context) -> pb.ReplayJobResponse:
        if self._draining:
            raise DrainingError("the service is stopping and takes no new jobs: ask again when it is back")
        by = caller(context)
        job = await self._readers.run(self._store.get, request.job_id, by)
        spec = self._checked(request, job)
        if not job.state.terminal:
            raise JobStateError(
                f"job {job.id} is {job.state.name.lower()}: what it does until its end would not be repeated. "
                "Replay it when it has ended",
                {"job": job.id, "state": job.state.name},
            )
        if not spec.code_archive:
            spec = replace(spec, code=await self._readers.run(self._store.code, job.id, by))
        new = NewJob(
            self._new_id(spec),
            spec,
            request.request_id,
            by,
            replay_of=job.id,
            options_history=job.options_history,
        )
        self._check_it_can_run(new)
        change = await asyncio.wrap_future(self._store.submit(new))
        return pb.ReplayJobResponse(job=self._render(change.job))

    def _checked(self, request: pb.ReplayJobRequest, job: r.Job) -> r.JobSpec:
        """What the replay is to be."""
        workers, most = request.workers or 1, self._runner.capacity().of(job.spec.device)
        wrong = []
        if not 1 <= workers <= job.spec.shards:
            wrong.append(
                Violation("workers", f"expected 1 to {job.spec.shards}, the job's shards, not {workers}")
            )
        elif workers > most:
            wrong.append(
                Violation("workers", f"this service can give at most {most} {job.spec.device} workers")
            )
        if not _REQUEST_ID.match(request.request_id):
            wrong.append(Violation("request_id", "expected a UUID (letters, digits, - and _, at most 64)"))
        if wrong:
            raise InvalidRequestError(wrong)
        return replace(job.spec, workers=workers, min_workers=0, max_workers=0)

    @unary
    async def VerifyJob(self, request: pb.VerifyJobRequest, context: Context) -> pb.VerifyJobResponse:
        by = caller(context)
        one = await self._readers.run(self._run_of, request.job_id, by)
        against = request.against_job_id
        if against == one.job.id:
            raise InvalidRequestError(
                [Violation("against_job_id", f"expected another job than {one.job.id}")]
            )
        against = against or await self._readers.run(self._store.newest_replay, one.job.id, by)
        if not against:
            raise JobStateError(
                f"job {one.job.id} has no replay that has ended: replay it first, or name a job to compare it with",
                {"job": one.job.id, "state": one.job.state.name},
            )
        other = await self._readers.run(self._run_of, against, by)
        chains = Chains()
        sequences = [
            await self._readers.run(self._store.check_visible, run.job.id, by) for run in (one, other)
        ]
        first = 1
        # In parts: a caller that goes away ends it, and other readers have their turn.
        while first and not chains.different:
            first = await self._readers.run(self._take, chains, sequences, first)
        found = compare(one, other, chains)
        if found is None:
            raise JobStateError(
                f"jobs {one.job.id} and {other.job.id} have no step with a hash chain in common, and have not both ended: "
                "ask again when both have made steps",
                {"job": one.job.id, "state": one.job.state.name, "against": other.job.id},
            )
        return messages.comparison_to_message(found)

    def _run_of(self, job_id: str, by: Caller) -> Run:
        job, code_sha256 = self._store.with_code_sha256(job_id, by)
        return Run(job, code_sha256, receipt_in(self._home.checkpoints(job_id)))

    def _take(self, chains: Chains, sequences: list[int], first: int) -> int:
        """Compares some steps; returns where to go on, 0 where there are no more."""
        events = [read_steps(self._store.engine, job, STEPS, first, _LAST) for job in sequences]
        if not all(events):
            return 0
        full = [found[-1].step_finished.step for found in events if len(found) == STEPS_AT_ONCE]
        last = min(full, default=_LAST)
        one, other = (
            {
                each.step_finished.step: each.step_finished.chain
                for each in found
                if each.step_finished.step <= last and each.step_finished.chain
            }
            for found in events
        )
        chains.take(one, other)
        return last + 1 if full else 0
