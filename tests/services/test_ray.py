"""Jobs on real Ray clusters: the same bits at every number of workers, through kills of workers and of the service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradwire.services.client import Client
from gradwire.services.records import Code, SourceFile
from gradwire.services.states import JobState
from gradwire.training import load_job, train_solo

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]
JOB = Path(__file__).with_name("ray_job.py")
WAIT_S = 90.0


class Served:
    """`gradwire serve` in a process of its own, and a client of it."""

    def __init__(self, home: Path, *arguments: str, **environment: str) -> None:
        command = [
            sys.executable,
            "-m",
            "gradwire",
            "serve",
            "--address",
            "127.0.0.1:0",
            "--home",
            str(home),
            "--json",
        ]
        with open(home.parent / "serve.log", "ab") as log:
            self.process = subprocess.Popen(
                [*command, *arguments], stdout=subprocess.PIPE, stderr=log, env={**os.environ, **environment}
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (home.parent / "serve.log").read_text()[-3000:]
        self.client = Client(json.loads(line)["address"])

    def stop(self) -> int:
        self.client.close()
        self.process.terminate()
        code = self.process.wait(60)
        self.process.stdout.close()
        return code


def code() -> Code:
    return Code(JOB.name, (SourceFile(JOB.name, JOB.read_bytes()),))


def oracle(**overrides: str) -> str:
    return train_solo(load_job(JOB, overrides)).parameters_sha256


def wait_for_step(job, step: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while (now := job.get()).step < step and not now.state.terminal:
        assert time.monotonic() < deadline, f"no step {step} within {WAIT_S:.0f} s: {now}"
        time.sleep(0.02)


def ray_processes(home: Path, title: str) -> list[int]:
    """Processes with a title such as ray::MemberActor that belong to the cluster of `home`."""
    session = json.loads((home / "ray.json").read_text())["pid"]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "cmdline").read_bytes().decode(errors="replace")
                own_session = os.getsid(int(entry.name)) == session
            except OSError:
                continue
            if own_session and title in text:
                found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ray") / "home"


@pytest.fixture(scope="module")
def served(home: Path) -> Iterator[list[Served]]:
    """One service for all tests here, in a list so that a test may put a restarted one in its place."""
    running = [Served(home)]
    yield running
    assert running[0].stop() == 0
    deadline = time.monotonic() + 10
    while (
        subprocess.run(["pgrep", "-f", str(home)], capture_output=True).stdout and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    left = subprocess.run(["pgrep", "-fa", str(home)], capture_output=True, text=True).stdout
    assert left == "", f"still running: {left}"


def test_every_number_of_workers_gives_the_oracles_bits(served):
    jobs = [served[0].client.submit(code(), workers=w) for w in (1, 2, 3, 4)]
    ended = [job.wait() for job in jobs]
    assert [e.state for e in ended] == [JobState.SUCCEEDED] * 4, [e.error for e in ended]
    assert {e.parameters_sha256 for e in ended} == {oracle()}


def test_a_worker_that_is_killed_changes_no_bit_and_loses_no_event(served, home):
    job = served[0].client.submit(code(), workers=2, overrides={"epochs": "12", "pause_s": "0.005"})
    wait_for_step(job, 20)
    victims = ray_processes(home, "ray::MemberActor")
    assert len(victims) == 2
    os.kill(victims[0], signal.SIGKILL)
    assert job.wait().state == JobState.SUCCEEDED
    assert job.get().parameters_sha256 == oracle(epochs="12")
    events = list(job.watch())
    assert [e.number for e in events] == list(range(1, len(events) + 1))
    steps = [e.kind.step for e in events if type(e.kind).__name__ == "StepFinished"]
    assert steps == list(range(1, job.get().total_steps + 1))
    assert "WORKER_LOST" in [getattr(e.kind, "reason", "") for e in events]


def test_a_service_that_is_killed_finds_its_jobs_running(served, home):
    job_id = served[0].client.submit(code(), workers=2, overrides={"epochs": "40", "pause_s": "0.01"}).id
    wait_for_step(served[0].client.job(job_id), 10)
    served[0].process.kill()
    served[0].process.wait()
    served[0].process.stdout.close()
    served[0] = Served(home)
    job = served[0].client.job(job_id)
    assert job.get().state == JobState.RUNNING
    ended = job.wait()
    assert ended.state == JobState.SUCCEEDED and ended.attempt == 1
    assert ended.parameters_sha256 == oracle(epochs="40")
    numbers = [e.number for e in job.watch()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_controller_that_is_killed_is_followed_by_another_and_leaves_no_place_behind(served, home):
    job = served[0].client.submit(code(), workers=5, overrides={"epochs": "20", "pause_s": "0.005"})
    wait_for_step(job, 20)
    (controller,) = ray_processes(home, "ray::Controller")
    os.kill(controller, signal.SIGKILL)
    ended = job.wait()
    assert ended.state == JobState.SUCCEEDED and ended.attempt == 2
    assert ended.parameters_sha256 == oracle(epochs="20")
    events = list(job.watch())
    assert [e.number for e in events] == list(range(1, len(events) + 1))
    steps = [e.kind.step for e in events if type(e.kind).__name__ == "StepFinished"]
    assert steps == list(range(1, ended.total_steps + 1))
    # Five places more would not be there for this one.
    assert served[0].client.submit(code(), workers=8).wait().state == JobState.SUCCEEDED


GHOST = """
import sys
from pathlib import Path
from gradwire.services.ray_environment import prepare_for_cluster_of_our_own
prepare_for_cluster_of_our_own(Path(sys.argv[1]))
from ray.util.placement_group import placement_group
from gradwire.services.cluster import LocalRay
cluster = LocalRay(Path(sys.argv[1]))
group = placement_group([{"CPU": cluster.slots.cpus_per_worker}] * 5, name="gradwire/job-ghost-1-1", lifetime="detached")
assert group.wait(60)
"""


def test_a_service_that_starts_gives_back_the_places_of_attempts_that_nobody_follows(served, home):
    served[0].process.kill()
    served[0].process.wait()
    served[0].process.stdout.close()
    made = subprocess.run([sys.executable, "-c", GHOST, str(home)], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    served[0] = Served(home)
    ended = served[0].client.submit(code(), workers=8).wait()
    assert ended.state == JobState.SUCCEEDED and ended.attempt == 1


def test_an_exception_of_the_user_fails_the_job_with_the_users_traceback(served):
    ended = served[0].client.submit(code(), workers=2, overrides={"raise_at": "7"}).wait()
    assert ended.state == JobState.FAILED and ended.step == 6
    assert ended.error.reason == "USER_CODE" and "the seventh step is cursed" in ended.error.message
    assert "ray_job.py" in ended.error.traceback and "core/" not in ended.error.traceback


def test_a_wrong_setting_and_a_wrong_loss_are_told_in_a_sentence(served):
    wrong = served[0].client.submit(code(), overrides={"lrr": "1"}).wait()
    assert wrong.error.reason == "INVALID_JOB_FILE" and "did you mean lr?" in wrong.error.message
    vector = served[0].client.submit(code(), overrides={"vector_loss": "true"}, workers=2).wait()
    assert vector.state == JobState.FAILED and "expected 'loss' to be a scalar" in vector.error.message


def test_a_cancelled_job_leaves_no_worker(served, home):
    job = served[0].client.submit(code(), workers=3, overrides={"epochs": "2000"})
    wait_for_step(job, 3)
    job.cancel()
    assert job.wait().state == JobState.CANCELLED
    deadline = time.monotonic() + 10
    while ray_processes(home, "ray::MemberActor") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ray_processes(home, "ray::MemberActor") == []
