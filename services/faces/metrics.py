"""QueryMetrics."""

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services.errors import InvalidRequestError, Violation
from gradwire.services.event_rows import EVALUATIONS, STEPS
from gradwire.services.faces.calls import Context, caller, unary
from gradwire.services.faces.family import Family
from gradwire.services.metrics import POINTS, POINTS_LIMIT, Sampler
from gradwire.services.series import STEPS_AT_ONCE, read_steps

NAMES_LIMIT = 256
_LAST = 2**62


class Metrics(Family):
    """What steps and evaluations have measured."""

    @unary
    async def QueryMetrics(
        self, request: pb.QueryMetricsRequest, context: Context
    ) -> pb.QueryMetricsResponse:
        _check(request)
        job = await self._readers.run(self._store.check_visible, request.job_id, caller(context))
        sampler = Sampler(request.names, min(request.max_points or POINTS, POINTS_LIMIT))
        last = request.last_step or _LAST
        series = EVALUATIONS if request.evaluation else STEPS
        next_step = max(request.first_step, 1)
        # In parts: a caller that goes away ends it, and other readers have their turn.
        while next_step <= last and await self._readers.run(
            self._sample, sampler, job, series, next_step, last
        ):
            next_step = sampler.last_step + 1
        found = await self._readers.run(sampler.series)
        return pb.QueryMetricsResponse(series=found, last_step=sampler.last_step)

    def _sample(self, sampler: Sampler, job: int, series: str, first: int, last: int) -> bool:
        """Takes some steps; True where there may be more."""
        events = read_steps(self._store.engine, job, series, first, last)
        for event in events:
            step = event.evaluation_finished if series == EVALUATIONS else event.step_finished
            sampler.take(step.step, (event.time.seconds, event.time.nanos), step.metrics)
        return len(events) == STEPS_AT_ONCE


def _check(request: pb.QueryMetricsRequest) -> None:
    wrong = [
        Violation(field, f"expected 0 or more, not {value}")
        for field in ("first_step", "last_step", "max_points")
        if (value := getattr(request, field)) < 0
    ]
    if not wrong and 0 < request.last_step < request.first_step:
        wrong.append(
            Violation("last_step", f"expected {request.first_step} or more, or 0, not {request.last_step}")
        )
    if len(request.names) > NAMES_LIMIT:
        wrong.append(Violation("names", f"expected at most {NAMES_LIMIT} names, got {len(request.names)}"))
    if wrong:
        raise InvalidRequestError(wrong)
