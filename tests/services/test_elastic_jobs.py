"""Jobs that are paused, resumed, resized and updated: a whole service, real sockets, real processes, kill -9."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from serving_harness import ServerProcess, code

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.proto.v1 import jobs_pb2_grpc
from gradwire.services import records as r
from gradwire.services.attempt_folder import holder
from gradwire.services.client import Client, RemoteJob
from gradwire.services.errors import InvalidRequestError, JobStateError, ResizeLimitError
from gradwire.services.launcher import Capacity
from gradwire.services.service import Service
from gradwire.services.states import JobState
from gradwire.services.store import Store

Start = Callable[..., ServerProcess]


def submit(client: Client, workers: int = 1, **script: str) -> RemoteJob:
    return client.submit(code(), overrides={"steps": "12", "step_s": "0.03", **script}, workers=workers)


def wait_until(met: Callable[[], bool], deadline_s: float = 30.0) -> None:
    end = time.monotonic() + deadline_s
    while not met():
        assert time.monotonic() < end, f"it was not so within {deadline_s:g} s"
        time.sleep(0.02)


def until(job: RemoteJob, state: JobState) -> r.Job:
    wait_until(lambda: job.get().state == state)
    return job.get()


def let_go(home: Path, job: RemoteJob) -> None:
    """Lets a job go on that waits at its step `hold_at`."""
    (home / "jobs" / job.id / "go").touch()


def kinds(job: RemoteJob, kind: type[Any]) -> list[Any]:
    return [event.kind for event in job.watch() if isinstance(event.kind, kind)]


def steps(job: RemoteJob) -> list[r.StepFinished]:
    return kinds(job, r.StepFinished)


def undisturbed(client: Client) -> str:
    """The chain of a job that nobody steered."""
    job = submit(client, step_s="0")
    job.wait()
    return job.get().chain


def test_a_paused_job_gives_its_workers_back_and_goes_on_where_it_stopped(
    client: Client, tmp_path: Path
) -> None:
    job = submit(client, workers=8, hold_at="9")
    wait_until(lambda: job.get().step >= 3)
    job.pause()
    paused = until(job, JobState.PAUSED)
    assert (paused.workers, paused.attempt) == (0, 1)
    assert 3 <= paused.step < 12
    assert job.pause().state == JobState.PAUSED
    wait_until(lambda: holder(tmp_path / "home" / "jobs" / job.id) is None)
    # All eight workers are free.
    other = submit(client, workers=8)
    assert other.wait().state == JobState.SUCCEEDED
    let_go(tmp_path / "home", job)
    assert job.resume().state == JobState.QUEUED
    ended = job.wait()
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 2)
    assert [step.step for step in steps(job)] == list(range(1, 13))
    assert ended.chain == undisturbed(client) != ""


def test_a_job_in_the_queue_is_paused_at_once_and_resumed_to_its_end(client: Client) -> None:
    first = submit(client, workers=8, steps="1000")
    second = submit(client)
    assert second.pause().state == JobState.PAUSED
    first.cancel()
    first.wait()
    time.sleep(0.3)
    assert second.get().state == JobState.PAUSED
    second.resume()
    assert second.wait().state == JobState.SUCCEEDED


def test_a_resize_ends_when_the_group_of_that_size_is_formed(client: Client, tmp_path: Path) -> None:
    job = submit(client, workers=2, form_s="0.2", hold_at="8")
    wait_until(lambda: job.get().step >= 2)
    answer = job.resize(4)
    assert answer.wanted_workers == 4
    wait_until(lambda: job.get().workers == 4)
    assert job.get().state == JobState.RUNNING
    job.resize(1)
    wait_until(lambda: job.get().workers == 1)
    let_go(tmp_path / "home", job)
    job.wait()
    states = [kind.state.name for kind in kinds(job, r.StateChanged)]
    assert states == [
        "QUEUED",
        "STARTING",
        "RUNNING",
        "RESIZING",
        "RUNNING",
        "RESIZING",
        "RUNNING",
        "SUCCEEDED",
    ]
    assert [formed.workers for formed in kinds(job, r.GroupFormed)] == [2, 4, 1]
    assert [updated.workers for updated in kinds(job, r.JobUpdated)] == [4, 1]
    assert steps(job)[-1].workers == 1


def test_a_job_grows_when_there_is_room_and_says_what_it_waits_for(client: Client) -> None:
    job = submit(client, workers=2, steps="1000")
    other = submit(client, workers=5, steps="1000")
    wait_until(lambda: job.get().step >= 1 and other.get().step >= 1)
    job.resize(6)
    wait_until(lambda: job.get().waiting_reason != "")
    # What is idle it gets at once.
    wait_until(lambda: job.get().workers == 3)
    assert job.get().waiting_reason == "has 3 of 6 workers; it gets more as they become idle"
    other.resize(1)
    wait_until(lambda: job.get().workers == 6)
    assert job.get().waiting_reason == ""
    # What one gave and the other took leaves one worker free, not more.
    third, fourth = submit(client, steps="1000"), submit(client)
    until(third, JobState.RUNNING)
    wait_until(lambda: fourth.get().waiting_reason.startswith("needs 1 CPU worker; 0 are free; held by "))
    job.resize(5)
    assert fourth.wait().state == JobState.SUCCEEDED
    for each in (job, other, third):
        each.cancel()
        each.wait()


def test_a_waiting_or_paused_job_starts_with_the_number_it_was_resized_to(client: Client) -> None:
    first = submit(client, workers=8, steps="1000")
    until(first, JobState.RUNNING)
    queued, paused = submit(client, workers=1), submit(client, workers=1)
    paused.pause()
    queued.resize(3)
    paused.resize(4)
    first.cancel()
    queued.wait()
    paused.resume()
    paused.wait()
    assert {step.workers for step in steps(queued)} == {3}
    assert {step.workers for step in steps(paused)} == {4}


def test_an_update_holds_from_a_step_on_and_is_repeated_where_that_step_is_made_again(
    client: Client, tmp_path: Path
) -> None:
    # Its process kills itself in step 9, and the newest checkpoint is that of step 2.
    job = submit(client, die_at="9", hold_at="8")
    wait_until(lambda: job.get().step >= 3)
    assert job.update(lr=0.5).wanted_options == {"lr": 0.5}
    wait_until(lambda: job.get().options_history != ())
    let_go(tmp_path / "home", job)
    ended = job.wait()
    assert (ended.state, ended.attempt, ended.wanted_options) == (JobState.SUCCEEDED, 2, {})
    (changed,) = kinds(job, r.OptionsChanged)
    assert ended.options_history == (changed,)
    assert 3 <= changed.step < 9
    expected = [(1.0 if step <= changed.step else 0.5) / step for step in range(1, 13)]
    assert [step.metrics["loss"] for step in steps(job)] == expected


def test_an_update_of_a_waiting_and_of_a_paused_job_holds_from_where_it_goes_on(
    client: Client, tmp_path: Path
) -> None:
    first = submit(client, workers=8, steps="1000")
    until(first, JobState.RUNNING)
    job = submit(client, hold_at="9")
    job.update(lr=0.5, priority=7, labels={"team": "a"})
    first.cancel()
    wait_until(lambda: job.get().step >= 3)
    job.pause()
    done = until(job, JobState.PAUSED).step
    job.update(lr=0.25)
    let_go(tmp_path / "home", job)
    job.resume()
    ended = job.wait()
    assert (ended.spec.priority, ended.spec.labels) == (7, {"team": "a"})
    assert [(each.step, each.options["lr"]) for each in ended.options_history] == [(0, 0.5), (done, 0.25)]
    losses = [step.metrics["loss"] for step in steps(job)]
    assert losses == [(0.5 if step <= done else 0.25) / step for step in range(1, 13)]


def test_a_higher_priority_moves_a_waiting_job_forward(client: Client) -> None:
    first = submit(client, workers=8, steps="1000")
    until(first, JobState.RUNNING)
    second, third = submit(client, workers=8), submit(client, workers=8)
    third.update(priority=1)
    wait_until(lambda: third.get().waiting_reason != "" != second.get().waiting_reason)
    first.cancel()
    ended = [second.wait(), third.wait()]
    assert ended[0].start_time is not None and ended[1].start_time is not None
    assert ended[1].start_time < ended[0].start_time


def test_wrong_requests_say_what_is_wrong(service: Service, client: Client) -> None:
    job = submit(client, workers=2)
    with pytest.raises(ResizeLimitError, match="has 8 shards"):
        job.resize(9)
    with pytest.raises(InvalidRequestError, match="workers: expected 1 to 4096, not 0"):
        job.resize(0)
    with pytest.raises(InvalidRequestError, match=r"finite number, 0 or more, not -1\.0"):
        job.update(lr=-1.0)
    with pytest.raises(InvalidRequestError) as caught:
        job.update(lr=float("nan"), labels={"": "x", "a": "1"}, remove_labels=["a"])
    assert [v.field for v in caught.value.violations] == ["options['lr']", "labels", "remove_labels"]
    with pytest.raises(InvalidRequestError, match="something to change"):
        job.update()
    job.wait()
    for call in (job.pause, job.resume, lambda: job.resize(1), lambda: job.update(lr=1.0)):
        with pytest.raises(JobStateError, match=f"job {job.id} is succeeded and can't be"):
            call()
    with grpc.insecure_channel(str(service.address)) as channel:
        stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError) as failed:
            stub.PauseJob(pb.PauseJobRequest(job_id=job.id), timeout=10)
    assert failed.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    status: status_pb2.Status | None = rpc_status.from_call(failed.value)  # type: ignore[arg-type]
    assert status is not None
    info, precondition = error_details_pb2.ErrorInfo(), error_details_pb2.PreconditionFailure()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(precondition)
    assert (info.reason, info.metadata["state"]) == ("JOB_STATE", "SUCCEEDED")
    assert precondition.violations[0].subject == job.id


def test_two_clients_that_pause_and_resume_at_random_leave_a_job_that_can_be_brought_to_its_end(
    service: Service, client: Client
) -> None:
    job = submit(client, workers=2, steps="60", step_s="0.01")

    def race(seed: int) -> None:
        order = random.Random(seed)
        with Client(str(service.address)) as mine:
            same = mine.job(job.id)
            requests = [same.pause, same.resume, same.resume, lambda: same.resize(order.randint(1, 8))]
            for _ in range(25):
                try:
                    order.choice(requests)()
                except JobStateError:
                    return
                time.sleep(order.uniform(0, 0.05))

    threads = [threading.Thread(target=race, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if not job.get().state.terminal:
        job.resume()
    # A pause that was under way may still come about; then it is in the queue by itself.
    ended = job.wait()
    assert ended.state == JobState.SUCCEEDED
    assert [step.step for step in steps(job)] == list(range(1, 61))
    numbers = [event.number for event in job.watch()]
    assert numbers == list(range(1, ended.last_event + 1))
    assert submit(client, workers=8).wait().state == JobState.SUCCEEDED


def test_a_cancellation_that_races_with_pause_and_resume_wins(service: Service, client: Client) -> None:
    for seed in range(4):
        job = submit(client, steps="1000", step_s="0.01")
        until(job, JobState.RUNNING)

        def race(job_id: str = job.id, seed: int = seed) -> None:
            with Client(str(service.address)) as mine:
                for k in range(20):
                    try:
                        mine.job(job_id).pause() if (k + seed) % 2 else mine.job(job_id).resume()
                    except JobStateError:
                        return

        thread = threading.Thread(target=race)
        thread.start()
        time.sleep(0.005 * seed)
        job.cancel()
        assert job.wait().state == JobState.CANCELLED
        thread.join(30)


def test_what_was_answered_before_a_kill_is_carried_out_after_it(serve: Start, tmp_path: Path) -> None:
    server = serve()
    with Client(server.address, retry_for_s=30) as client:
        jobs = [submit(client, workers=2, steps="40", step_s="0.02", hold_at="30") for _ in range(3)]
        wait_until(lambda: all(job.get().step >= 2 for job in jobs))
        server.kill()
        # What a service does that is killed between its answer and the first step towards it.
        store = Store(tmp_path / "home" / "jobs.db")
        store.request_pause(jobs[0].id).result()
        store.request_resize(jobs[1].id, 4, Capacity(8, 0)).result()
        store.request_update(jobs[2].id, r.Update({"lr": 0.5})).result()
        store.close()
        serve(server.port)
        assert until(jobs[0], JobState.PAUSED).attempt == 1
        wait_until(lambda: jobs[1].get().workers == 4)
        assert jobs[1].get().state == JobState.RUNNING
        wait_until(lambda: jobs[2].get().options_history != ())
        assert jobs[2].get().wanted_options == {}
        for job in jobs:
            job.cancel()
            job.wait()


def test_kills_while_a_job_is_steered_lose_nothing_and_repeat_nothing(serve: Start, tmp_path: Path) -> None:
    server = serve()
    with Client(server.address, retry_for_s=30) as client:
        job = submit(client, workers=2, steps="60", step_s="0.01", form_s="0.1", hold_at="50")
        wait_until(lambda: job.get().step >= 2)
        requests: list[Callable[[], object]] = [
            lambda: job.resize(4),
            lambda: job.update(lr=0.5),
            job.pause,
            job.resume,
        ]
        for request in requests:
            request()
            server.kill()
            server = serve(server.port)
            if request == job.pause:
                until(job, JobState.PAUSED)
        let_go(tmp_path / "home", job)
        ended = job.wait()
        assert ended.state == JobState.SUCCEEDED
        made = steps(job)
        assert [step.step for step in made] == list(range(1, 61))
        assert made[-1].workers == 4
        (changed,) = kinds(job, r.OptionsChanged)
        assert [step.metrics["loss"] for step in made] == [
            (1.0 if step <= changed.step else 0.5) / step for step in range(1, 61)
        ]
        assert [event.number for event in job.watch()] == list(range(1, ended.last_event + 1))


def test_a_service_killed_while_a_job_is_paused_finds_it_paused(serve: Start, tmp_path: Path) -> None:
    server = serve()
    with Client(server.address, retry_for_s=30) as client:
        job = submit(client, hold_at="8")
        wait_until(lambda: job.get().step >= 2)
        job.pause()
        until(job, JobState.PAUSED)
        server.kill()
        serve(server.port)
        time.sleep(0.3)
        assert job.get().state == JobState.PAUSED
        let_go(tmp_path / "home", job)
        job.resume()
        assert job.wait().state == JobState.SUCCEEDED
        assert [step.step for step in steps(job)] == list(range(1, 13))
