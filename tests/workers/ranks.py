"""Runs the ranks of a job as threads of this process, over any transport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gradwire.services.optimizer import SliceOptimizer
from gradwire.workers.reports import Finished, Report
from gradwire.workers.transport import Transport
from gradwire.workers.worker import RankEnded, Worker, WorkerSpec

JOBS = Path(__file__).parent / "jobs"


@dataclass
class Ran:
    ends: list[RankEnded]
    reports: list[list[Report]]

    def of(self, kind: type[Report]) -> list[Report]:
        return [report for report in self.reports[0] if isinstance(report, kind)]

    @property
    def sha256(self) -> str:
        (finished,) = self.of(Finished)
        assert isinstance(finished, Finished)
        return finished.parameters_sha256


def spec_of(
    job_file: Path, folder: Path, overrides: Mapping[str, str] | None = None, shards: int = 8
) -> WorkerSpec:
    return WorkerSpec(
        job_file=str(job_file),
        overrides=overrides or {},
        shards=shards,
        device="cpu",
        threads_per_worker=1,
        checkpoints=str(folder),
        deadline_s=20.0,
    )


def run_ranks(spec: WorkerSpec, transports: Sequence[Transport], resume: str | None = None) -> Ran:
    reports: list[list[Report]] = [[] for _ in transports]
    workers = [Worker(spec, t.rank, t.world_size, reports[t.rank].append, SliceOptimizer) for t in transports]
    with ThreadPoolExecutor(len(transports)) as pool:
        futures = [
            pool.submit(worker.run, lambda t=t: t, resume)  # type: ignore[misc]
            for worker, t in zip(workers, transports, strict=True)
        ]
        return Ran([f.result(120) for f in futures], reports)
