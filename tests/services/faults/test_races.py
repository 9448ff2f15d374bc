"""Clients that race: whoever comes first, every answer is one that the API promises, and all see the same outcome."""

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from serving_harness import code
from waiting import wait_until

from gradwire.services import records as r
from gradwire.services.client import Client, RemoteJob
from gradwire.services.errors import JobStateError, RequestReusedError, ServiceError
from gradwire.services.service import Service
from gradwire.services.states import JobState


def race(address: str, *calls: Callable[[Client], Any]) -> list[Any]:
    """What each call came to, a value or a ServiceError, all made at once by clients of their own."""
    start = threading.Barrier(len(calls))
    came: list[Any] = [None] * len(calls)

    def run(k: int) -> None:
        with Client(address) as client:
            assert client.serving()
            start.wait(30)
            try:
                came[k] = calls[k](client)
            except ServiceError as error:
                came[k] = error

    threads = [threading.Thread(target=run, args=(k,)) for k in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(each is None for each in came)
    return came


def running(client: Client) -> RemoteJob:
    job = client.submit(code(), workers=2, overrides={"steps": "2000", "step_s": "0.01"})
    wait_until(lambda: job.get().state == JobState.RUNNING)
    return job


def queued(client: Client) -> RemoteJob:
    client.submit(code(), workers=8, overrides={"steps": "2", "hold_at": "1"})
    return client.submit(code(), workers=8)


@pytest.mark.parametrize("turn", range(5))
def test_of_two_bodies_with_one_request_id_one_is_the_job_for_all(service: Service, turn: int) -> None:
    request_id = str(uuid.uuid4())

    def submit(steps: str) -> Callable[[Client], Any]:
        return lambda client: client.submit(code(), overrides={"steps": steps}, request_id=request_id).id

    came = race(str(service.address), *[submit(steps) for steps in ("3", "4") * 3])
    won = [each for each in came if isinstance(each, str)]
    assert len(set(won)) == 1 and len(won) == 3
    assert [type(each) for each in came if not isinstance(each, str)] == [RequestReusedError] * 3
    # The three that agree are those that sent what was stored.
    assert len({k % 2 for k, each in enumerate(came) if isinstance(each, str)}) == 1


@pytest.mark.parametrize("kind", [queued, running])
def test_a_cancel_wins_over_all_that_races_with_it(
    service: Service, client: Client, kind: Callable[[Client], RemoteJob]
) -> None:
    job = kind(client)
    came = race(
        str(service.address),
        lambda other: other.job(job.id).cancel(),
        lambda other: other.job(job.id).pause(),
        lambda other: other.job(job.id).resize(4),
        lambda other: other.job(job.id).update(lr=0.5),
        lambda other: other.job(job.id).cancel(),
    )
    # Whatever came before the cancel was done, whatever came after was refused.
    assert all(isinstance(each, r.Job | JobStateError) for each in came), came
    assert isinstance(came[0], r.Job) and isinstance(came[4], r.Job)
    events = list(job.watch())
    states = [event.kind.state for event in events if isinstance(event.kind, r.StateChanged)]
    assert states[-1] == JobState.CANCELLED
    assert [state for state in states if state.terminal] == [JobState.CANCELLED]
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    asked = sum(isinstance(event.kind, r.JobUpdated) for event in events)
    assert asked == sum(isinstance(each, r.Job) for each in came[2:4])


def test_pause_resume_and_resize_at_once_leave_a_job_that_can_go_on(service: Service, client: Client) -> None:
    job = running(client)
    came = race(
        str(service.address),
        lambda other: other.job(job.id).pause(),
        lambda other: other.job(job.id).resume(),
        lambda other: other.job(job.id).resize(3),
        lambda other: other.job(job.id).resize(1),
    )
    assert all(isinstance(each, r.Job) for each in came), came
    # Nothing of it is final: asked once more, it runs with what the last resize wanted.
    wanted = job.get().wanted_workers
    assert wanted in (1, 3)
    wait_until(lambda: job.resume().state == JobState.RUNNING and job.get().workers == wanted)
    assert job.cancel().id == job.id
    assert job.wait().state == JobState.CANCELLED
