"""Which waiting jobs start now: a pure decision. Called by runner.py, which carries it out.

Priority, then order of submission; a job starts, or grows, with all its workers or waits. For each device kind the
first that does not fit holds back those behind it, so that a large job is never starved by small ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gradwire.services.launcher import Capacity


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job in the queue, or one that has `held` workers and is to grow to `workers`."""

    job_id: str
    priority: int
    sequence: int
    device: str
    workers: int
    held: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    """Give this job the workers that it lacks now."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Leave this job in the queue, for this reason."""

    job_id: str
    reason: str


Decision = Start | Wait


def decide(queue: Sequence[Waiting], capacity: Capacity, used: Capacity) -> list[Decision]:
    """One decision a waiting job, in the order in which they stand in line.

    >>> decide([Waiting("a", 0, 1, "cpu", 2), Waiting("b", 5, 2, "cpu", 3)], Capacity(4, 0), Capacity(0, 0))
    [Start(job_id='b'), Wait(job_id='a', reason='needs 2 cpu workers; 1 of 4 is free')]
    """
    free = {"cpu": capacity.cpu - used.cpu, "cuda": capacity.cuda - used.cuda}
    blocked: dict[str, str] = {}
    decisions: list[Decision] = []
    for job in sorted(queue, key=lambda waiting: (-waiting.priority, waiting.sequence)):
        total = capacity.of(job.device)
        available = max(free.get(job.device, 0), 0)
        if job.device in blocked:
            decisions.append(Wait(job.job_id, f"behind job {blocked[job.device]} in the queue"))
        elif job.workers > total:
            # It does not hold back others: no end of theirs would ever help it (a node may join later).
            decisions.append(Wait(job.job_id, f"needs {_workers(job)}; there are {total} in all"))
        elif job.workers - job.held <= available:
            free[job.device] = available - (job.workers - job.held)
            decisions.append(Start(job.job_id))
        else:
            blocked[job.device] = job.job_id
            verb = "is" if available == 1 else "are"
            decisions.append(
                Wait(
                    job.job_id,
                    f"needs {_workers(job)}; {available} of {total} {verb} free",
                )
            )
    return decisions


def _workers(job: Waiting) -> str:
    count = job.workers - job.held
    return f"{count} {'more ' * (job.held > 0)}{job.device} worker" + "s" * (count != 1)
