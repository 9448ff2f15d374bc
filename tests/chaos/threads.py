"""Random sequences of deaths, stalls, resizes and pauses, on members that are threads: hundreds of them in seconds.

Everything that happens comes from the seed, but for how the threads take turns.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradwire.workers.crew import Crew
from gradwire.workers.faults import POINTS, Fault
from gradwire.workers.reports import (
    CheckpointWritten,
    EvaluationFinished,
    Finished,
    Paused,
    Report,
    StepFinished,
)
from gradwire.workers.supervisor import Supervisor
from tests.workers.crews import oracle, run_job

ASIDE = ("writing", "written")
"""Reached in threads beside the member's own: there only a process can die as a whole."""
STEPS = {"mlp": 12, "norm": 12, "cycle": 12}


@dataclass(frozen=True)
class Sequence:
    """What is to happen to one job."""

    seed: int
    job: str
    kind: str
    workers: int
    spares: int
    hosts: tuple[str, ...]
    faults: tuple[Fault, ...]
    resizes: tuple[tuple[int, int], ...]
    """(step, workers): asked for when that step is reported."""
    pauses: tuple[int, ...]
    """Steps at whose report the job is paused; it goes on with another number of workers."""

    @property
    def has_hangs(self) -> bool:
        return any(fault.action == "hang" for fault in self.faults)


def sequence(seed: int) -> Sequence:
    """What happens under this seed."""
    rng = random.Random(seed)
    job = rng.choice(["mlp", "mlp", "norm", "cycle"])
    steps, workers, spares = STEPS[job], rng.randint(1, 6), rng.choice([0, 0, 1, 2])
    step = rng.randint(1, steps)
    faults = []
    for _ in range(rng.choice([1, 2, 2, 3, 4, 6, 9])):
        if rng.random() < 0.4:
            step = rng.randint(1, steps)  # else several in one step
        member = rng.randrange(workers + rng.choice([0, 0, spares, spares + 4]))
        action = "hang" if rng.random() < 0.04 else "kill"
        point = rng.choice(POINTS)
        if point in ASIDE:
            point = "settled"
        faults.append(Fault(member, point, step, action, rng.choice([1, 1, 1, 2])))
    resizes = [(rng.randint(1, steps - 1), rng.randint(1, 8)) for _ in range(rng.choice([0, 0, 0, 1, 2, 4]))]
    return Sequence(
        seed,
        job,
        rng.choice(["threads", "threads", "threads", "threads_over_sockets"]),
        workers,
        spares,
        rng.choice([("here",), ("here",), ("a", "b"), ("a", "a", "b"), ("a", "b", "c")]),
        tuple(dict.fromkeys(faults)),
        tuple(sorted(resizes)),
        tuple(sorted(rng.sample(range(1, steps), rng.choice([0, 0, 0, 1, 2])))),
    )


def suffer(what: Sequence, folder: Path, within_s: float = 60.0) -> None:
    """Runs the job through all of it. AssertionError where it does not end as an undisturbed one does."""
    reports: list[Report] = []
    pauses, resizes, faults, workers = list(what.pauses), list(what.resizes), what.faults, what.workers

    def on_report(supervisor: Supervisor, crew: Crew, report: Report) -> None:
        if not isinstance(report, StepFinished):
            return
        while resizes and resizes[0][0] <= report.step:
            supervisor.resize(resizes.pop(0)[1])
        if pauses and pauses[0] <= report.step:
            while pauses and pauses[0] <= report.step:
                pauses.pop(0)
            supervisor.pause()

    while True:
        ran = run_job(
            what.job,
            folder,
            workers,
            what.kind,
            faults=faults,
            on_report=on_report,
            hosts=what.hosts,
            supervisor={
                "losses_limit": 100,
                "spares": what.spares,
                "heartbeat_s": 0.5 if what.has_hangs else 30.0,
                "begin_s": 0.5,
            },
            within_s=within_s,
            deadline_s=0.5 if what.has_hangs else 20.0,
        )
        begun = sum(isinstance(report, StepFinished) for report in reports)
        reports += [report for report in ran.reports if int(getattr(report, "step", begun + 1)) > begun]
        last = ran.reports[-1]
        if not isinstance(last, Paused):
            break
        workers, faults = workers % 6 + 1, ()
    assert isinstance(last, Finished), last
    _is_whole(what.job, reports, last, len(what.faults))


def _is_whole(job: str, reports: list[Report], finished: Finished, deaths: int) -> None:
    expected = oracle(job)
    steps = [report for report in reports if isinstance(report, StepFinished)]
    assert [report.step for report in steps] == list(range(1, expected.steps + 1))
    assert [report.metrics for report in steps] == expected.history
    evaluated = [report for report in reports if isinstance(report, EvaluationFinished)]
    assert [report.epoch for report in evaluated] == ([1, 2, 3] if job == "mlp" else [])
    assert not evaluated or evaluated[-1].metrics == expected.evaluation
    assert finished.parameters_sha256 == expected.parameters_sha256
    written = [report.step for report in reports if isinstance(report, CheckpointWritten)]
    assert sorted(set(written)) == written
    every = {"mlp": 2, "cycle": 1}.get(job)
    if every is not None:
        # Who dies while it writes beside the training takes that checkpoint along, and no other.
        due = set(range(every, expected.steps + 1, every))
        assert len(due - set(written)) <= deaths, written
    assert finished.checkpoint.endswith(f"step-{expected.steps:08d}")


def told(what: Sequence) -> dict[str, Any]:
    """The sequence for a person who wants to see it again."""
    return {name: getattr(what, name) for name in what.__dataclass_fields__}
