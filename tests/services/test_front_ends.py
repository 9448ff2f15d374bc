"""Several front ends on one PostgreSQL: any answers, one schedules, and another takes over when that one is gone."""

import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nursery import Server
from serving_harness import code, run_cli
from sqlalchemy import URL

from gradwire.services import records as r
from gradwire.services.attempt_folder import (
    AttemptFolder,
    ElsewhereError,
    LateAttemptError,
    end_holder,
    holder,
)
from gradwire.services.client import Client
from gradwire.services.connections import open_engine
from gradwire.services.launcher import Launch
from gradwire.services.lease import lease_holder
from gradwire.services.states import JobState

Start = Callable[..., Server]


def wait_until(met: Callable[[], bool], deadline_s: float = 60.0) -> None:
    """Looks again until it is so."""
    end = time.monotonic() + deadline_s
    while not met():
        assert time.monotonic() < end, f"it was not so within {deadline_s:g} s"
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path, database: URL) -> Iterator[Start]:
    """Starts front ends of one store and one home, by their names."""
    started: list[Server] = []

    def begin(name: str, lease_s: float = 1.5, port: int = 0) -> Server:
        started.append(Server(tmp_path / "home", port, store=database, front_end=name, lease_s=lease_s))
        return started[-1]

    yield begin
    for server in started:
        if server.alive:
            os.kill(server.pid, signal.SIGCONT)
            server.end(signal.SIGKILL)
    for lock in (tmp_path / "home").glob("jobs/*/running.lock"):
        end_holder(lock.parent, 0.0)


@pytest.fixture
def leader(database: URL) -> Iterator[Callable[[], str]]:
    """The address of the front end that schedules, '' where none does."""
    engine = open_engine(database)

    def look() -> str:
        found = lease_holder(engine)
        return "" if found is None else found.address

    yield look
    engine.dispose()


def steps_of(events: list[r.Event]) -> list[int]:
    return [event.kind.step for event in events if isinstance(event.kind, r.StepFinished)]


def test_any_front_end_submits_reads_steers_and_watches_while_one_schedules(
    start: Start, leader: Callable[[], str]
) -> None:
    first, second = start("a"), start("b")
    assert leader() == first.address
    with Client(first.address) as a, Client(second.address) as b:
        ended = b.submit(code(), overrides={"steps": "5"})
        held = b.submit(code(), overrides={"steps": "9", "hold_at": "4"})
        assert steps_of(list(ended.watch())) == [1, 2, 3, 4, 5]
        wait_until(lambda: held.get().step == 3)
        seen: list[r.Event] = []
        watcher = threading.Thread(target=lambda: seen.extend(b.job(held.id).watch()))
        watcher.start()
        b.job(held.id).update(lr=0.5)
        wait_until(lambda: a.job(held.id).get().options_history != ())
        b.job(held.id).cancel()
        watcher.join(60)
        assert a.job(held.id).get() == b.job(held.id).get()
        assert a.job(held.id).get().state == JobState.CANCELLED
        assert [event.number for event in seen] == list(range(1, held.get().last_event + 1))
        assert [job.id for job in a.jobs()] == [job.id for job in b.jobs()] == [held.id, ended.id]
    assert leader() == first.address


def test_when_the_scheduling_front_end_is_killed_another_adopts_what_runs(
    start: Start, leader: Callable[[], str]
) -> None:
    first, second = start("a"), start("b")
    with Client(second.address) as client:
        job = client.submit(code(), overrides={"steps": "60", "step_s": "0.05"})
        waiting = client.submit(code(), workers=8, overrides={"steps": "2"})
        seen: list[r.Event] = []
        watcher = threading.Thread(target=lambda: seen.extend(job.watch()))
        watcher.start()
        wait_until(lambda: job.get().step >= 5)
        first.end(signal.SIGKILL)
        watcher.join(60)
        assert leader() == second.address
        ended = job.get()
        assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 1)
        assert [event.number for event in seen] == list(range(1, ended.last_event + 1))
        assert steps_of(seen) == list(range(1, 61))
        assert waiting.wait().state == JobState.SUCCEEDED


