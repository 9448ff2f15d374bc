"""What reports make of a job, without a store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from serving_harness import spec

from gradwire.services import records as r
from gradwire.services import steering
from gradwire.services.history import History, StoredJob
from gradwire.services.scheduling.limits import DEFAULT_RETRIES, Cause
from gradwire.services.states import MOVES, IllegalMoveError, JobState
from gradwire.workers import reports as w

LOSSES_LIMIT = int(DEFAULT_RETRIES[Cause.WORKER_LOSS])
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
NOW = CREATED + timedelta(seconds=5)


def started() -> History:
    history = History(StoredJob(r.Job("a", spec(), JobState.QUEUED, CREATED, wanted_workers=1), 1, ""), NOW)
    history.begin_attempt("room", 8)
    history.take(1, 1, w.Started(10, 2))
    return history


def step(number: int) -> w.StepFinished:
    return w.StepFinished(number, 1, {"loss": 1.0}, 8, 0.1)


def test_terminal_states_have_no_moves_and_every_state_can_be_reached() -> None:
    assert all(not MOVES[state] for state in JobState if state.terminal)
    reached = {JobState.QUEUED}.union(*MOVES.values())
    assert reached == set(JobState)


def test_a_report_that_comes_twice_adds_nothing() -> None:
    history = started()
    for _ in range(3):
        history.take(1, 2, step(1))
    assert [e.step for e in history.events if isinstance(e, r.StepFinished)] == [1]


def test_steps_that_a_recovery_makes_again_add_nothing() -> None:
    history = started()
    for number in (1, 2, 3):
        history.take(1, number + 1, step(number))
    history.lose("killed")
    history.begin_attempt("again", 8)
    history.take(1, 1, w.Started(10, 2))
    for number in (2, 3, 4):
        history.take(1, number, step(number))
    assert [e.step for e in history.events if isinstance(e, r.StepFinished)] == [1, 2, 3, 4]
    states = [e.state for e in history.events if isinstance(e, r.StateChanged)]
    assert states == [JobState.STARTING, JobState.RUNNING, JobState.RECOVERING, JobState.RUNNING]
    assert history.job.attempt == 2


def test_a_restarted_controller_numbers_from_one_in_a_higher_incarnation() -> None:
    history = started()
    history.take(1, 2, step(1))
    history.take(2, 1, step(2))
    history.take(1, 3, step(3))
    assert history.job.step == 2


def test_nothing_follows_the_end() -> None:
    history = started()
    history.take(1, 2, w.Finished("abc", "/somewhere"))
    before = list(history.events)
    history.take(1, 3, w.LogLine(0, "stdout", "late"))
    assert history.events == before
    assert history.job.state == JobState.SUCCEEDED
    assert history.job.end_time == NOW
    with pytest.raises(IllegalMoveError, match="no move from SUCCEEDED"):
        history.move(JobState.RUNNING, "no")


def test_a_failure_after_a_cancellation_is_the_cancellation() -> None:
    history = started()
    history.set(cancel_requested=True)
    history.take(1, 2, w.Failed("WORKERS_LOST", "gone", ""))
    assert history.job.state == JobState.CANCELLED


@pytest.mark.parametrize("retries, state", [({}, JobState.FAILED), ({"USER_ERROR": 1}, JobState.QUEUED)])
def test_data_that_could_not_be_read_is_tried_again_where_the_limits_say_so(
    retries: dict[str, int], state: JobState
) -> None:
    job = replace(spec(), limits=r.JobLimits(retries=retries))
    history = History(StoredJob(r.Job("a", job, JobState.QUEUED, CREATED, wanted_workers=1), 1, ""), NOW)
    history.begin_attempt("room", 8)
    history.take(1, 1, w.Started(10, 2))
    history.take(1, 2, w.Failed("DATA_UNAVAILABLE", "s3://bucket/a.npz: there is no such file", ""))
    assert history.job.state == state
    if state == JobState.FAILED:
        assert history.job.error == r.JobError("DATA_UNAVAILABLE", "s3://bucket/a.npz: there is no such file")


def test_too_many_losses_without_a_checkpoint_between_end_the_job_however_many_steps_were_told() -> None:
    history = started()
    for number in range(LOSSES_LIMIT):
        history.lose("killed")
        history.begin_attempt("again", 8)
        history.take(1, 1, step(number + 1))
    assert history.job.state == JobState.RUNNING
    history.lose("killed")
    assert history.job.state == JobState.FAILED
    assert history.job.error is not None
    assert history.job.error.reason == "WORKERS_LOST"


def test_a_new_checkpoint_forgives_the_losses_before_it_and_one_written_again_does_not() -> None:
    history = started()
    for number in range(1, 3 * LOSSES_LIMIT):
        history.lose("killed")
        history.begin_attempt("again", 8)
        history.take(1, 1, step(number))
        history.take(1, 2, w.CheckpointWritten(number, "/somewhere", "abc"))
    assert history.job.state == JobState.RUNNING
    for _ in range(LOSSES_LIMIT + 1):
        history.lose("killed")
        if history.job.state != JobState.FAILED:
            history.begin_attempt("again", 8)
            history.take(1, 1, w.CheckpointWritten(3 * LOSSES_LIMIT - 1, "/somewhere", "abc"))
    assert history.job.state == JobState.FAILED


def test_the_time_to_the_first_step_counts_from_submission() -> None:
    history = started()
    history.take(1, 2, step(1))
    assert history.job.first_step_seconds == 5.0


def limited(**limits: object) -> History:
    """A job with limits that has made two steps in its first attempt."""
    job = r.Job(
        "a",
        replace(spec(), limits=r.JobLimits(**limits)),  # type: ignore[arg-type]
        JobState.QUEUED,
        CREATED,
        wanted_workers=1,
    )
    history = History(StoredJob(job, 1, ""), NOW)
    history.begin_attempt("room", 8, 3)
    for number, report in enumerate((w.Started(10, 2), step(1), step(2)), start=1):
        history.take(1, number, report)
    return history


def later(history: History, seconds: float) -> History:
    """The same job, some seconds later."""
    return History(history.stored, history.now + timedelta(seconds=seconds))


def test_time_with_workers_counts_over_attempts_and_not_in_the_queue() -> None:
    history = later(limited(), 10)
    history.give_way()
    history.take(1, 4, w.Paused(2, "/c"))
    job = history.job
    assert (job.state, job.run_seconds, job.attempt_time, job.gives_way) == (
        JobState.QUEUED,
        10.0,
        None,
        False,
    )
    assert (job.ends, job.level, job.workers, job.pause_requested) == ({"PREEMPTION": 1}, 3, 0, False)
    history = later(history, 100)
    history.begin_attempt("room", 8)
    history = later(history, 5)
    assert history.job.run_seconds_at(history.now) == 15.0
    history.take(1, 1, w.Finished("sha", "/c"))
    assert history.job.run_seconds == 15.0


def test_a_pause_of_its_owner_wins_over_one_of_the_scheduler() -> None:
    history = limited()
    history.give_way()
    steering.pause(history)
    history.take(1, 4, w.Paused(2, "/c"))
    assert (history.job.state, history.job.gives_way) == (JobState.PAUSED, False)
    before = history.job.since
    history = later(history, 50)
    steering.resume(history)
    assert history.job.since == NOW + timedelta(seconds=50) != before


def test_user_errors_are_tried_again_from_the_queue_where_limits_allow_it_and_told_at_the_end() -> None:
    history = limited(retries={"USER_ERROR": 1})
    history.take(1, 4, w.Failed("USER_CODE", "ValueError: no", "Traceback"))
    assert history.job.state == JobState.QUEUED
    assert history.job.not_before is not None and history.job.not_before > NOW
    assert history.job.error is None
    history.begin_attempt("room", 8)
    history.take(1, 1, w.Failed("USER_CODE", "ValueError: no", "Traceback"))
    assert history.job.error == r.JobError("USER_CODE", "ValueError: no", "Traceback")


def test_short_pauses_after_losses_keep_the_workers_and_long_ones_do_not() -> None:
    history, states = limited(), []
    for _ in range(7):
        history.lose("killed")
        states.append(history.job.state)
        history.begin_attempt("again", 8)
    assert states == [JobState.RECOVERING] * 5 + [JobState.QUEUED] * 2


def test_a_loss_when_no_wall_time_is_left_is_the_end_by_that() -> None:
    history = later(limited(job_seconds=60.0), 61)
    history.lose("killed")
    assert history.job.error is not None
    assert history.job.error.reason == "WALL_TIME"


def test_a_checkpoint_forgives_losses_and_keeps_the_count_of_wall_times_and_preemptions() -> None:
    history = limited(retries={"WALL_TIME": 9})
    for cause in (Cause.WALL_TIME, Cause.WORKER_LOSS, Cause.GANG_DEADLINE):
        history.end_attempt(cause, "over")
        history.begin_attempt("again", 8)
    assert history.job.ends == {"WALL_TIME": 1, "WORKER_LOSS": 1, "GANG_DEADLINE": 1}
    history.take(1, 1, w.CheckpointWritten(2, "/c", "sha"))
    assert history.job.ends == {"WALL_TIME": 1}
