"""Runs whole jobs under a supervisor, on every kind of crew, and says what was reported."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from gradwire.services.optimizer import SliceOptimizer
from gradwire.training import SoloResult, load_job, train_solo
from gradwire.workers.crew import Crew
from gradwire.workers.faults import Fault
from gradwire.workers.member import MemberSpec
from gradwire.workers.process_crew import ProcessCrew
from gradwire.workers.reports import Finished, Report, StepFinished, Warned
from gradwire.workers.sockets import SocketListener
from gradwire.workers.supervisor import Supervisor
from gradwire.workers.thread_crew import ThreadCrew

JOBS = Path(__file__).parent / "jobs"
CREWS = ("threads", "threads_over_sockets")
R = TypeVar("R")


@cache
def oracle(name: str, shards: int = 8) -> SoloResult:
    return train_solo(load_job(JOBS / f"{name}.py"), shards)


@dataclass
class Ran:
    reports: list[Report]

    def of(self, kind: type[R]) -> list[R]:
        return [report for report in self.reports if isinstance(report, kind)]

    @property
    def sha256(self) -> str:
        (finished,) = self.of(Finished)
        return finished.parameters_sha256

    @property
    def history(self) -> list[Mapping[str, float]]:
        steps = self.of(StepFinished)
        assert [r.step for r in steps] == list(range(1, len(steps) + 1))  # each exactly once, in order
        return [r.metrics for r in steps]

    @property
    def chains(self) -> list[str]:
        return [report.chain for report in self.of(StepFinished)]

    @property
    def warnings(self) -> list[str]:
        return [report.message for report in self.of(Warned)]

    def is_the_oracle_s(self, name: str, shards: int = 8) -> None:
        expected = oracle(name, shards)
        assert (self.sha256, self.history) == (expected.parameters_sha256, expected.history), self.reports[
            -3:
        ]
        assert self.chains == [value.hex() for value in expected.chains]


def spec_of(job_file: Path, folder: Path, **options: Any) -> MemberSpec:
    return MemberSpec(
        **{
            "job_file": str(job_file),
            "overrides": {},
            "shards": 8,
            "device": "cpu",
            "threads_per_worker": 1,
            "checkpoints": str(folder / "checkpoints"),
            "deadline_s": 20.0,
            **options,
        }
    )


def crew_of(kind: str, spec: MemberSpec, hosts: Sequence[str] = ("here",)) -> Crew:
    if kind == "processes":
        return ProcessCrew(spec, SliceOptimizer)  # through shared memory
    if kind == "processes_over_sockets":
        return ProcessCrew(spec, SliceOptimizer, SocketListener)
    if kind == "threads_over_sockets":
        return ThreadCrew(spec, SliceOptimizer, SocketListener, hosts)
    return ThreadCrew(spec, SliceOptimizer, hosts=hosts)


def run_job(
    job: str | Path,
    folder: Path,
    workers: int,
    kind: str = "threads",
    *,
    faults: Sequence[Fault] = (),
    on_report: Callable[[Supervisor, Crew, Report], None] | None = None,
    hosts: Sequence[str] = ("here",),
    supervisor: Mapping[str, Any] | None = None,
    within_s: float = 60.0,
    **options: Any,
) -> Ran:
    """on_report: called for every report in the supervisor's thread, to ask for something or do harm."""
    path = JOBS / f"{job}.py" if isinstance(job, str) else job
    spec = spec_of(path, folder, faults=tuple(faults), **options)
    crew = crew_of(kind, spec, hosts)
    reports: list[Report] = []

    def tell(report: Report) -> None:
        reports.append(report)
        if on_report is not None:
            on_report(made, crew, report)

    made = Supervisor(spec, workers, crew, tell, **(supervisor or {}))
    failed: list[BaseException] = []

    def body() -> None:
        try:
            made.run()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(within_s)
    assert not thread.is_alive(), f"still running after {within_s} s; the last reports: {reports[-5:]}"
    if failed:
        raise failed[0]
    return Ran(reports)
