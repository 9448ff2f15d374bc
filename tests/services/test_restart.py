"""A service that is killed with kill -9, or stopped, and started again."""

import random
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from serving_harness import ServerProcess, code
from waiting import wait_until

from gradwire.services import records as r
from gradwire.services.attempt_folder import end_holder, holder
from gradwire.services.client import Client
from gradwire.services.states import JobState

Start = Callable[..., ServerProcess]


def test_a_running_job_is_adopted_and_its_watcher_sees_each_event_once(serve: Start) -> None:
    server = serve()
    with Client(server.address, retry_for_s=30) as client:
        job = client.submit(code(), overrides={"steps": "60", "step_s": "0.05"})
        seen: list[r.Event] = []
        watcher = threading.Thread(target=lambda: seen.extend(job.watch()))
        watcher.start()
        for steps in (10, 25):
            wait_until(lambda steps=steps: job.get().step >= steps)
            server.kill()
            server = serve(server.port)
        watcher.join(60)
        ended = job.get()
    assert ended.state == JobState.SUCCEEDED
    # Its process outlived the service, so no second attempt was needed.
    assert ended.attempt == 1
    assert [event.number for event in seen] == list(range(1, ended.last_event + 1))
    assert [e.kind.step for e in seen if isinstance(e.kind, r.StepFinished)] == list(range(1, 61))


def test_a_job_that_ended_while_no_service_ran_is_not_run_again(serve: Start, tmp_path: Path) -> None:
    server = serve()
    with Client(server.address, retry_for_s=30) as client:
        job = client.submit(code(), overrides={"steps": "10", "step_s": "0.05"})
        wait_until(lambda: job.get().step >= 2)
        server.kill()
        wait_until(lambda: holder(tmp_path / "home" / "jobs" / job.id) is None)
        serve(server.port)
        ended = job.wait()
    assert (ended.state, ended.attempt, ended.step) == (JobState.SUCCEEDED, 1, 10)


def test_what_a_job_reported_while_no_service_ran_is_told_though_its_process_died_too(
    serve: Start, tmp_path: Path
) -> None:
    server = serve()
    with Client(server.address, retry_for_s=30) as client:
        script = {"steps": "12", "step_s": "0.03", "checkpoint_every": "5", "hold_at": "8"}
        job = client.submit(code(), overrides=script)
        wait_until(lambda: job.get().step >= 1)
        server.kill()
        folder = tmp_path / "home" / "jobs" / job.id
        wait_until(lambda: '"StepFinished", "step": 7' in (folder / "attempts/1/reports.jsonl").read_text())
        end_holder(folder, 0.0)
        (folder / "go").touch()
        serve(server.port)
        events = list(job.watch())
        ended = job.get()
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 2)
    # Step 6 and 7 were made twice, with the same bits, and are told once.
    assert [e.kind.step for e in events if isinstance(e.kind, r.StepFinished)] == list(range(1, 13))
    assert [e.kind.step for e in events if isinstance(e.kind, r.CheckpointWritten)] == [5, 10, 12]
    assert not any(isinstance(e.kind, r.Warned) for e in events)


def test_after_a_clean_stop_a_running_job_goes_on_in_a_higher_attempt(serve: Start) -> None:
    server = serve()
    with Client(server.address, retry_for_s=30) as client:
        job = client.submit(code(), overrides={"steps": "30", "step_s": "0.05"})
        wait_until(lambda: job.get().step >= 3)
        assert server.terminate() == 0
        serve(server.port)
        events = list(job.watch())
        ended = job.get()
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 2)
    assert [e.kind.step for e in events if isinstance(e.kind, r.StepFinished)] == list(range(1, 31))
    states = [e.kind.state for e in events if isinstance(e.kind, r.StateChanged)]
    assert states[2:] == [JobState.RUNNING, JobState.RECOVERING, JobState.RUNNING, JobState.SUCCEEDED]


def test_a_job_cancelled_just_before_the_kill_ends_as_cancelled(serve: Start) -> None:
    server = serve()
    with Client(server.address, retry_for_s=30) as client:
        job = client.submit(code(), overrides={"steps": "1000", "step_s": "0.05"})
        wait_until(lambda: job.get().step >= 2)
        job.cancel()
        server.kill()
        serve(server.port)
        assert job.wait().state == JobState.CANCELLED


def test_no_acknowledged_job_is_lost_and_none_doubled_by_kills_during_submits(serve: Start) -> None:
    server = serve()
    done = threading.Event()
    answered: dict[str, set[str]] = {}

    def submit(seed: int) -> None:
        order = random.Random(seed)
        with Client(server.address, retry_for_s=60) as client:
            while not done.is_set():
                request_id = str(uuid.UUID(int=order.getrandbits(128), version=4))
                for _ in range(order.choice([1, 1, 2])):
                    # A queue that never moves: more workers than are ever free at once.
                    job = client.submit(
                        code(), workers=8, overrides={"steps": "1000", "step_s": "1"}, request_id=request_id
                    )
                    answered.setdefault(request_id, set()).add(job.id)

    threads = [threading.Thread(target=submit, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    times = random.Random(0)
    for _ in range(5):
        time.sleep(times.uniform(0.2, 0.8))
        server.kill()
        server = serve(server.port)
    done.set()
    for thread in threads:
        thread.join(90)
    with Client(server.address, retry_for_s=30) as client:
        stored = [job.id for job in client.jobs()]
        for job in client.jobs([JobState.QUEUED]):
            client.job(job.id).cancel()
        for job_id in stored:
            client.job(job_id).cancel()
    assert all(len(ids) == 1 for ids in answered.values())
    acknowledged = {job_id for ids in answered.values() for job_id in ids}
    assert len(acknowledged) == len(answered) > 50
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))
    # Every id was tried until it was answered, so nothing else is stored.
    assert len(stored) == len(answered)
