"""The values of the job service: jobs, specs, events, checkpoints. Frozen, plain, the same on both sides.

The store keeps them, the front end renders them, the client returns them. `messages.py` is the only
place that knows how each one looks in protobuf.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gradwire.services.states import JobState

DEFAULT_SHARDS = 8
"""Shards of a job that names none: one host of GPUs."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a user's program; path is relative, with forward slashes."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Code:
    """A user's program: plain files (in path order, or none where they were left out) and the job file's path."""

    entrypoint: str
    files: tuple[SourceFile, ...] = ()


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What to train. Equal code, overrides, shards, device and threads give equal bits."""

    name: str
    code: Code
    overrides: Mapping[str, str] = field(default_factory=dict)
    workers: int = 1
    shards: int = DEFAULT_SHARDS
    device: str = "cpu"
    threads_per_worker: int = 1
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed: a stable reason, a sentence, and the user's own traceback ('' where no user code raised)."""

    reason: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One training run as the service knows it. Steps count finished steps; times are UTC."""

    id: str
    spec: JobSpec
    state: JobState
    create_time: datetime
    start_time: datetime | None = None
    end_time: datetime | None = None
    workers: int = 0
    step: int = 0
    total_steps: int = 0
    epochs: int = 0
    last_event: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    evaluation_metrics: Mapping[str, float] = field(default_factory=dict)
    parameters_sha256: str = ""
    error: JobError | None = None
    checkpoint: str = ""
    attempt: int = 0
    waiting_reason: str = ""
    first_step_seconds: float = 0.0
    cancel_requested: bool = False

    @property
    def seconds(self) -> float:
        """Wall seconds from its submission to its end, or to now while it has none."""
        return ((self.end_time or datetime.now(UTC)) - self.create_time).total_seconds()


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A state was entered."""

    state: JobState
    reason: str
    error: JobError | None = None


@dataclass(frozen=True, slots=True)
class StepFinished:
    """One step was made: metrics are means over the global batch of `samples`, by `workers` in `seconds`."""

    step: int
    total_steps: int
    epoch: int
    epochs: int
    metrics: Mapping[str, float]
    samples: int
    seconds: float
    workers: int


@dataclass(frozen=True, slots=True)
class EvaluationFinished:
    """One pass over the held-out data after `step` steps; metrics are means over its `samples`."""

    step: int
    epoch: int
    metrics: Mapping[str, float]
    samples: int


@dataclass(frozen=True, slots=True)
class CheckpointWritten:
    """A checkpoint of `step` steps is whole on storage."""

    step: int
    path: str
    parameters_sha256: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line the user's code printed on `stream` ("stdout" or "stderr") of worker `rank`."""

    rank: int
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the owner should know, with a stable reason."""

    reason: str
    message: str


EventKind = StateChanged | StepFinished | EvaluationFinished | CheckpointWritten | LogLine | Warned


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a job's append-only history; numbers start at 1 and have no gaps."""

    number: int
    time: datetime
    kind: EventKind


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """One file of a checkpoint: its name there, its bytes and their sha256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that is whole on the service's storage."""

    step: int
    path: str
    parameters_sha256: str
    files: tuple[CheckpointFile, ...]
    create_time: datetime