def test_a_front_end_that_stood_still_finds_its_writes_refused_and_stands_by(
    start: Start, leader: Callable[[], str]
) -> None:
    first, second = start("a"), start("b")
    with Client(second.address) as client:
        job = client.submit(code(), overrides={"steps": "80", "step_s": "0.05"})
        wait_until(lambda: job.get().step >= 3)
        os.kill(first.pid, signal.SIGSTOP)
        wait_until(lambda: leader() == second.address)
        step = job.get().step
        wait_until(lambda: job.get().step > step)
        # It goes on where it stood, in the belief that it schedules.
        os.kill(first.pid, signal.SIGCONT)
        with Client(first.address, retry_for_s=30) as again:
            events = list(again.job(job.id).watch())
            other = again.submit(code(), overrides={"steps": "2"})
            assert other.wait().state == JobState.SUCCEEDED
        ended = job.get()
        assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 1)
        assert steps_of(events) == list(range(1, 81))
        assert leader() == second.address
        second.end(signal.SIGKILL)
    wait_until(lambda: leader() == first.address)
    with Client(first.address) as client:
        assert client.submit(code(), overrides={"steps": "2"}).wait().state == JobState.SUCCEEDED


def test_a_front_end_that_is_stopped_hands_over_at_once_and_training_goes_on(
    start: Start, leader: Callable[[], str], tmp_path: Path
) -> None:
    first, second = start("a", 600.0), start("b", 4.0)
    with Client(second.address) as client:
        job = client.submit(code(), overrides={"steps": "60", "step_s": "0.05"})
        wait_until(lambda: job.get().step >= 3)
        assert first.end(signal.SIGTERM) == 0
        wait_until(lambda: leader() == second.address, 20)
        assert job.wait().state == JobState.SUCCEEDED
        assert job.get().attempt == 1
        # The last of them ends what it runs, as a service alone does.
        held = client.submit(code(), overrides={"steps": "60", "hold_at": "4"})
        wait_until(lambda: held.get().step == 3)
    assert second.end(signal.SIGTERM) == 0
    assert holder(tmp_path / "home" / "jobs" / held.id) is None


def test_a_front_end_that_is_started_again_need_not_wait_for_the_end_of_its_own_lease(start: Start) -> None:
    first = start("a", 600.0)
    with Client(first.address, retry_for_s=30) as client:
        job = client.submit(code(), overrides={"steps": "60", "step_s": "0.05"})
        wait_until(lambda: job.get().step >= 3)
        first.end(signal.SIGKILL)
        start("a", 600.0, first.port)
        assert job.wait().state == JobState.SUCCEEDED
        assert job.get().attempt == 1


def test_doctor_says_who_schedules_and_shows_no_password(start: Start, database: URL, tmp_path: Path) -> None:
    url = database.set(password="s3cr3t", drivername="postgresql").render_as_string(hide_password=False)
    ask = ("doctor", "--home", str(tmp_path), "--json")
    told = [json.loads(run_cli(*ask, environment={"GRADWIRE_STORE": url}).stdout)["store"]]
    first = start("a")
    told.append(json.loads(run_cli(*ask, environment={"GRADWIRE_STORE": url}).stdout)["store"])
    assert [each["answers"] for each in told] == [True, True]
    assert [each["scheduler"] for each in told] == [None, first.address]
    assert "s3cr3t" not in json.dumps(told)
    assert "gradwire:***@" in told[1]["at"]


def test_a_late_launch_does_not_take_the_place_of_a_newer_attempt(tmp_path: Path) -> None:
    def launch(attempt: int) -> Launch:
        return Launch("job", attempt, tmp_path, "job.py", {}, 1, 1, "cpu", 1)

    AttemptFolder(tmp_path, 3).prepare(launch(3))
    AttemptFolder(tmp_path, 3).prepare(launch(3))
    with pytest.raises(LateAttemptError, match="attempt 3 was begun already, after attempt 2"):
        AttemptFolder(tmp_path, 2).prepare(launch(2))
    assert AttemptFolder(tmp_path, 3).newest


def test_a_process_of_another_host_is_not_taken_for_one_of_this(tmp_path: Path) -> None:
    AttemptFolder(tmp_path, 1).prepare(Launch("job", 1, tmp_path, "job.py", {}, 1, 1, "cpu", 1))
    with open(tmp_path / "running.lock", "w+") as lock, subprocess.Popen(["sleep", "60"]) as here:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # A number that is this host's too.
        lock.write(f"{here.pid} 1 another-host")
        lock.flush()
        assert holder(tmp_path) == (here.pid, 1)
        with pytest.raises(ElsewhereError, match="a process on another-host runs the job still"):
            end_holder(tmp_path, 0.1)
        assert here.poll() is None
        here.kill()
