"""The scheduler's decisions on real jobs: a whole service, real sockets, real processes, kill -9. Whatever it does, no bit changes."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from people import People
from serving_harness import ServerProcess, code, scripted
from waiting import wait_until

from gradwire.services import records as r
from gradwire.services.client import Client, RemoteJob
from gradwire.services.errors import InvalidRequestError
from gradwire.services.explanation import WaitCode
from gradwire.services.scheduling import Policy, Quota
from gradwire.services.security.exposure import Protection
from gradwire.services.service import Address, Service
from gradwire.services.states import JobState

Start = Callable[..., ServerProcess]
QUICK = Policy(preempt_after_s=0.0, grow_after_s=0.1)
QUICK_FILE = "preempt_after_s = 0\ngrow_after_s = 0.1\n"


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Client]:
    """A client of a service with eight workers that preempts and grows at once."""
    service = Service(tmp_path / "home", scripted, Address("127.0.0.1", 0), policy=QUICK)
    with Client(str(service.start())) as client:
        yield client
        for job in client.jobs():
            client.job(job.id).cancel()
        service.stop()


def submit(
    client: Client, workers: int = 1, script: dict[str, str] | None = None, **options: Any
) -> RemoteJob:
    """A job of twelve steps that waits before the ninth until it is let go."""
    return client.submit(
        code(), overrides={"steps": "12", "hold_at": "9", **(script or {})}, workers=workers, **options
    )


def short(client: Client, workers: int = 1, **options: Any) -> RemoteJob:
    """A job that ends by itself."""
    return client.submit(code(), overrides={"steps": "2"}, workers=workers, **options)


def let_go(home: Path, *jobs: RemoteJob) -> None:
    for job in jobs:
        (home / "jobs" / job.id / "go").touch()


def elastic(client: Client, least: int, most: int, **options: Any) -> RemoteJob:
    return submit(client, least, min_workers=least, max_workers=most, **options)


def until(job: RemoteJob, state: JobState) -> r.Job:
    wait_until(lambda: job.get().state == state, what=state.name)
    return job.get()


def has(job: RemoteJob, workers: int) -> None:
    wait_until(lambda: (job.get().state, job.get().workers) == (JobState.RUNNING, workers), what=f"{workers}")


def states(job: RemoteJob) -> list[str]:
    return [e.kind.state.name for e in job.watch() if isinstance(e.kind, r.StateChanged)]


def check_bits(client: Client, job: RemoteJob) -> None:
    """The job made each step once, and ended with the bits of one that nobody disturbed."""
    ended = job.wait()
    assert ended.state == JobState.SUCCEEDED, ended.error
    alone = client.submit(code(), overrides={"steps": str(ended.total_steps)})
    assert alone.wait().chain == ended.chain != ""
    assert alone.get().parameters_sha256 == ended.parameters_sha256 != ""
    made = [e.kind.step for e in job.watch() if isinstance(e.kind, r.StepFinished)]
    assert made == list(range(1, ended.total_steps + 1))


def test_an_elastic_job_starts_with_what_there_is_grows_shrinks_for_others_and_keeps_its_bits(
    quick: Client, tmp_path: Path
) -> None:
    other = submit(quick, 5)
    until(other, JobState.RUNNING)
    job = elastic(quick, 2, 6)
    assert job.get().wanted_workers == 6
    has(job, 3)
    other.cancel()
    has(job, 6)
    third = submit(quick, 6)
    has(third, 6)
    assert job.get().workers == 2
    third.cancel()
    has(job, 6)
    let_go(tmp_path / "home", job)
    check_bits(quick, job)
    sizes = [e.kind.workers for e in job.watch() if isinstance(e.kind, r.GroupFormed)]
    assert sizes == [3, 6, 2, 6]
    assert "QUEUED" not in states(job)[1:]


def test_a_higher_priority_takes_lent_workers_first_then_pauses_who_keeps_its_place(
    quick: Client, tmp_path: Path
) -> None:
    lends, fixed = elastic(quick, 2, 4), submit(quick, 4)
    has(fixed, 4)
    has(lends, 4)
    # Two lent workers are enough: nobody is paused.
    short(quick, 2, priority=1).wait()
    assert "QUEUED" not in states_so_far(lends)[1:] + states_so_far(fixed)[1:]
    has(lends, 4)
    large = submit(quick, 8, priority=1)
    behind = short(quick, 8)
    has(large, 8)
    paused = [fixed.get(), lends.get()]
    assert [job.state for job in paused] == [JobState.QUEUED] * 2
    assert [job.workers for job in paused] == [0, 0]
    assert not any(job.pause_requested for job in paused)
    let_go(tmp_path / "home", large, fixed, lends)
    assert large.wait().state == JobState.SUCCEEDED
    ended = []
    for job in (fixed, lends):
        ended.append(job.wait().end_time)
        assert "PAUSED" not in states(job)
        check_bits(quick, job)
    # They were submitted before it, so it came after them.
    started = behind.wait().start_time
    assert started is not None
    assert all(end is not None and started > end for end in ended)


def states_so_far(job: RemoteJob) -> list[str]:
    last, seen = job.get().last_event, []
    for event in job.watch():
        if isinstance(event.kind, r.StateChanged):
            seen.append(event.kind.state.name)
        if event.number >= last:
            break
    return seen


def test_a_job_of_the_same_priority_pauses_nobody(quick: Client, tmp_path: Path) -> None:
    first = submit(quick, 8)
    until(first, JobState.RUNNING)
    second = short(quick, 8)
    wait_until(lambda: second.explain().code == WaitCode.NO_CAPACITY)
    let_go(tmp_path / "home", first)
    second.wait()
    assert states(first) == ["QUEUED", "STARTING", "RUNNING", "SUCCEEDED"]


def test_the_owners_resize_of_an_elastic_job_moves_the_top_of_its_range(quick: Client) -> None:
    job = elastic(quick, 2, 6)
    has(job, 6)
    job.resize(3)
    has(job, 3)
    short(quick, 5).wait()
    assert job.get().workers == 3
    job.resize(6)
    has(job, 6)


def test_wall_time_ends_a_job_and_says_which_limit(quick: Client, tmp_path: Path) -> None:
    job = submit(quick, limits=r.JobLimits(job_seconds=0.6))
    again = submit(quick, limits=r.JobLimits(attempt_seconds=5, retries={"WALL_TIME": 50}))
    ended = job.wait()
    assert ended.state == JobState.FAILED
    assert ended.error is not None
    assert ended.error.reason == "WALL_TIME"
    assert "limits.job_seconds is 0.6" in ended.error.message
    assert 0.6 <= ended.run_seconds < 30
    wait_until(lambda: again.get().attempt > 1)
    let_go(tmp_path / "home", again)
    check_bits(quick, again)
    assert again.get().run_seconds > 5


def test_retries_are_counted_by_cause(quick: Client) -> None:
    job = submit(quick, script={"fail_at": "2"}, limits=r.JobLimits(retries={"USER_ERROR": 2}))
    ended = job.wait()
    assert (ended.state, ended.attempt) == (JobState.FAILED, 3)
    assert ended.error is not None
    assert ended.error.reason == "USER_CODE"
    assert ended.error.traceback.startswith("Traceback")
    job = submit(quick, script={"die_at": "2"}, limits=r.JobLimits(retries={"WORKER_LOSS": 0}))
    ended = job.wait()
    assert (ended.state, ended.attempt) == (JobState.FAILED, 1)
    assert ended.error is not None
    assert ended.error.reason == "WORKERS_LOST"


def test_a_gang_that_does_not_stand_in_time_goes_back_to_the_queue_and_comes_again(tmp_path: Path) -> None:
    policy = Policy(gang_deadline_s=4.0)
    service = Service(tmp_path / "home", scripted, Address("127.0.0.1", 0), policy=policy)
    with Client(str(service.start())) as client:
        job = short(client, 4)
        slow = client.submit(code(), overrides={"steps": "2", "start_s": "60"}, workers=4)
        assert job.wait().state == JobState.SUCCEEDED
        ended = slow.wait()
        assert (ended.state, ended.attempt > 1) == (JobState.SUCCEEDED, True)
        reasons = [e.kind.reason for e in slow.watch() if isinstance(e.kind, r.StateChanged)]
        assert reasons[2].startswith("its workers did not come up within 4 s; it is tried again in ")
        service.stop()


def test_wrong_limits_are_named_all_at_once(quick: Client) -> None:
    limits = r.JobLimits(-1.0, float("nan"), {"BAD_LUCK": 1, "USER_ERROR": -1})
    with pytest.raises(InvalidRequestError) as caught:
        submit(quick, 9, limits=limits, storage_bytes=-1)
    assert {violation.field for violation in caught.value.violations} == {
        "spec.workers",
        "spec.limits.attempt_seconds",
        "spec.limits.job_seconds",
        "spec.limits.retries['BAD_LUCK']",
        "spec.limits.retries['USER_ERROR']",
        "spec.storage_bytes",
    }


def test_owners_share_by_what_they_hold_and_not_by_how_many_jobs_they_send(tmp_path: Path) -> None:
    service = Service(
        tmp_path / "home",
        scripted,
        Address("127.0.0.1", 0),
        protection=Protection(require_token=True),
        policy=QUICK,
    )
    service.start()
    people = People(service)
    try:
        first = submit(people.ann, 8)
        until(first, JobState.RUNNING)
        many = [submit(people.ann, 2) for _ in range(6)]
        late = [submit(people.bob, 2) for _ in range(6)]
        first.cancel()
        wait_until(lambda: sum(job.get().state == JobState.RUNNING for job in [*many, *late]) == 4)
        assert sum(job.get().state == JobState.RUNNING for job in late) >= 2
    finally:
        for job in people.root.jobs():
            people.root.job(job.id).cancel()
        people.close()
        service.stop()


def test_a_service_killed_while_workers_change_hands_goes_on_rightly(serve: Start, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(QUICK_FILE)
    server = serve()
    with Client(server.address, retry_for_s=30) as client:
        job = elastic(client, 2, 6, script={"form_s": "0.5"})
        has(job, 6)
        server.kill()
        server = serve(server.port)
        assert job.get().workers == 6
        # Killed when it has begun to shrink, and when it has begun to pause.
        other = short(client, 6)
        wait_until(lambda: job.get().state == JobState.RESIZING)
        server.kill()
        server = serve(server.port)
        other.wait()
        has(job, 6)
        urgent = submit(client, 8, priority=5)
        wait_until(lambda: gives_way(tmp_path, job))
        server.kill()
        server = serve(server.port)
        has(urgent, 8)
        assert job.get().state == JobState.QUEUED
        server.kill()
        serve(server.port)
        let_go(tmp_path / "home", urgent, job)
        assert urgent.wait().state == JobState.SUCCEEDED
        check_bits(client, job)
        numbers = [event.number for event in job.watch()]
        assert numbers == list(range(1, job.get().last_event + 1))


def gives_way(folder: Path, job: RemoteJob) -> bool:
    """Whether the store says that the job gives way, or has done so."""
    with sqlite3.connect(folder / "home" / "jobs.db") as connection:
        row = connection.execute("SELECT gives_way, state FROM jobs WHERE id = ?", (job.id,)).fetchone()
    connection.close()
    return bool(row[0]) or row[1] == JobState.QUEUED


def test_wall_time_and_pauses_are_kept_over_a_kill(serve: Start) -> None:
    server = serve()
    with Client(server.address, retry_for_s=30) as client:
        job = submit(client, limits=r.JobLimits(job_seconds=8))
        wait_until(lambda: job.get().step >= 3)
        server.kill()
        serve(server.port)
        ended = job.wait()
    assert ended.error is not None
    assert (ended.state, ended.error.reason) == (JobState.FAILED, "WALL_TIME")
    assert 8 <= ended.run_seconds < 60


def test_quotas_bound_what_an_owner_holds_and_follow_their_changes(guarded: Service) -> None:
    people = People(guarded)
    try:
        people.root.update_account("ann", quota=Quota(cpus=3, jobs=2))
        jobs = [submit(people.ann) for _ in range(3)]
        for job in jobs[:2]:
            until(job, JobState.RUNNING)
        wait_until(lambda: jobs[2].explain().code == "QUOTA")
        bobs = submit(people.bob, 5)
        until(bobs, JobState.RUNNING)
        people.root.update_account("ann", quota=Quota(cpus=3))
        until(jobs[2], JobState.RUNNING)
        for job in people.root.jobs():
            people.root.job(job.id).cancel()
    finally:
        people.close()
