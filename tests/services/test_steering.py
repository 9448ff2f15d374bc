"""What requests to pause, resume, resize and update make of a job, without a store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from serving_harness import spec

from gradwire.services import records as r
from gradwire.services import steering
from gradwire.services.errors import JobStateError, ResizeLimitError
from gradwire.services.history import History, StoredJob
from gradwire.services.launcher import Capacity, Launch
from gradwire.services.states import JobState
from gradwire.workers import reports as w

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CAPACITY = Capacity(cpu=6, cuda=0)


def queued(workers: int = 2, **fields: int) -> History:
    job = r.Job(
        "a",
        replace(spec(), workers=workers, **fields),
        JobState.QUEUED,
        NOW - timedelta(seconds=5),
        wanted_workers=workers,
    )
    return History(StoredJob(job, 1, ""), NOW)


def running(workers: int = 2, **fields: int) -> History:
    history = queued(workers, **fields)
    history.begin_attempt("room", 8)
    history.take(1, 1, w.Formed(1, workers, 0, "begins"))
    history.take(1, 2, w.Started(100, 1))
    return history


def paused() -> History:
    history = running()
    history.take(1, 3, step(1))
    steering.pause(history)
    history.take(1, 4, w.Paused(1, "/c"))
    return history


def ended() -> History:
    history = running()
    history.take(1, 3, w.Finished("sha", "/c"))
    return history


def cancelling() -> History:
    history = running()
    steering.cancel(history)
    return history


def step(number: int, workers: int = 2) -> w.StepFinished:
    return w.StepFinished(number, 1, {"loss": 1.0}, 8, 0.1, workers, f"chain {number}")


def states(history: History) -> list[str]:
    return [event.state.name for event in history.events if isinstance(event, r.StateChanged)]


REQUESTS = {
    "pause": steering.pause,
    "resume": steering.resume,
    "resize": lambda history: steering.resize(history, 3, CAPACITY),
    "update": lambda history: steering.update(history, r.Update({"lr": 0.5})),
    "priority": lambda history: steering.update(history, r.Update(priority=3)),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("job", [ended, cancelling])
def test_a_job_that_has_ended_or_is_being_cancelled_is_not_steered(job, request_) -> None:  # type: ignore[no-untyped-def]
    history = job()
    before, events = history.stored, list(history.events)
    with pytest.raises(JobStateError, match="job a is"):
        request_(history)
    assert (history.stored, history.events) == (before, events)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("job", [queued, running, paused])
def test_a_request_that_comes_twice_changes_nothing_the_second_time(job, request_) -> None:  # type: ignore[no-untyped-def]
    history = job()
    request_(history)
    before, events = history.stored, list(history.events)
    request_(history)
    assert (history.stored, history.events) == (before, events)


def test_labels_of_a_job_that_has_ended_can_be_changed() -> None:
    history = ended()
    steering.update(history, r.Update(labels={"kept": "yes", "x": "1"}))
    steering.update(history, r.Update(labels={"y": "2"}, remove_labels=("x", "never there")))
    assert history.job.spec.labels == {"kept": "yes", "y": "2"}
    assert history.events[-1] == r.JobUpdated(labels={"y": "2"}, removed_labels=("x",))


def test_a_pause_keeps_the_job_until_it_is_resumed_and_gives_its_workers_back() -> None:
    history = paused()
    job = history.job
    assert (job.state, job.workers, job.step, job.checkpoint) == (JobState.PAUSED, 0, 1, "/c")
    assert not job.pause_requested
    steering.resume(history)
    history.begin_attempt("room", 8)
    assert (history.job.attempt, history.job.workers) == (2, 2)
    assert states(history) == ["STARTING", "RUNNING", "PAUSED", "QUEUED", "STARTING"]


def test_nothing_of_an_attempt_is_taken_after_its_pause() -> None:
    history = paused()
    events = list(history.events)
    history.take(1, 5, step(2))
    assert (history.job.step, history.events) == (1, events)


def test_a_waiting_job_that_is_paused_leaves_the_queue_at_once() -> None:
    history = queued()
    steering.pause(history)
    assert states(history) == ["PAUSED"]
    history.begin_attempt("room", 8)
    assert history.job.state == JobState.PAUSED
    steering.cancel(history)
    assert states(history) == ["PAUSED", "CANCELLED"]


def test_a_job_that_is_resumed_while_it_is_being_paused_goes_into_the_queue() -> None:
    history = running()
    steering.pause(history)
    steering.resume(history)
    assert not history.job.pause_requested
    history.take(1, 3, w.Paused(0, "/c"))
    assert states(history)[-2:] == ["PAUSED", "QUEUED"]


def test_a_pause_that_fails_leaves_the_job_running() -> None:
    history = running()
    steering.pause(history)
    history.take(1, 3, w.Warned("PAUSE_FAILED", "the disk is full"))
    assert (history.job.state, history.job.pause_requested) == (JobState.RUNNING, False)


def test_a_job_whose_workers_are_lost_while_it_is_to_pause_is_paused() -> None:
    history = running()
    steering.pause(history)
    history.lose("killed")
    assert (history.job.state, history.job.workers) == (JobState.PAUSED, 0)


def test_a_cancellation_wins_over_a_pause() -> None:
    history = running()
    steering.pause(history)
    steering.cancel(history)
    history.take(1, 3, w.Paused(0, "/c"))
    assert history.job.state == JobState.CANCELLED


def test_a_resize_ends_with_the_group_that_the_attempt_was_told_last() -> None:
    history = running(2)
    steering.resize(history, 4, CAPACITY)
    history.begin_resize(4)
    history.take(1, 3, step(1))
    assert (history.job.state, history.job.workers, history.job.wanted_workers) == (JobState.RESIZING, 2, 4)
    steering.resize(history, 3, CAPACITY)
    history.take(1, 4, w.Formed(2, 4, 1, "resized"))
    assert (history.job.state, history.job.workers, history.job.wanted_workers) == (JobState.RUNNING, 4, 3)
    history.begin_resize(3)
    assert history.job.state == JobState.RESIZING
    history.take(1, 5, w.Formed(3, 3, 1, "resized"))
    assert (history.job.state, history.job.workers) == (JobState.RUNNING, 3)
    history.take(1, 6, step(2, workers=3))
    made = [(e.step, e.workers, e.chain) for e in history.events if isinstance(e, r.StepFinished)]
    assert made == [(1, 2, "chain 1"), (2, 3, "chain 2")]
    assert history.job.chain == "chain 2"
    formed = [(e.generation, e.workers) for e in history.events if isinstance(e, r.GroupFormed)]
    assert formed == [(1, 2), (2, 4), (3, 3)]


def test_a_resize_that_is_taken_back_ends_at_once() -> None:
    history = running(2)
    steering.resize(history, 4, CAPACITY)
    history.begin_resize(4)
    steering.resize(history, 2, CAPACITY)
    history.begin_resize(2)
    assert (history.job.state, history.job.target_workers) == (JobState.RUNNING, 2)


def test_a_waiting_job_that_is_resized_starts_with_the_new_number() -> None:
    history = queued(2)
    steering.resize(history, 5, CAPACITY)
    assert history.job.state == JobState.QUEUED
    history.begin_attempt("room", 8)
    assert history.job.workers == 5


def test_an_attempt_gets_no_more_workers_than_it_was_given_room_for() -> None:
    history = queued(2)
    steering.resize(history, 5, CAPACITY)
    history.begin_attempt("room", 2)
    assert (history.job.workers, history.job.wanted_workers) == (2, 5)


@pytest.mark.parametrize(
    ("fields", "workers", "message"),
    [
        ({}, 9, "has 8 shards"),
        ({}, 7, "can give at most 6 cpu workers"),
        ({"min_workers": 2, "max_workers": 4}, 5, "for 2 to 4 workers, not 5"),
        ({"min_workers": 2, "max_workers": 4}, 1, "for 2 to 4 workers, not 1"),
    ],
)
def test_a_number_of_workers_that_can_never_be_is_refused(
    fields: dict[str, int], workers: int, message: str
) -> None:
    with pytest.raises(ResizeLimitError, match=message):
        steering.resize(running(2, **fields), workers, CAPACITY)


def test_a_lost_worker_during_a_resize_is_a_recovery_that_ends_with_the_next_group() -> None:
    history = running(2)
    steering.resize(history, 3, CAPACITY)
    history.begin_resize(3)
    history.take(1, 3, w.Warned("WORKER_LOST", "killed"))
    history.take(1, 4, w.Formed(2, 2, 0, "a worker was lost"))
    assert states(history)[-3:] == ["RESIZING", "RECOVERING", "RUNNING"]
    assert history.job.workers == 2


def test_an_update_is_wanted_until_it_is_reported_and_repeated_reports_add_nothing() -> None:
    history = running()
    steering.update(history, r.Update({"lr": 0.5}))
    assert history.job.wanted_options == {"lr": 0.5}
    for number in (3, 4):
        history.take(1, number, w.OptionsChanged(7, {"lr": 0.5}, 1))
    changed = r.OptionsChanged(7, {"lr": 0.5}, 1)
    assert (history.job.wanted_options, history.job.options_history) == ({}, (changed,))
    assert [e for e in history.events if isinstance(e, r.OptionsChanged)] == [changed]


def test_a_newer_update_stays_wanted_when_the_older_is_reported() -> None:
    history = running()
    steering.update(history, r.Update({"lr": 0.5}))
    steering.update(history, r.Update({"lr": 0.25}))
    history.take(1, 3, w.OptionsChanged(7, {"lr": 0.5}, 1))
    assert (history.job.wanted_options, history.job.options_number) == ({"lr": 0.25}, 2)


def test_an_update_of_a_paused_job_holds_from_the_step_at_which_it_goes_on(tmp_path) -> None:  # type: ignore[no-untyped-def]
    history = paused()
    steering.update(history, r.Update({"lr": 0.5}))
    steering.resume(history)
    history.begin_attempt("room", 8)
    assert history.job.wanted_options == {}
    assert Launch.of(history.job, tmp_path).options_history == (w.OptionsChanged(1, {"lr": 0.5}, 1),)
