"""Why a job does not run, as data for one caller: what the runner's last pass found, with others' jobs left out.

Made by the front end, returned by the client; `accounts_and_reasons.py` renders it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from gradwire.services.records import Job
from gradwire.services.scheduling import Holder, Wait
from gradwire.services.security.callers import Caller
from gradwire.services.states import JobState


class WaitCode(StrEnum):
    """What a job waits for; the names are those of gradwire.v1.WaitCode."""

    NONE = "NONE"
    NOT_CONSIDERED = "NOT_CONSIDERED"
    NO_CAPACITY = "NO_CAPACITY"
    FRAGMENTED = "FRAGMENTED"
    BEHIND = "BEHIND"
    QUOTA = "QUOTA"
    BACKOFF = "BACKOFF"
    NEVER = "NEVER"
    PAUSED = "PAUSED"
    STARTING = "STARTING"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a job in `state` does not run.

    It needs `needed` of `resource`, of which `available` are left to it. Without `holders`, and what those that the caller may
    not see hold (`hidden_amount`), it would have that room. `place`: among the jobs that wait for room, from 1. `start_by`: when it
    starts at the latest (for BACKOFF: at the earliest), None where nothing bounds it. `sentence` is all that for people.
    """

    code: WaitCode
    state: JobState
    sentence: str
    resource: str = ""
    needed: int = 0
    available: int = 0
    holders: Sequence[Holder] = ()
    hidden_amount: int = 0
    place: int = 0
    start_by: datetime | None = None


class Passes(Protocol):
    """What is known from the scheduler's passes: the runner."""

    def wait_of(self, job_id: str) -> Wait | None:
        """Why a job waits in the queue."""

    def starts(self, job_id: str) -> bool:
        """True for a job that starts as soon as workers are really free."""

    def waiting_reason(self, job_id: str, by: Caller) -> str:
        """Why a job waits to start or to grow, in words."""


def explain(job: Job, passes: Passes, by: Caller) -> Explanation:
    """Why this job does not run, for this caller."""
    state = job.state
    if state == JobState.PAUSED:
        return Explanation(WaitCode.PAUSED, state, "its owner has paused it, and can resume it")
    if state == JobState.STARTING:
        return Explanation(WaitCode.STARTING, state, "its workers are being started")
    if state != JobState.QUEUED:
        words = (
            "it has ended" if state.terminal else passes.waiting_reason(job.id, by) or "it has its workers"
        )
        return Explanation(WaitCode.NONE, state, words)
    wait = passes.wait_of(job.id)
    if wait is None:
        if passes.starts(job.id):
            return Explanation(WaitCode.STARTING, state, passes.waiting_reason(job.id, by))
        return Explanation(WaitCode.NOT_CONSIDERED, state, "the scheduler has not looked at it yet")
    seen = tuple(holder for holder in wait.holders if by.sees(holder.owner))
    hidden = sum(holder.amount for holder in wait.holders) - sum(holder.amount for holder in seen)
    return Explanation(
        code=WaitCode(wait.code.value),
        state=state,
        sentence=wait.sentence_for(lambda holder: by.sees(holder.owner)),
        resource=wait.resource,
        needed=wait.needed,
        available=wait.available,
        holders=seen,
        hidden_amount=hidden,
        place=wait.place,
        start_by=None if wait.by is None else datetime.fromtimestamp(wait.by, UTC),
    )
