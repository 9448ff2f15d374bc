"""What a report or a command makes of a job: its new row and the events it adds. Pure; no store, no clock.

The store runs these inside its transactions, so that a state and its event are one change. Everything that
keeps a history exact after recoveries is here: repeated steps, evaluations and checkpoints add nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gradwire.services import records as r
from gradwire.services.demand import limits_of
from gradwire.services.scheduling.limits import Again, Cause, Spent, after_end
from gradwire.services.states import IllegalMoveError, JobState, check_move
from gradwire.workers import reports
from gradwire.workers.output import written

LINE_LIMIT = 16_384
"""Characters of one log line that are kept."""
TRACEBACK_LIMIT = 65_536
KEEPS_WORKERS_S = 5.0
"""A pause after a loss up to which a job keeps its workers; before a longer one it gives them back."""
_FORGIVEN = (Cause.WORKER_LOSS, Cause.GANG_DEADLINE, Cause.USER_ERROR)
"""Causes whose count begins anew with every checkpoint: what came before it is not made again."""
_USER_ERRORS = frozenset(
    ("INVALID_JOB_FILE", "USER_CODE", "DATA_UNAVAILABLE", "NON_FINITE_LOSS", "NON_FINITE_GRADIENT")
)
_REASONS = {
    Cause.WORKER_LOSS: "WORKERS_LOST",
    Cause.GANG_DEADLINE: "CANNOT_PLACE",
    Cause.WALL_TIME: "WALL_TIME",
    Cause.PREEMPTION: "PREEMPTED",
    Cause.USER_ERROR: "USER_CODE",
}


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job and what the store alone keeps of it."""

    job: r.Job
    sequence: int
    code_sha256: str
    evaluated_step: int = 0
    checkpoint_step: int = 0
    incarnation: int = 0
    report: int = 0


