"""What a report or a command makes of a job: its new row and the events it adds. Pure; no store, no clock.

The store runs these inside its transactions, so that a state and its event are one change. Everything that
keeps a history exact after recoveries is here: repeated steps, evaluations and checkpoints add nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from gradwire.services import records as r
from gradwire.services.states import JobState, check_move
from gradwire.workers import reports

LINE_LIMIT = 16_384
"""Characters of one log line that are kept."""
TRACEBACK_LIMIT = 65_536
LOSSES_LIMIT = 10
"""Losses of the controller or the job's own process since the newest checkpoint, after which a job has failed."""


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job and what the store alone keeps of it."""

    job: r.Job
    sequence: int
    code_sha256: str
    evaluated_step: int = 0
    checkpoint_step: int = 0
    losses: int = 0
    incarnation: int = 0
    report: int = 0


class History:
    """One change of one job being made: `stored` is the row as it will be, `events` what is added."""

    def __init__(self, stored: StoredJob, now: datetime) -> None:
        self.stored = stored
        self.events: list[r.EventKind] = []
        self._now = now

    @property
    def job(self) -> r.Job:
        """The job as it will be."""
        return self.stored.job

    def _set(self, **fields: object) -> None:
        self.stored = replace(self.stored, job=replace(self.stored.job, **fields))  # type: ignore[arg-type]

    def move(self, state: JobState, reason: str, error: r.JobError | None = None) -> None:
        """Enters a state. Raises IllegalMoveError where the table has no such move."""
        check_move(self.job.id, self.job.state, state)
        self._set(state=state)
        if error is not None:
            self._set(error=error)
        if state.terminal:
            self._set(end_time=self._now)
        if not state.holds_workers:
            self._set(workers=0)
        self.events.append(r.StateChanged(state, reason, error))

    def begin_attempt(self, reason: str) -> None:
        """Gives the job its next attempt: STARTING out of the queue, RECOVERING where workers were lost."""
        first = self.job.state == JobState.QUEUED
        if first:
            self.move(JobState.STARTING, reason)
        elif self.job.state != JobState.RECOVERING:
            self.move(JobState.RECOVERING, reason)
        self._set(attempt=self.job.attempt + 1, workers=self.job.spec.workers)
        if self.job.start_time is None:
            self._set(start_time=self._now)
        self.stored = replace(self.stored, incarnation=0, report=0)

    def lose(self, message: str) -> None:
        """The attempt's controller or processes are gone: RECOVERING, or FAILED after too many in a row."""
        self.stored = replace(self.stored, losses=self.stored.losses + 1)
        self.events.append(r.Warned("WORKER_LOST", message))
        if self.job.cancel_requested:
            self.move(JobState.CANCELLED, "cancelled")
        elif self.stored.losses > LOSSES_LIMIT:
            text = f"its workers were lost {self.stored.losses} times without a new checkpoint between: {message}"
            self.move(JobState.FAILED, text, r.JobError("WORKERS_LOST", text))
        elif self.job.state != JobState.RECOVERING:
            self.move(JobState.RECOVERING, message)

    def take(self, incarnation: int, number: int, report: reports.Report) -> None:
        """Takes one report of the present attempt; one that was taken before, or comes after the end, adds nothing."""
        stored = self.stored
        if self.job.state.terminal or (incarnation, number) <= (stored.incarnation, stored.report):
            return
        self.stored = replace(stored, incarnation=incarnation, report=number)
        match report:
            case reports.Started():
                self._set(total_steps=report.total_steps, epochs=report.epochs)
                self._run()
            case reports.StepFinished():
                self._take_step(report)
            case reports.EvaluationFinished():
                self._take_evaluation(report)
            case reports.CheckpointWritten():
                self._take_checkpoint(report)
            case reports.LogLine():
                self.events.append(r.LogLine(report.rank, report.stream, report.text[:LINE_LIMIT]))
            case reports.Warned():
                self.events.append(r.Warned(report.reason, report.message))
                if report.reason == "WORKER_LOST" and self.job.state == JobState.RUNNING:
                    self.move(JobState.RECOVERING, report.message)
            case reports.Finished():
                self._run()
                self._set(parameters_sha256=report.parameters_sha256, checkpoint=report.checkpoint)
                self.move(JobState.SUCCEEDED, f"all {self.job.step} steps were made")
            case reports.Failed():
                self._fail(report)

    def _run(self) -> None:
        if self.job.state == JobState.RUNNING:
            return
        job = self.job
        workers = "1 worker" if job.workers == 1 else f"{job.workers} workers"
        self.move(
            JobState.RUNNING, f"training on {workers}" + (f", attempt {job.attempt}" * (job.attempt > 1))
        )

    def _take_step(self, report: reports.StepFinished) -> None:
        self._run()
        # A recovery goes back to its checkpoint and makes some steps again, with the same bits.
        if report.step <= self.job.step:
            return
        if self.job.first_step_seconds == 0.0:
            self._set(first_step_seconds=(self._now - self.job.create_time).total_seconds())
        self._set(step=report.step, metrics=dict(report.metrics))
        self.events.append(
            r.StepFinished(
                step=report.step,
                total_steps=self.job.total_steps,
                epoch=report.epoch,
                epochs=self.job.epochs,
                metrics=dict(report.metrics),
                samples=report.samples,
                seconds=report.seconds,
                workers=self.job.workers,
            )
        )

    def _take_evaluation(self, report: reports.EvaluationFinished) -> None:
        if report.step <= self.stored.evaluated_step:
            return
        self.stored = replace(self.stored, evaluated_step=report.step)
        metrics: Mapping[str, float] = dict(report.metrics)
        self._set(evaluation_metrics=metrics)
        self.events.append(r.EvaluationFinished(report.step, report.epoch, metrics, report.samples))

    def _take_checkpoint(self, report: reports.CheckpointWritten) -> None:
        self._set(checkpoint=report.path)
        if report.step <= self.stored.checkpoint_step:
            return
        self.stored = replace(self.stored, checkpoint_step=report.step, losses=0)
        self.events.append(r.CheckpointWritten(report.step, report.path, report.parameters_sha256))

    def _fail(self, report: reports.Failed) -> None:
        if self.job.cancel_requested:
            self.move(JobState.CANCELLED, "cancelled")
            return
        error = r.JobError(report.reason, report.message, report.traceback[-TRACEBACK_LIMIT:])
        self.move(JobState.FAILED, report.message, error)
