"""The states of a job and the one table of moves between them.

Read by the store (which refuses any other move), the runner and the command line.
"""

from enum import IntEnum


class JobState(IntEnum):
    """Where a job stands; the numbers are those of gradwire.v1.JobState."""

    QUEUED = 1
    STARTING = 2
    RUNNING = 3
    RECOVERING = 4
    RESIZING = 5
    PAUSED = 6
    SUCCEEDED = 7
    FAILED = 8
    CANCELLED = 9

    @property
    def terminal(self) -> bool:
        """True where nothing can follow."""
        return self in TERMINAL

    @property
    def holds_workers(self) -> bool:
        """True where the job has, or is being given, workers."""
        return self in ACTIVE


TERMINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})
ACTIVE = frozenset({JobState.STARTING, JobState.RUNNING, JobState.RECOVERING, JobState.RESIZING})

MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.STARTING, JobState.PAUSED, JobState.FAILED, JobState.CANCELLED}),
    JobState.STARTING: frozenset({JobState.RUNNING, JobState.RECOVERING, JobState.QUEUED, JobState.PAUSED})
    | TERMINAL,
    JobState.RUNNING: frozenset({JobState.RECOVERING, JobState.RESIZING, JobState.PAUSED, JobState.QUEUED})
    | TERMINAL,
    JobState.RECOVERING: frozenset({JobState.RUNNING, JobState.PAUSED, JobState.QUEUED}) | TERMINAL,
    JobState.RESIZING: frozenset({JobState.RUNNING, JobState.RECOVERING, JobState.PAUSED, JobState.QUEUED})
    | TERMINAL,
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


class IllegalMoveError(Exception):
    """A move between states that the table does not have: a bug of the service, never of its user."""

    def __init__(self, job_id: str, now: JobState, wanted: JobState) -> None:
        allowed = ", ".join(state.name for state in sorted(MOVES[now])) or "none, it is terminal"
        super().__init__(f"job {job_id}: no move from {now.name} to {wanted.name} (allowed: {allowed})")
        self.job_id, self.now, self.wanted = job_id, now, wanted

    def __reduce__(self) -> tuple[type["IllegalMoveError"], tuple[str, JobState, JobState]]:
        return type(self), (self.job_id, self.now, self.wanted)


def check_move(job_id: str, now: JobState, wanted: JobState) -> None:
    """Raises IllegalMoveError unless the table has the move."""
    if wanted not in MOVES[now]:
        raise IllegalMoveError(job_id, now, wanted)
