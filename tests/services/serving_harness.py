"""What the tests of the services share: scripted jobs, a service in a process of its own, the command line."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from gradwire.services import records as r
from gradwire.services.attempt_folder import end_holder
from gradwire.services.home import Home
from gradwire.services.launcher import Capacity
from gradwire.services.local_launcher import LocalLauncher

SCRIPTED = Path(__file__).parent / "scripted_program.py"
SERVING = Path(__file__).parent / "serving_program.py"


def code(text: str = "pass\n", path: str = "job.py") -> r.Code:
    """A program of one file."""
    return r.Code(path, (r.SourceFile(path, text.encode()),))


def spec(name: str = "job", **overrides: str) -> r.JobSpec:
    """A job for the scripted program, which takes its script from the overrides."""
    return r.JobSpec(name, code(), overrides=overrides)


def scripted(home: Home) -> LocalLauncher:
    """A launcher whose jobs are scripted_program.py."""
    return LocalLauncher(Capacity(cpu=8, cuda=0), (sys.executable, str(SCRIPTED)))


def end_jobs(home: Path) -> None:
    """Ends the processes of all jobs of a home whose service is gone, those too that have only just been started."""
    for folder in home.glob("jobs/*"):
        if (folder / "newest").exists():
            # A process that has not come to its lock yet gives way when it does.
            (folder / "newest").write_text("none")
    for lock in home.glob("jobs/*/running.lock"):
        end_holder(lock.parent, 0.0)


class ServerProcess:
    """A service in a process of its own, to be killed and started again on the same home and port."""

    def __init__(self, home: Path, port: int = 0, training: bool = False) -> None:
        """`training`: its jobs train, where others follow a script."""
        kind = ["training"] if training else []
        self.process = subprocess.Popen(
            [sys.executable, str(SERVING), str(home), str(port), *kind], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address, "the service did not start"
        self.port = int(self.address.rpartition(":")[2])

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self._end()

    def terminate(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self._end()

    def _end(self) -> int:
        status = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


def run_cli(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_s: float = 100.0,
) -> "subprocess.CompletedProcess[str]":
    """Runs `gradwire …` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "gradwire", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        cwd=cwd,
        env={**os.environ, "GRADWIRE_RUNTIME": "process", **(environment or {})},
    )
