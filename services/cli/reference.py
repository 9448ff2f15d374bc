"""`gradwire train --reference`: a job by the contract's own words, in this process, shown as any other. Called by train.py."""

import time
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from threadpoolctl import threadpool_limits

import gradwire
from gradwire.services.cli.progress import Display
from gradwire.services.data_rules import DataRules
from gradwire.services.history import line_of_output
from gradwire.services.launcher import Capacity
from gradwire.services.local_program import Lines
from gradwire.services.records import (
    EvaluationFinished,
    Event,
    EventKind,
    Job,
    JobError,
    JobSpec,
    StateChanged,
    StepFinished,
)
from gradwire.services.states import JobState
from gradwire.services.validation import checked_spec
from gradwire.training import JobFileError, LossError, NonFiniteLoss, Reference, load_job
from gradwire.workers import reports
from gradwire.workers.failures import UserCodeError, failure_report

_SERVICES = str(Path(__file__).resolve().parents[1]) + "/"
NAME = "reference"
"""Stands for the job's id."""


def reference(file: Path, spec: JobSpec, display: Display) -> tuple[Job, bool]:
    """The job at its end, and True where that end was Ctrl-C. Raises InvalidRequestError for a wrong spec."""
    spec = checked_spec(spec, "", Capacity(cpu=1, cuda=gradwire.cuda.device_count()), DataRules(None))
    run = _Run(file, spec, display)
    try:
        # What the job prints is shown, and nothing but the result goes to standard output.
        lines = Lines("stdout", run.tell)
        with threadpool_limits(spec.threads_per_worker), redirect_stdout(lines):
            run.train()
            lines.end()
    except KeyboardInterrupt:
        display.line("stopping (Ctrl-C) …")
        run.enter(JobState.CANCELLED, "cancelled")
        return run.job, True
    except (Exception, SystemExit) as error:
        run.fail(error)
    return run.job, False


class _Run:
    """The record of a job that no service keeps, and what is shown of it."""

    def __init__(self, file: Path, spec: JobSpec, display: Display) -> None:
        self._file, self._display = file, display
        self._events = 0
        self._loading = True
        self.job = Job(NAME, spec, JobState.STARTING, datetime.now(UTC), workers=1, wanted_workers=1)

    def tell(self, report: reports.Report) -> None:
        """Shows a line that the job printed."""
        if isinstance(report, reports.LogLine):
            self._show(line_of_output(report))

    def train(self) -> None:
        """Makes all steps."""
        spec = self.job.spec
        made = Reference(load_job(self._file, spec.overrides, spec.data), spec.shards, spec.device)
        self._loading = False
        plan = made.plan
        self.job = replace(self.job, total_steps=plan.total_steps, epochs=plan.epochs)
        self.enter(JobState.RUNNING, "by the reference, in this process")
        while made.finished < plan.total_steps:
            step, began = made.finished, time.perf_counter()
            metrics = made.step()
            took, epoch = time.perf_counter() - began, plan.epoch_of(step) + 1
            samples = plan.batch_samples(step)
            first = self.job.first_step_seconds or self.job.seconds
            self.job = replace(self.job, step=step + 1, metrics=metrics, first_step_seconds=first)
            self._show(
                StepFinished(step + 1, plan.total_steps, epoch, plan.epochs, metrics, samples, took, 1)
            )
            if plan.ends_epoch(step) and plan.eval_batches:
                means = made.evaluate(plan.epoch_of(step))
                self.job = replace(self.job, evaluation_metrics=means)
                self._show(EvaluationFinished(step + 1, epoch, means, plan.n_eval))
        self.job = replace(self.job, parameters_sha256=made.parameters_sha256)
        self.enter(JobState.SUCCEEDED, "every step was made")

    def fail(self, error: BaseException) -> None:
        """Notes why it can't go on. What is raised here, but for two errors of the steps themselves, is the user's."""
        own = isinstance(error, LossError | NonFiniteLoss | JobFileError) and not self._loading
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_SERVICES):
            frames = frames.tb_next
        error = error.with_traceback(frames)
        told = failure_report(error if own else UserCodeError(error, self._loading))
        self.job = replace(self.job, error=JobError(told.reason, told.message, told.traceback))
        self.enter(JobState.FAILED, told.message)

    def enter(self, state: JobState, reason: str) -> None:
        """A new state."""
        ended = datetime.now(UTC) if state.terminal else None
        self.job = replace(self.job, state=state, end_time=ended)
        self._show(StateChanged(state, reason))

    def _show(self, kind: EventKind) -> None:
        self._events += 1
        self._display.show(Event(self._events, datetime.now(UTC), kind))
