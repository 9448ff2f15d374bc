"""What a job may use and how often it is tried again, by cause: pure, like the decision. Called by the runner when an attempt ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf


class Cause(StrEnum):
    """Why an attempt ended before the job did."""

    USER_ERROR = "USER_ERROR"
    """The user's own code raised: the same bits would raise again."""
    WORKER_LOSS = "WORKER_LOSS"
    """A worker, a node or the controller died, and the group could not go on."""
    GANG_DEADLINE = "GANG_DEADLINE"
    """The workers did not come up in time."""
    PREEMPTION = "PREEMPTION"
    """The scheduler paused it for another."""
    WALL_TIME = "WALL_TIME"
    """The limit of one attempt was reached."""


DEFAULT_RETRIES: Mapping[Cause, float] = {
    Cause.USER_ERROR: 0,
    Cause.WORKER_LOSS: 10,
    Cause.GANG_DEADLINE: 20,
    Cause.PREEMPTION: inf,
    Cause.WALL_TIME: 0,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """A job's limits. Wall seconds count while it has workers, of one attempt and of all; `retries` replaces defaults by cause.

    The pause before a retry doubles from `pause_s` to `most_pause_s`; after a preemption there is none.
    """

    attempt_s: float | None = None
    job_s: float | None = None
    retries: Mapping[Cause, float] = field(default_factory=dict)
    pause_s: float = 1.0
    most_pause_s: float = 300.0

    def __post_init__(self) -> None:
        for name in ("attempt_s", "job_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"Limits: {name} must be positive or None, got {value}")
        for cause, times in self.retries.items():
            if not times >= 0:
                raise ValueError(f"Limits: retries[{cause}] must not be negative, got {times}")

    def allowed(self, cause: Cause) -> float:
        """Retries after attempts that ended so; inf for any number."""
        return self.retries.get(cause, DEFAULT_RETRIES[cause])


@dataclass(frozen=True, slots=True)
class Spent:
    """What a job has used: seconds with workers in all attempts, and attempts that ended, by cause.

    Losses, deadlines and user errors count from its newest checkpoint on: what came before that is not made again.
    """

    run_s: float = 0.0
    ends: Mapping[Cause, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Again:
    """Put it back in the queue; it may start at `not_before`."""

    not_before: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The job has failed, for this cause; the sentence names the limit."""

    cause: Cause
    sentence: str


def longest_s(limits: Limits, spent: Spent) -> float | None:
    """Seconds that the next attempt may have workers, None where nothing limits them; 0 or less: none are left.

    >>> longest_s(Limits(attempt_s=100, job_s=250), Spent(run_s=200))
    50.0
    """
    left = [] if limits.attempt_s is None else [float(limits.attempt_s)]
    if limits.job_s is not None:
        left.append(float(limits.job_s - spent.run_s))
    return min(left, default=None)


def after_end(limits: Limits, spent: Spent, cause: Cause, now: float) -> Again | GiveUp:
    """What follows an attempt that ended so; `spent` includes it.

    >>> after_end(Limits(pause_s=2), Spent(ends={Cause.WORKER_LOSS: 3}), Cause.WORKER_LOSS, now=100.0)
    Again(not_before=108.0)
    >>> after_end(Limits(), Spent(ends={Cause.USER_ERROR: 1}), Cause.USER_ERROR, now=100.0).sentence
    'attempt 1 ended by USER_ERROR, and 0 retries after that are allowed'
    """
    left = longest_s(limits, spent)
    if left is not None and left <= 0:
        return GiveUp(
            Cause.WALL_TIME, f"it has had workers for {spent.run_s:g} s; its limit is {limits.job_s:g} s"
        )
    times = spent.ends.get(cause, 0)
    if times > limits.allowed(cause):
        return GiveUp(
            cause,
            f"attempt {times} ended by {cause}, and {limits.allowed(cause):g} retries after that are allowed",
        )
    if cause == Cause.PREEMPTION:
        return Again(now)
    pause = limits.pause_s * 2.0 ** min(max(times - 1, 0), 60)
    return Again(now + min(pause, limits.most_pause_s))
