"""A service that is killed and stopped again and again under many watchers: each sees every event once, in order, to the end."""

import random
import signal
import threading

import pytest
from nursery import Nursery
from serving_harness import code
from waiting import wait_until

from gradwire.services import records as r
from gradwire.services.client import Client, RemoteJob
from gradwire.services.states import JobState

CLIENTS = 10


def start_watcher(job: RemoteJob, seen: list[r.Event], delay: threading.Event) -> threading.Thread:
    def watch() -> None:
        delay.wait(60)
        seen.extend(job.watch())

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def watch_through(nursery: Nursery, restarts: int, watchers: int) -> None:
    """`restarts` ends of the service, by SIGKILL and SIGTERM in turn, each after the job has made steps under it."""
    order = random.Random(0)
    steps = 40 * restarts
    address = nursery.start().address
    clients = [Client(address, retry_for_s=60) for _ in range(CLIENTS)]
    try:
        job = clients[0].submit(
            code(),
            overrides={"steps": str(steps), "step_s": "0.01", "hold_at": str(steps), "checkpoint_every": "5"},
        )
        # A third comes at the start, the others at some restart.
        late = [threading.Event() for _ in range(watchers)]
        seen: list[list[r.Event]] = [[] for _ in range(watchers)]
        threads = [start_watcher(clients[k % CLIENTS].job(job.id), seen[k], late[k]) for k in range(watchers)]
        for k in range(0, watchers, 3):
            late[k].set()
        for restart in range(restarts):
            before = job.get().step
            wait_until(lambda before=before: job.get().step > before + order.randint(0, 5))
            assert nursery.server is not None
            how = (signal.SIGKILL, signal.SIGTERM)[restart % 2]
            assert nursery.server.end(how) == (-9 if how == signal.SIGKILL else 0)
            for k in range(restart, watchers, restarts):
                late[k].set()
            nursery.start()
        assert not job.get().state.terminal
        (nursery.home / "jobs" / job.id / "go").touch()
        for thread in threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in threads), "a watch did not end with the job"
        ended = job.get()
    finally:
        for client in clients:
            client.close()
    assert ended.state == JobState.SUCCEEDED
    numbers = list(range(1, ended.last_event + 1))
    for events in seen:
        assert [event.number for event in events] == numbers
        assert events == seen[0]
    last = seen[0][-1].kind
    assert isinstance(last, r.StateChanged) and last.state == JobState.SUCCEEDED
    made = [event.kind.step for event in seen[0] if isinstance(event.kind, r.StepFinished)]
    assert made == list(range(1, steps + 1))


def test_thirty_watchers_see_each_event_once_through_eight_restarts(nursery: Nursery) -> None:
    watch_through(nursery, restarts=8, watchers=30)


@pytest.mark.long
def test_a_hundred_watchers_see_each_event_once_through_fifty_restarts(nursery: Nursery) -> None:
    watch_through(nursery, restarts=50, watchers=100)
