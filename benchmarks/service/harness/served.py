"""A service in a process of its own, for the benchmarks above this folder, and what they print of the machine."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services.launcher import Capacity
from gradwire.services.local_launcher import LocalLauncher
from gradwire.services.local_program import Tell, run
from gradwire.services.service import Address, Service
from gradwire.workers.reports import StepFinished

IDLE = (sys.executable, "-c", "import sys; sys.stdin.read()")
"""A job's program that holds its workers and does nothing."""


class Served:
    """A running service. `cpu_s` and `rss_bytes` are its process's."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address

    @property
    def cpu_s(self) -> float:
        """Processor seconds so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def rss_bytes(self) -> int:
        """Memory that is in use now."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )


@contextlib.contextmanager
def served(home: Path, program: Sequence[str] = IDLE) -> Iterator[Served]:
    """A service whose jobs run `program`; it is killed at the end, and its jobs with it."""
    command = [sys.executable, __file__, str(home), *program]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Served(process, process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def new_home(options: argparse.Namespace) -> Iterator[Path]:
    """An empty folder where `--folder` says."""
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        yield Path(folder)


def arguments(text: str | None) -> argparse.ArgumentParser:
    """The options that all have."""
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--folder", type=Path, default=None, help="where the store lies")
    return parser


def machine(folder: Path) -> dict[str, object]:
    """What the figures were measured on: processor, how many of them, how busy they were, and the disk under `folder`."""
    disk = subprocess.run(["df", "--output=source,fstype", str(folder)], capture_output=True, text=True)
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "machine": platform.machine(),
        "load": round(os.getloadavg()[0], 1),
        "disk": disk.stdout.splitlines()[-1].split(),
    }


def request_of(code: bytes, request_id: str, workers: int = 1) -> pb.SubmitJobRequest:
    """A submit of one file."""
    made = pb.SubmitJobRequest(request_id=request_id)
    made.spec.code.entrypoint = "job.py"
    made.spec.workers = workers
    made.spec.shards = 8
    made.spec.code.files.add(path="job.py", content=code)
    return made


def at(sorted_values: Sequence[float], part: float) -> float:
    """A quantile."""
    return sorted_values[min(int(len(sorted_values) * part), len(sorted_values) - 1)]


def _serve(home: str, program: Sequence[str]) -> None:
    def launcher(_home: object) -> LocalLauncher:
        return LocalLauncher(Capacity(8, 0), tuple(program), outlive=False)

    service = Service(Path(home), launcher, Address("127.0.0.1", 0))
    print(service.start(), flush=True)
    threading.Event().wait()


def tick(every_s: float, steps: int) -> tuple[str, ...]:
    """A job's program that says a step each `every_s` seconds."""
    return (sys.executable, __file__, "--tick", str(every_s), str(steps))


def _tick(every_s: float, steps: int, folder: str, attempt: str) -> int:
    def train(_launch: object, tell: Tell, _commands: object) -> None:
        due = time.monotonic()
        for step in range(1, steps + 1):
            due += every_s
            time.sleep(max(0.0, due - time.monotonic()))
            tell(StepFinished(step, 1, {"loss": 1 / step, "accuracy": 0.5}, 64, every_s, 1, ""))

    return run(train, Path(folder), int(attempt))


if __name__ == "__main__":
    if sys.argv[1] == "--tick":
        sys.exit(_tick(float(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
    _serve(sys.argv[1], sys.argv[2:])
