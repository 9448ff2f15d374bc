"""What the scheduler can decide, and its reasons as data. Made by passes.py, carried out by the runner, shown by ExplainJob."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Why a job waits."""

    NO_CAPACITY = "NO_CAPACITY"
    """Less is free than it needs."""
    FRAGMENTED = "FRAGMENTED"
    """Enough is free in all, but not together as its workers need it."""
    BEHIND = "BEHIND"
    """It would fit, and would delay a job before it in the queue that waits for that room."""
    QUOTA = "QUOTA"
    """Its owner holds as much as it may."""
    BACKOFF = "BACKOFF"
    """It pauses after a loss."""
    NEVER = "NEVER"
    """No end of other jobs would help: it asks for more than there is, or than its owner may ever hold."""


class Limit(StrEnum):
    """Why a job is taken off its workers by the scheduler itself."""

    WALL_TIME = "WALL_TIME"
    GANG_DEADLINE = "GANG_DEADLINE"


@dataclass(frozen=True, slots=True)
class Holder:
    """A job that another waits for, and how much of the blocking resource it holds or waits for."""

    job_id: str
    owner: str
    amount: int


@dataclass(frozen=True, slots=True)
class Start:
    """Give this job these workers now, all or none: rank r on `nodes[r]`. The gang stands by `place_by` or is withdrawn."""

    job_id: str
    nodes: tuple[str, ...]
    level: int
    place_by: float

    @property
    def strategy(self) -> str:
        """Ray's name for such a placement group."""
        return "STRICT_PACK" if len(set(self.nodes)) == 1 else "PACK"


@dataclass(frozen=True, slots=True)
class Grow:
    """Give this running job further workers: `nodes` are those of all ranks, the new ones last."""

    job_id: str
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shrink:
    """Take workers from this running job: `nodes` are those of the ranks that stay, `ranks` leave.

    `starts` is the job that starts by it, '' where it has more than its own maximum.
    """

    job_id: str
    nodes: tuple[str, ...]
    ranks: tuple[int, ...]
    starts: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Checkpoint this running job and put it back in the queue: `starts` has the higher level."""

    job_id: str
    starts: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Take this job's workers away. WALL_TIME: the attempt is over. GANG_DEADLINE: back to the queue, after a pause."""

    job_id: str
    limit: Limit


@dataclass(frozen=True, slots=True)
class Wait:
    """Leave this job in the queue.

    `resource` is what is short ("gpus", "cpus", "jobs", "storage_bytes", "seconds" or "workers": of one host), of which it needs `needed`
    where `available` are left to it. Were all of `holders` gone, and nothing else changed, it would have that room. `place` counts
    from 1 among the jobs that wait for room, 0 for one that does not stand in that line. `by` is when it
    can start at the latest, by the limits of those before it (for BACKOFF: at the earliest); None where nothing bounds it.
    """

    job_id: str
    code: Code
    resource: str
    needed: int
    available: int
    holders: tuple[Holder, ...] = ()
    place: int = 0
    by: float | None = None

    @property
    def sentence(self) -> str:
        """The reason in words, with the job ids in `holders`."""
        return self.sentence_for(lambda holder: True)

    def sentence_for(self, sees: Callable[[Holder], bool]) -> str:
        """The reason in words, for someone who may not know of all holders: of the others only that they are there."""
        if self.code == Code.BACKOFF:
            return "sits out the pause after an attempt that ended"
        what = _amount(self.needed, self.resource)
        left = f"{self.available} {'is' if self.available == 1 else 'are'}"
        if self.code == Code.NEVER:
            return f"needs {what}, and can never get more than {self.available}"
        seen = [holder.job_id for holder in self.holders if sees(holder)]
        names = seen[:4]
        if others := len(self.holders) - len(names):
            names.append(
                f"{others} more" if names else f"{others} {'job' if others == 1 else 'jobs'} of others"
            )
        jobs = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
        if self.code == Code.BEHIND:
            return f"needs {what}, free but kept for {jobs}, before it in the queue"
        held = f"; held by {jobs}" if jobs else ""
        if self.code == Code.QUOTA:
            return f"needs {what}, and its owner's quota leaves {self.available}{held}"
        if self.code == Code.FRAGMENTED:
            return f"needs {what} together, and {left} free in pieces{held}"
        return f"needs {what}; {left} free{held}"


_WORDS = {
    "gpus": ("GPU", "GPUs"),
    "cpus": ("CPU worker", "CPU workers"),
    "workers": ("worker", "workers"),
    "jobs": ("running job", "running jobs"),
    "storage_bytes": ("byte of storage", "bytes of storage"),
    "seconds": ("second of wall time", "seconds of wall time"),
}


def _amount(count: int, resource: str) -> str:
    one, many = _WORDS[resource]
    return f"{count} {one if count == 1 else many}"


Decision = Start | Grow | Shrink | Pause | Stop | Wait
