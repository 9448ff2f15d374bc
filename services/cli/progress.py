"""Shows a job's events as they come, on standard error: a live bar on a terminal, plain lines elsewhere."""

from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from gradwire.services import records as r
from gradwire.services.cli.output import say, stderr
from gradwire.services.states import JobState

RATE_WINDOW = 50
"""Steps over which samples/s is taken."""


def metrics_text(metrics: Mapping[str, float]) -> str:
    """Metrics in one line, the loss first."""
    ordered = sorted(metrics.items(), key=lambda item: (item[0] != "loss", item[0]))
    return "  ".join(f"{name} {value:.4f}" for name, value in ordered)


def pairs_text(pairs: Mapping[str, object]) -> str:
    """Names and values in one line."""
    return ", ".join(f"{name}={value}" for name, value in sorted(pairs.items()))


def workers_text(count: int) -> str:
    """A number of workers in words."""
    return "1 worker" if count == 1 else f"{count} workers"


def updated_text(updated: r.JobUpdated) -> str:
    """What an owner asked for, in one line."""
    parts = [] if updated.workers is None else [workers_text(updated.workers)]
    if updated.options:
        parts.append(pairs_text(updated.options))
    if updated.priority is not None:
        parts.append(f"priority {updated.priority}")
    if updated.labels:
        parts.append(f"labels {pairs_text(updated.labels)}")
    if updated.removed_labels:
        parts.append(f"without the labels {', '.join(updated.removed_labels)}")
    return "; ".join(parts)


class Display:
    """A context that shows events until it is left."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = stderr.is_terminal and not quiet
        self._recent: deque[tuple[int, float]] = deque(maxlen=RATE_WINDOW)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeRemainingColumn(compact=True),
            console=stderr,
            transient=True,
            disable=not self._live,
        )
        self._task: TaskID = self._progress.add_task("submitted", total=None, detail="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def line(self, text: str, style: str = "") -> None:
        """A line above the bar."""
        if self._live:
            self._progress.console.print(Text(text, style=style))
        elif not self._quiet:
            say(text, style)

    def show(self, event: r.Event) -> None:
        """Shows one event."""
        match event.kind:
            case r.StateChanged(state, reason):
                self._state(state, reason)
            case r.StepFinished() as step:
                self._step(step)
            case r.EvaluationFinished(_, epoch, metrics, samples):
                self.line(f"epoch {epoch}: {metrics_text(metrics)} on {samples} held-out samples")
            case r.CheckpointWritten(step_number, path, _):
                if self._live:
                    self._progress.update(self._task, checkpoint=path)
                else:
                    self.line(f"checkpoint of step {step_number}: {path}")
            case r.LogLine(rank, stream, text):
                self.line(f"[{rank}] {text}", "red" if stream == "stderr" else "")
            case r.Warned(reason, message):
                self.line(f"warning: {message} ({reason})", "yellow")
            case r.GroupFormed() as formed:
                self.line(
                    f"group {formed.generation} of {workers_text(formed.workers)} formed after step {formed.step}: "
                    f"{formed.reason}"
                )
            case r.OptionsChanged(step_number, options):
                self.line(f"from step {step_number + 1} on: {pairs_text(options)}")
            case r.JobUpdated() as updated:
                self.line(f"asked for: {updated_text(updated)}")

    def _state(self, state: JobState, reason: str) -> None:
        self._progress.update(self._task, description=state.name.lower())
        if not self._live or state in (JobState.RECOVERING, JobState.PAUSED):
            self.line(f"{state.name.lower()}: {reason}")

    def _step(self, step: r.StepFinished) -> None:
        self._recent.append((step.samples, step.seconds))
        if not self._live:
            return
        seconds = sum(took for _, took in self._recent)
        rate = sum(samples for samples, _ in self._recent) / seconds if seconds > 0 else 0.0
        workers = workers_text(step.workers)
        self._progress.update(
            self._task,
            completed=step.step,
            total=step.total_steps or None,
            description=f"epoch {step.epoch}/{step.epochs}  step {step.step}/{step.total_steps}",
            detail=f"{metrics_text(step.metrics)}  {rate:,.0f} samples/s  {workers}",
        )
