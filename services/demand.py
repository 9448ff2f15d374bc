"""What a job asks of the scheduler, from its row: shape, range of workers, limits, its entry in the queue. Pure.

Used by the runner, which adds what it alone knows (nodes), by history.py for retries, and at submit.
"""

from collections.abc import Mapping
from math import inf

from gradwire.services.records import Job, JobSpec
from gradwire.services.scheduling import Shape, Waiting
from gradwire.services.scheduling.limits import Cause, Limits, Spent, longest_s

PAUSE_S = 0.25
"""Before the first retry after a loss; it doubles with each further one."""
_SHAPES: Mapping[str, Shape] = {"cpu": Shape(gpus=0, cpus=1), "cuda": Shape(gpus=1, cpus=0)}


def shape_of(spec: JobSpec) -> Shape:
    """What one worker takes of a node."""
    return _SHAPES[spec.device]


def worker_range(job: Job) -> tuple[int, int]:
    """(fewest, most) workers that the scheduler may give it: what its owner wants, or down to its minimum where it is elastic."""
    most = max(job.wanted_workers, 1)
    return (min(job.spec.min_workers, most) if job.spec.elastic else most), most


def limits_of(spec: JobSpec) -> Limits:
    """A job's limits, with the service's defaults for what it leaves open."""
    limits = spec.limits
    return Limits(
        attempt_s=limits.attempt_seconds or None,
        job_s=limits.job_seconds or None,
        retries={Cause(cause): float(times) for cause, times in limits.retries.items()},
        pause_s=PAUSE_S,
    )


def losses_allowed(spec: JobSpec) -> int:
    """Losses of workers that an attempt survives without a step between them."""
    return int(limits_of(spec).allowed(Cause.WORKER_LOSS))


def left_s(job: Job) -> float | None:
    """Seconds that its next attempt may have workers; None where nothing limits them."""
    return longest_s(limits_of(job.spec), Spent(run_s=job.run_seconds))


def waiting_of(job: Job) -> Waiting:
    """Its entry in the queue; a job about to be submitted has none of its times yet."""
    minimum, maximum = worker_range(job)
    return Waiting(
        job_id=job.id,
        owner=job.owner,
        order=job.order,
        shape=shape_of(job.spec),
        minimum=minimum,
        maximum=maximum,
        priority=job.spec.priority,
        since=(job.since or job.create_time).timestamp(),
        longest_s=left_s(job),
        not_before=-inf if job.not_before is None else job.not_before.timestamp(),
        storage_bytes=job.spec.storage_bytes,
        one_host=job.spec.one_host,
    )
