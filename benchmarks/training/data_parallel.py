"""Data-parallel steps on this machine: gradwire's processes against PyTorch's DistributedDataParallel over gloo, in one run.

For a wide perceptron and a small GPT (jobs/): milliseconds of a step (median) with one and with two workers and the same
global batch, one thread each; what 8 shards cost one worker against 1 shard, and two workers against 2 shards, which is
what they would do without a promise about bits. Then the time from kill -9 of a worker to the next finished step, among
processes of our own and on Ray.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import contextlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gradwire.services.optimizer import SliceOptimizer
from gradwire.services.ray_environment import prepare_for_cluster_of_our_own
from gradwire.workers.member import MemberSpec
from gradwire.workers.process_crew import ProcessCrew
from gradwire.workers.reports import Formed, Report, StepFinished
from gradwire.workers.supervisor import Supervisor

JOBS = Path(__file__).parent / "jobs"
PEER = Path(__file__).parent / "peers" / "ddp.py"
WARM_UP = 3


def spec_of(job: str, folder: str, shards: int, overrides: dict[str, str]) -> MemberSpec:
    return MemberSpec(str(JOBS / f"{job}.py"), overrides, shards, "cpu", 1, folder)


def step_ms(job: str, workers: int, shards: int = 8) -> float:
    """Milliseconds of a step, median of a short run."""
    with tempfile.TemporaryDirectory() as folder:
        spec = spec_of(job, folder, shards, {})
        reports: list[Report] = []
        Supervisor(spec, workers, ProcessCrew(spec, SliceOptimizer), reports.append).run()
    times = [r.seconds for r in reports if isinstance(r, StepFinished)][WARM_UP:]
    return 1e3 * statistics.median(times)


def peer_ms(job: str, workers: int) -> float:
    """The same for PyTorch."""
    done = subprocess.run(
        [sys.executable, str(PEER), job, str(workers)], capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


MakeCrew = Callable[[MemberSpec], Any]


@contextlib.contextmanager
def crews_on_ray() -> Iterator[MakeCrew]:
    """A Ray cluster in this process."""
    with tempfile.TemporaryDirectory() as home:
        prepare_for_cluster_of_our_own(Path(home))
        # Ray reads its settings when it is imported.
        from gradwire.services.cluster import EmbeddedRay
        from gradwire.workers.ray_crew import RayCrew

        cluster = EmbeddedRay(Path(home))
        try:
            yield lambda spec: RayCrew(spec, SliceOptimizer, cluster.slots)
        finally:
            cluster.close()


def recovery_s(spares: int, kills: int, make_crew: MakeCrew) -> list[float]:
    """Seconds from kill -9 of one of three workers to the next finished step, for each kill."""
    found: list[float] = []
    killed_at = 0.0
    mended: list[int] = []
    stop = threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        spec = spec_of("wide_mlp", folder, 8, {"steps": "5000", "batch_size": "64", "width": "64"})
        crew = make_crew(spec)

        def tell(report: Report) -> None:
            nonlocal killed_at
            if isinstance(report, Formed) and killed_at:
                mended.append(report.generation)
            if isinstance(report, StepFinished):
                if killed_at and mended:
                    mended.clear()
                    found.append(time.perf_counter() - killed_at)
                    killed_at = 0.0
                if len(found) >= kills:
                    supervisor.stop("enough")

        supervisor = Supervisor(spec, 3, crew, tell, spares=spares)

        def harm() -> None:
            nonlocal killed_at
            while not stop.wait(2.5):
                group = supervisor.workers
                warm = len(supervisor._ready.difference(group))
                if len(group) == 3 and warm >= spares and not killed_at:
                    with contextlib.suppress(KeyError, ProcessLookupError):
                        os.kill(crew.pid(group[len(found) % 3]), signal.SIGKILL)
                        killed_at = time.perf_counter()

        threading.Thread(target=harm, daemon=True).start()
        supervisor.run()
        stop.set()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=7)
    parser.add_argument("--only", choices=("steps", "recoveries"))
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one thread a worker")
    for job in () if options.only == "recoveries" else ("wide_mlp", "gpt"):
        rows = []
        for _ in range(options.rounds):
            rows.append(
                {
                    "one": step_ms(job, 1),
                    "two": step_ms(job, 2),
                    "one, 1 shard": step_ms(job, 1, 1),
                    "two, 2 shards": step_ms(job, 2, 2),
                    "DDP one": peer_ms(job, 1),
                    "DDP two": peer_ms(job, 2),
                }
            )
        best = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
        print(f"\n{job}: milliseconds of a step, median of {options.rounds} runs")
        for name, value in best.items():
            print(f"  {name:14} {value:8.1f}")
        for text, a, b, goal in (
            ("two workers / one", "two", "one", "<= 0.55"),
            ("DDP: two processes / one", "DDP two", "DDP one", ""),
            ("two workers / DDP's two", "two", "DDP two", "<= 1"),
            ("8 shards / 1 shard, one worker", "one", "one, 1 shard", "<= 1.15"),
            ("8 shards / 2 shards, two workers", "two", "two, 2 shards", ""),
        ):
            ratios = sorted(row[a] / row[b] for row in rows)
            print(
                f"  {text:34} {best[a] / best[b]:.2f}  ({ratios[0]:.2f} to {ratios[-1]:.2f})"
                + (f"  goal {goal}" if goal else "")
            )
    if options.only == "steps":
        return
    print_recoveries("processes", lambda spec: ProcessCrew(spec, SliceOptimizer), options.kills)
    with crews_on_ray() as make_crew:
        print_recoveries("Ray", make_crew, options.kills, ("  goal < 2 s", "  goal < 0.5 s"))


def print_recoveries(where: str, make_crew: MakeCrew, kills: int, goals: tuple[str, str] = ("", "")) -> None:
    """Without and with a warm spare."""
    for spares, goal in enumerate(goals):
        found = recovery_s(spares, kills, make_crew)
        words = "with a warm spare" if spares else "no spare: the others go on"
        print(
            f"\n{where}: kill -9 of one of three workers to the next finished step, {words}: median "
            f"{statistics.median(found):.3f} s ({min(found):.3f} to {max(found):.3f}, {len(found)} kills){goal}"
        )


if __name__ == "__main__":
    main()
