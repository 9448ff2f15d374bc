"""ExplainJob: without the holders that it names the job starts; others' jobs are not named to whoever may not see them."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from people import People
from serving_harness import SCRIPTED, code, run_cli
from waiting import wait_until

from gradwire.services.client import Client, RemoteJob
from gradwire.services.errors import InvalidRequestError, JobNotFoundError, QuotaError
from gradwire.services.explanation import Explanation, WaitCode
from gradwire.services.launcher import Capacity
from gradwire.services.local_launcher import LocalLauncher
from gradwire.services.records import JobLimits
from gradwire.services.scheduling import Node, Quota
from gradwire.services.service import Address, Service
from gradwire.services.states import JobState


@pytest.fixture
def people(guarded: Service) -> Iterator[People]:
    known = People(guarded)
    yield known
    known.close()


def held(client: Client, workers: int, **options: Any) -> RemoteJob:
    """A job that runs until it is cancelled."""
    return client.submit(code(), overrides={"steps": "2", "hold_at": "1"}, workers=workers, **options)


def running(client: Client, workers: int, **options: Any) -> RemoteJob:
    job = held(client, workers, **options)
    wait_until(lambda: job.get().state == JobState.RUNNING)
    return job


def explained(job: RemoteJob, met: Callable[[Explanation], bool]) -> Explanation:
    wait_until(lambda: met(job.explain()), what="the explanation")
    return job.explain()


def waits(job: RemoteJob, code: WaitCode) -> Explanation:
    return explained(job, lambda found: found.code == code)


def without_holders(people: People, job: RemoteJob, found: Explanation) -> None:
    """Cancels those that are named, and sees the job start."""
    assert found.holders
    for holder in found.holders:
        people.root.job(holder.job_id).cancel()
    wait_until(lambda: job.get().state == JobState.RUNNING, what="RUNNING")


def test_without_those_who_hold_the_room_the_job_starts(people: People) -> None:
    others = [running(people.ann, 3), running(people.bob, 4)]
    job = held(people.ann, 5)
    found = waits(people.root.job(job.id), WaitCode.NO_CAPACITY)
    assert (found.resource, found.needed, found.available, found.place) == ("cpus", 5, 1, 1)
    assert found.state == JobState.QUEUED
    assert {holder.job_id for holder in found.holders} <= {each.id for each in others}
    assert {holder.owner for holder in found.holders} == {"bob"}
    assert found.start_by is None
    without_holders(people, job, found)


def test_without_the_one_before_it_the_job_starts(people: People) -> None:
    running(people.ann, 5)
    large = held(people.ann, 8)
    job = held(people.ann, 3)
    found = waits(job, WaitCode.BEHIND)
    assert [holder.job_id for holder in found.holders] == [large.id]
    assert found.place == 2
    without_holders(people, job, found)


def test_without_those_who_hold_its_owners_quota_the_job_starts(people: People) -> None:
    people.root.update_account("ann", quota=Quota(cpus=4))
    first = running(people.ann, 3)
    job = held(people.ann, 2)
    found = waits(job, WaitCode.QUOTA)
    assert (found.resource, found.needed, found.available) == ("cpus", 2, 1)
    assert [(holder.job_id, holder.amount) for holder in found.holders] == [(first.id, 3)]
    without_holders(people, job, found)


def test_a_limit_before_it_bounds_the_time_of_its_start(people: People) -> None:
    first = running(people.ann, 8, limits=JobLimits(job_seconds=1000))
    job = held(people.ann, 8)
    found = waits(job, WaitCode.NO_CAPACITY)
    began = first.get().start_time
    assert began is not None and found.start_by is not None
    assert 990 < (found.start_by - began).total_seconds() < 1010


def test_others_jobs_are_counted_and_not_named(people: People) -> None:
    other = running(people.bob, 8)
    job = held(people.ann, 1)
    found = waits(job, WaitCode.NO_CAPACITY)
    assert (found.holders, found.hidden_amount) == ((), 8)
    assert other.id not in found.sentence
    assert other.id not in job.get().waiting_reason
    assert found.sentence == "needs 1 CPU worker; 0 are free; held by 1 job of others"
    seen = people.root.job(job.id).explain()
    assert [holder.job_id for holder in seen.holders] == [other.id]
    assert other.id in seen.sentence
    with pytest.raises(JobNotFoundError):
        people.bob.job(job.id).explain()


def test_jobs_that_wait_for_no_room_are_explained_too(client: Client) -> None:
    job = running(client, 8)
    assert job.explain().code == WaitCode.NONE
    paused = held(client, 1)
    paused.pause()
    assert paused.explain().code == WaitCode.PAUSED
    job.cancel()
    job.wait()
    assert job.explain() == Explanation(WaitCode.NONE, JobState.CANCELLED, "it has ended")


def test_what_can_never_run_is_said_at_submit(people: People) -> None:
    with pytest.raises(InvalidRequestError, match="at most 8"):
        held(people.ann, 9, shards=16)
    people.root.update_account("ann", quota=Quota(cpus=4))

    def refused() -> bool:
        try:
            job = held(people.ann, 5)
        except QuotaError as error:
            assert "owner ann may hold 4 CPU workers at one time, and this job needs 5" in error.message
            return True
        job.cancel()
        return False

    wait_until(refused)
    # A job that can do with fewer is taken.
    assert held(people.ann, 5, min_workers=2, max_workers=6).get().state != JobState.FAILED


def test_the_command_line_explains(client: Client, tmp_path: Path) -> None:
    job = running(client, 8)
    waiting = held(client, 2)
    waits(waiting, WaitCode.NO_CAPACITY)

    def command(*words: str) -> "subprocess.CompletedProcess[str]":
        return run_cli(*words, "--address", client.address, cwd=tmp_path)

    said = command("explain", waiting.id)
    assert said.returncode == 0, said.stderr
    assert f"{waiting.id} is queued: needs 2 CPU workers; 0 are free; held by {job.id}" in said.stdout
    assert "place in the queue  1" in said.stdout
    told = command("explain", waiting.id, "--json")
    assert '"code": "NO_CAPACITY"' in told.stdout
    assert f'"job_id": "{job.id}"' in told.stdout
    assert f"held by {job.id}" in command("show", waiting.id).stdout


class TwoHosts(LocalLauncher):
    """Says that its eight workers are those of two hosts."""

    def nodes(self) -> Sequence[Node]:
        """See launcher.Launcher."""
        return (Node("a", 0, 4), Node("b", 0, 4))


def test_workers_that_must_be_together_wait_for_one_host(tmp_path: Path) -> None:
    service = Service(
        tmp_path / "home",
        lambda home: TwoHosts(Capacity(8, 0), (sys.executable, str(SCRIPTED))),
        Address("127.0.0.1", 0),
    )
    with Client(str(service.start())) as client:
        with pytest.raises(
            InvalidRequestError, match=r"spec\.one_host: no host has room for 5 workers, the largest for 4"
        ):
            held(client, 5, one_host=True)
        others = [running(client, 3, one_host=True), running(client, 3, one_host=True)]
        job = held(client, 2, one_host=True)
        found = waits(job, WaitCode.FRAGMENTED)
        assert (found.resource, found.needed, found.available) == ("workers", 2, 1)
        assert [holder.job_id for holder in found.holders] in [[each.id] for each in others]
        # Apart they have room.
        assert running(client, 2).get().workers == 2
        for each in client.jobs():
            client.job(each.id).cancel()
        service.stop()
