"""Metrics and output of a long job: `python benchmarks/service/metrics.py [--steps 100000]`.

How long QueryMetrics takes for 1,000 points of three metrics over all steps and for the newest 1,000 steps, what GetJob takes
meanwhile, and how fast ReadLogs streams as many lines. Prints one line of JSON.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from harness.served import arguments, at, machine, new_home, request_of, served

from gradwire.services import messages
from gradwire.services.client import Client
from gradwire.services.launcher import Capacity
from gradwire.services.states import JobState
from gradwire.services.store import NewJob, Store
from gradwire.services.validation import checked_spec
from gradwire.workers.reports import LogLine, Report, StepFinished

JOB = "long-job"
LINE = "step and what is said of it, as long as such lines are"


def fill(path: Path, steps: int) -> None:
    """A store with one job that has ended after so many steps, with a line of output for each."""
    store = Store(path)
    spec = checked_spec(messages.spec_from_message(request_of(b"#", "").spec), "", Capacity(8, 0))
    store.submit(NewJob(JOB, spec)).result()
    store.begin_attempt(JOB, "room", 1).result()
    for first in range(1, steps + 1, 1000):
        reports: list[Report] = []
        for step in range(first, min(first + 1000, steps + 1)):
            metrics = {"loss": 1 / step, "accuracy": 0.5, "norm": float(step)}
            reports += [StepFinished(step, 1, metrics, 64, 0.1, 1, "ab" * 32), LogLine(0, "stdout", LINE)]
        numbered = list(enumerate(reports, start=2 * first - 1))
        store.take_reports(JOB, 1, 1, numbered).result()
    store.end(JOB, 1, JobState.CANCELLED, "enough").result()
    store.close()


def milliseconds(call: Callable[[], object], times: int = 7) -> float:
    """The median of some calls."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        found.append(1000 * (time.perf_counter() - began))
    return round(sorted(found)[times // 2], 1)


def others_ms(client: Client, address: str) -> float:
    """The 99th percentile of GetJob while metrics of all steps are asked for."""
    found: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with Client(address) as other:
            while not over.is_set():
                began = time.perf_counter()
                other.job(JOB).get()
                found.append(1000 * (time.perf_counter() - began))

    thread = threading.Thread(target=ask)
    thread.start()
    client.job(JOB).metrics()
    over.set()
    thread.join()
    return round(at(sorted(found), 0.99), 1)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    options = parser.parse_args()
    with new_home(options) as home:
        fill(home / "jobs.db", options.steps)
        with served(home) as service, Client(service.address) as client:
            job = client.job(JOB)
            assert sum(point.count for point in job.metrics(["loss"])[0].points) == options.steps
            told: dict[str, object] = {
                "steps": options.steps,
                "all_ms": milliseconds(job.metrics),
                "newest_1000_ms": milliseconds(lambda: job.metrics(first_step=options.steps - 999)),
                "get_job_meanwhile_p99_ms": others_ms(client, service.address),
            }
            began = time.perf_counter()
            size = sum(map(len, job.read_logs()))
            assert size == options.steps * len(LINE + "\n")
            told["read_logs_mb_per_s"] = round(size / 1e6 / (time.perf_counter() - began), 1)
        print(json.dumps({**told, **machine(home)}))


if __name__ == "__main__":
    main()