class History:
    """One change of one job being made: `stored` is the row as it will be, `events` what is added."""

    def __init__(self, stored: StoredJob, now: datetime) -> None:
        self.stored = stored
        self.events: list[r.EventKind] = []
        self.now = now

    @property
    def job(self) -> r.Job:
        """The job as it will be."""
        return self.stored.job

    def set(self, **fields: object) -> None:
        """Sets fields of the job."""
        self.stored = replace(self.stored, job=replace(self.stored.job, **fields))  # type: ignore[arg-type]

    def move(self, state: JobState, reason: str, error: r.JobError | None = None) -> None:
        """Enters a state. Raises IllegalMoveError where the table has no such move."""
        check_move(self.job.id, self.job.state, state)
        self.set(state=state)
        if not state.holds_workers:
            self._end_clock()
        if error is not None:
            self.set(error=error)
        if state.terminal:
            self.set(end_time=self.now)
        if not state.holds_workers:
            self.set(workers=0, target_workers=0, pause_requested=False, gives_way=False)
        self.events.append(r.StateChanged(state, reason, error))

    def _end_clock(self) -> None:
        """What the present attempt has used is added to what those before it had."""
        self.set(run_seconds=self.job.run_seconds_at(self.now), attempt_time=None)

    def begin_attempt(self, reason: str, most: int, level: int | None = None) -> None:
        """Gives the job its next attempt with at most `most` workers: STARTING out of the queue, else RECOVERING.

        level: that of the scheduler's decision to start it; None keeps it.

        One that was to be cancelled or paused is so instead; one that neither waits nor has workers stays as it is.
        """
        job = self.job
        if job.state != JobState.QUEUED and not job.state.holds_workers:
            return
        if job.cancel_requested:
            self.move(JobState.CANCELLED, "cancelled")
            return
        if job.pause_requested:
            self.move(JobState.PAUSED, "paused; it goes on from its newest checkpoint")
            return
        if job.state == JobState.QUEUED:
            self.move(JobState.STARTING, reason)
            if job.wanted_options:
                # Nothing of it can have been applied: an attempt that was paused has said all that it did.
                order = 1 + max((each.order for each in job.options_history), default=0)
                self._change_options(reports.OptionsChanged(job.step, job.wanted_options, order))
        elif job.state != JobState.RECOVERING:
            self.move(JobState.RECOVERING, reason)
        self._end_clock()
        workers = min(job.wanted_workers, most)
        self.set(attempt=job.attempt + 1, workers=workers, target_workers=workers, attempt_time=self.now)
        self.set(not_before=None, gives_way=False)
        if level is not None:
            self.set(level=level)
        if self.job.start_time is None:
            self.set(start_time=self.now)
        self.stored = replace(self.stored, incarnation=0, report=0)

    def begin_resize(self, workers: int) -> None:
        """The attempt is being told to go on with `workers`: RESIZING until a group of so many is formed."""
        if self.job.state in (JobState.RUNNING, JobState.RESIZING):
            self.set(target_workers=workers)
        if self.job.state == JobState.RUNNING and self.job.workers != workers:
            self.move(JobState.RESIZING, f"from {self.job.workers} to {_workers(workers)}")
        self._settle()

    def _settle(self) -> None:
        """Ends a change of the number of workers when it is what the attempt was told last."""
        if self.job.state == JobState.RESIZING and self.job.workers == self.job.target_workers:
            self._run()

    def resume(self) -> None:
        """Puts a paused job back into the queue: what it waited before, and its losses, count no more."""
        self.set(since=self.now, not_before=None, ends={})
        self.move(JobState.QUEUED, "resumed")

    def give_way(self) -> None:
        """The attempt is being told to leave a checkpoint and give its workers back, for another job."""
        if self.job.state.holds_workers:
            self.set(gives_way=True)

    def lose(self, message: str) -> None:
        """The attempt's controller or processes are gone: tried again, at once or from the queue, or FAILED after too many."""
        self.events.append(r.Warned("WORKER_LOST", message))
        self.end_attempt(Cause.WORKER_LOSS, message)

    def end_attempt(self, cause: Cause, message: str, error: r.JobError | None = None) -> None:
        """An attempt has ended before its job: what follows by the job's limits. `error` is told where that is its end."""
        job = self.job
        if job.cancel_requested:
            self.move(JobState.CANCELLED, "cancelled")
            return
        if job.pause_requested:
            self.move(JobState.PAUSED, "paused without its workers; it goes on from its newest checkpoint")
            return
        if job.gives_way and cause == Cause.WORKER_LOSS:
            cause = Cause.PREEMPTION
        ends = {**job.ends, cause.value: job.ends.get(cause, 0) + 1}
        self.set(ends=ends)
        now = self.now.timestamp()
        limits, run_s = limits_of(job.spec), job.run_seconds_at(self.now)
        spent = Spent(run_s, {Cause(name): times for name, times in ends.items()})
        follows = after_end(limits, spent, cause, now)
        if isinstance(follows, Again):
            self._try_again(cause, message, follows.not_before - now)
            return
        if error is None or follows.cause != cause:
            if follows.cause == Cause.WALL_TIME:
                text = message if cause == Cause.WALL_TIME else follows.sentence
            elif cause == Cause.WORKER_LOSS:
                text = (
                    f"its workers were lost {_times(ends[cause])} without a new checkpoint between: {message}"
                )
            else:
                text = f"{message}; {follows.sentence}"
            error = r.JobError(_REASONS[follows.cause], text)
        self.move(JobState.FAILED, error.message, error)

    def _try_again(self, cause: Cause, message: str, pause_s: float) -> None:
        self.set(not_before=self.now + timedelta(seconds=pause_s) if pause_s > 0 else None)
        if cause == Cause.WORKER_LOSS and pause_s <= KEEPS_WORKERS_S:
            if self.job.state != JobState.RECOVERING:
                self.move(JobState.RECOVERING, message)
        elif cause == Cause.PREEMPTION:
            self.move(JobState.QUEUED, "its workers were needed for a job before it; it keeps its place")
        else:
            self.move(JobState.QUEUED, f"{message}; it is tried again in {pause_s:g} s")

    def take(self, incarnation: int, number: int, report: reports.Report) -> None:
        """Takes one report of the present attempt; one that was taken before, or comes after its end, adds nothing."""
        stored = self.stored
        if not self.job.state.holds_workers or (incarnation, number) <= (stored.incarnation, stored.report):
            return
        self.stored = replace(stored, incarnation=incarnation, report=number)
        match report:
            case reports.Started():
                self.set(total_steps=report.total_steps, epochs=report.epochs)
                if self.job.state != JobState.RESIZING:
                    self._run()
            case reports.Formed():
                self._take_formed(report)
            case reports.OptionsChanged():
                self._change_options(report)
            case reports.StepFinished():
                self._take_step(report)
            case reports.EvaluationFinished():
                self._take_evaluation(report)
            case reports.CheckpointWritten():
                self._take_checkpoint(report)
            case reports.LogLine():
                self.events.append(line_of_output(report))
            case reports.Warned():
                self.events.append(r.Warned(report.reason, report.message))
                if report.reason == "PAUSE_FAILED":
                    self.set(pause_requested=False, gives_way=False)
                if report.reason == "WORKER_LOST" and self.job.state in (JobState.RUNNING, JobState.RESIZING):
                    self.move(JobState.RECOVERING, report.message)
            case reports.Paused():
                self._pause(report)
            case reports.Finished():
                self._run()
                self.set(parameters_sha256=report.parameters_sha256, checkpoint=report.checkpoint)
                self.move(JobState.SUCCEEDED, f"all {self.job.step} steps were made")
            case reports.Failed():
                self._fail(report)

    def _run(self) -> None:
        if self.job.state == JobState.RUNNING:
            return
        job = self.job
        attempt = f", attempt {job.attempt}" if job.attempt > 1 else ""
        self.move(JobState.RUNNING, f"training on {_workers(job.workers)}{attempt}")

    def _take_formed(self, report: reports.Formed) -> None:
        self.set(workers=report.workers)
        self.events.append(r.GroupFormed(report.generation, report.workers, report.step, report.reason))
        if self.job.state == JobState.RECOVERING:
            self._run()
        self._settle()

    def _change_options(self, report: reports.OptionsChanged) -> None:
        # A recovery tells them again where it makes their steps again.
        if any(each.order == report.order for each in self.job.options_history):
            return
        changed = r.OptionsChanged(report.step, dict(report.options), report.order)
        wanted = self.job.wanted_options.items()
        left = {name: value for name, value in wanted if report.options.get(name) != value}
        self.set(options_history=(*self.job.options_history, changed), wanted_options=left)
        self.events.append(changed)

    def _pause(self, report: reports.Paused) -> None:
        wanted = self.job.pause_requested
        self.set(checkpoint=report.checkpoint)
        if self.job.cancel_requested:
            self.move(JobState.CANCELLED, "cancelled")
            return
        if self.job.gives_way and not wanted:
            self.end_attempt(Cause.PREEMPTION, "its workers were needed for a job before it")
            return
        self.move(JobState.PAUSED, f"paused after {report.step} steps")
        if not wanted:
            self.move(JobState.QUEUED, "resumed while it was being paused")

    def _take_step(self, report: reports.StepFinished) -> None:
        if self.job.state != JobState.RESIZING:
            self._run()
        # A recovery goes back to its checkpoint and makes some steps again, with the same bits.
        if report.step <= self.job.step:
            return
        if self.job.first_step_seconds == 0.0:
            self.set(first_step_seconds=(self.now - self.job.create_time).total_seconds())
        self.set(step=report.step, metrics=dict(report.metrics), chain=report.chain)
        self.events.append(
            r.StepFinished(
                step=report.step,
                total_steps=self.job.total_steps,
                epoch=report.epoch,
                epochs=self.job.epochs,
                metrics=dict(report.metrics),
                samples=report.samples,
                seconds=report.seconds,
                workers=report.workers,
                chain=report.chain,
                exchange_seconds=report.exchange_seconds,
            )
        )

    def _take_evaluation(self, report: reports.EvaluationFinished) -> None:
        if report.step <= self.stored.evaluated_step:
            return
        self.stored = replace(self.stored, evaluated_step=report.step)
        metrics: Mapping[str, float] = dict(report.metrics)
        self.set(evaluation_metrics=metrics)
        self.events.append(r.EvaluationFinished(report.step, report.epoch, metrics, report.samples))

    def _take_checkpoint(self, report: reports.CheckpointWritten) -> None:
        self.set(checkpoint=report.path)
        if report.step <= self.stored.checkpoint_step:
            return
        self.stored = replace(self.stored, checkpoint_step=report.step)
        self.set(ends={name: times for name, times in self.job.ends.items() if name not in _FORGIVEN})
        self.events.append(r.CheckpointWritten(report.step, report.path, report.parameters_sha256))

    def _fail(self, report: reports.Failed) -> None:
        if self.job.cancel_requested:
            self.move(JobState.CANCELLED, "cancelled")
            return
        error = r.JobError(report.reason, report.message, report.traceback[-TRACEBACK_LIMIT:])
        if report.reason in _USER_ERRORS:
            self.end_attempt(Cause.USER_ERROR, report.message, error)
        elif report.reason == "CANNOT_PLACE":
            self.end_attempt(Cause.GANG_DEADLINE, report.message)
        else:
            self.move(JobState.FAILED, report.message, error)


def check_path(job_id: str, before: JobState, history: History) -> None:
    """Raises IllegalMoveError unless a change goes from `before` to its end by moves of the table, each with its event."""
    now = before
    for kind in history.events:
        if isinstance(kind, r.StateChanged):
            check_move(job_id, now, kind.state)
            now = kind.state
    if now != history.job.state:
        raise IllegalMoveError(job_id, now, history.job.state)


def line_of_output(report: reports.LogLine) -> r.LogLine:
    """The event of a line: text for people, and the bytes that were written where they are not just that."""
    raw = written(report.text, report.end)
    text = written(report.text, "").decode("utf-8", "replace")[:LINE_LIMIT]
    return r.LogLine(report.rank, report.stream, text, b"" if text.encode() + b"\n" == raw else raw)


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
