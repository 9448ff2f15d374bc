"""What a worker tells its controller: frozen values that cross processes.

Steps count finished steps, from 1; epochs count from 1. Every rank sends its own LogLine and Failed, rank 0
the rest. The job service numbers them, keeps them and shows them as events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Started:
    """The group is whole and about to make its next step."""

    total_steps: int
    epochs: int


@dataclass(frozen=True, slots=True)
class StepFinished:
    """One step: metrics are means over the global batch of `samples`."""

    step: int
    epoch: int
    metrics: Mapping[str, float]
    samples: int
    seconds: float
    workers: int = 1
    chain: str = ""
    """Hash chain over the parameters after every step so far, hex; '' where the job does not keep one."""
    exchange_seconds: float = 0.0
    """Of these, how long rank 0 exchanged and waited for others when its own part was computed."""


@dataclass(frozen=True, slots=True)
class Formed:
    """A group of `workers` ranks, the `generation`-th of its attempt, goes on after `step` finished steps."""

    generation: int
    workers: int
    step: int
    reason: str


@dataclass(frozen=True, slots=True)
class OptionsChanged:
    """From the step after `step` finished ones on, all parameter groups have these options (such as lr)."""

    step: int
    options: Mapping[str, float]
    order: int = 0
    """Number of the order that asked for it."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The last report of an attempt that was paused after `step` finished steps; its checkpoint lies at `checkpoint`."""

    step: int
    checkpoint: str


@dataclass(frozen=True, slots=True)
class EvaluationFinished:
    """One pass over the held-out data after `step` steps."""

    step: int
    epoch: int
    metrics: Mapping[str, float]
    samples: int


@dataclass(frozen=True, slots=True)
class CheckpointWritten:
    """A checkpoint is whole on storage."""

    step: int
    path: str
    parameters_sha256: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the user's output and the end that it had; bytes that are no UTF-8 are escaped (surrogateescape)."""

    rank: int
    stream: str
    text: str
    end: str = "\n"


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the owner should know."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Ready:
    """A member has loaded the job and can take part in a group. For the supervisor alone."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A member's group broke up; it waits for the next one. For the supervisor alone.

    missed: the rank that it did not hear from, where it found that out by itself. state_lost: only a checkpoint helps.
    """

    generation: int
    message: str
    missed: int | None = None
    state_lost: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """Every step was made and the last checkpoint lies at `checkpoint`."""

    parameters_sha256: str
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It can't go on. `traceback` is the user's own, '' where no user code raised."""

    reason: str
    message: str
    traceback: str


Report = (
    Started
    | Formed
    | StepFinished
    | EvaluationFinished
    | OptionsChanged
    | CheckpointWritten
    | LogLine
    | Warned
    | Ready
    | Parked
    | Paused
    | Finished
    | Failed
)


_OF_STEPS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (StepFinished, EvaluationFinished, OptionsChanged)
}


def report_of_step(fields: Mapping[str, Any]) -> StepFinished | EvaluationFinished | OptionsChanged:
    """The report that a checkpoint carries as `fields`: its own, and "kind"."""
    values = {name: value for name, value in fields.items() if name != "kind"}
    report: StepFinished | EvaluationFinished | OptionsChanged = _OF_STEPS[fields["kind"]](**values)
    return report
