"""The values of the job service: jobs, specs, events, checkpoints. Frozen, plain, the same on both sides.

The store keeps them, the front end renders them, the client returns them. `messages.py` is the only
place that knows how each one looks in protobuf.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gradwire.services.states import JobState
from gradwire.workers.process_limits import NO_LIMITS, ProcessLimits

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
class JobLimits:
    """Bounds on a job's time and retries: wall seconds with workers, of one attempt and of all (0: no limit), and retries by cause."""

    attempt_seconds: float = 0.0
    job_seconds: float = 0.0
    retries: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What to train. Equal code, overrides, data, shards, device and threads give equal bits.

    With min_workers and max_workers both 0 the service gives it `workers` and leaves that number alone; else it starts with
    what there is between them, and the service changes it as others come and go.
    """

    name: str
    code: Code
    overrides: Mapping[str, str] = field(default_factory=dict)
    workers: int = 1
    shards: int = DEFAULT_SHARDS
    device: str = "cpu"
    threads_per_worker: int = 1
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    min_workers: int = 0
    max_workers: int = 0
    data: Mapping[str, str] = field(default_factory=dict)
    """URLs of data sets, by the name of the job's own that each takes the place of. Part of what its bits depend on."""
    process_limits: ProcessLimits = NO_LIMITS
    """Of each worker's process; 0 is the service's default."""
    limits: JobLimits = JobLimits()
    one_host: bool = False
    storage_bytes: int = 0
    """Bytes that it says it is going to store."""

    code_archive: str = ""
    """sha256 of the uploaded archive that holds the program, where it was not sent as files."""

    @property
    def elastic(self) -> bool:
        """True where the service may change its number of workers."""
        return self.min_workers < self.max_workers

    @property
    def first_wish(self) -> int:
        """Workers it is to have until its owner says otherwise: the most of its range."""
        return self.max_workers or self.workers

    @property
    def fewest_workers(self) -> int:
        """The least that its owner may ask for."""
        return self.min_workers or 1

    @property
    def most_workers(self) -> int:
        """The most that its owner may ask for."""
        return self.max_workers or self.shards


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job failed: a stable reason, a sentence, and the user's own traceback ('' where no user code raised)."""

    reason: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class OptionsChanged:
    """From the step after `step` finished ones on, all parameter groups have these options (such as lr)."""

    step: int
    options: Mapping[str, float]
    order: int = 0


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
    pause_requested: bool = False
    wanted_workers: int = 0
    """Workers it is to have, at most so many where it is elastic; `workers` are those it has."""
    options_history: tuple[OptionsChanged, ...] = ()
    wanted_options: Mapping[str, float] = field(default_factory=dict)
    options_number: int = 0
    """Counts the requests for other options; known to the service alone."""
    chain: str = ""
    owner: str = "local"
    """Who submitted it, as its token said; "local" where the service asks for no token."""
    etag: str = ""
    """What the service gives out for it (etags.py); '' within the service."""
    delete_time: datetime | None = None
    expire_time: datetime | None = None
    """When what is left of a deleted job goes for good."""
    replay_of: str = ""
    """The job that this one repeats."""
    run_seconds: float = 0.0
    """Wall seconds that it had workers; the client's copy counts to now, the service's to the begin of the present attempt."""
    # What follows is known to the service alone.
    order: int = 0
    """Its place among all submissions."""
    since: datetime | None = None
    """From when its waiting counts: its submission, or the last time its owner resumed it."""
    not_before: datetime | None = None
    """The end of a pause after a loss."""
    attempt_time: datetime | None = None
    """When the present attempt got its workers; None without one."""
    level: int = 0
    """The level by which the scheduler started it."""
    target_workers: int = 0
    """Workers that the present attempt was last told to have."""
    gives_way: bool = False
    """The scheduler takes its workers for another job: it goes back into the queue at the next step boundary."""
    ends: Mapping[str, int] = field(default_factory=dict)
    """Attempts that ended before the job did, by cause (scheduling/limits.py)."""
    stored_bytes: int = 0
    """Bytes of its checkpoints when an attempt last ended."""

    def run_seconds_at(self, now: datetime) -> float:
        """Wall seconds that it had workers up to now."""
        present = 0.0 if self.attempt_time is None else max((now - self.attempt_time).total_seconds(), 0.0)
        return self.run_seconds + present

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
    chain: str = ""
    exchange_seconds: float = 0.0
    """Of `seconds`, how long rank 0 exchanged and waited for others when its own part was computed."""


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
    """One line the user's code printed on `stream` ("stdout" or "stderr") of worker `rank`.

    raw: the bytes that were written, b"" where they are the text and a newline. offset: bytes of the stream before it.
    """

    rank: int
    stream: str
    text: str
    raw: bytes = b""
    offset: int = 0

    @property
    def written(self) -> bytes:
        """The bytes that were written."""
        return self.raw or self.text.encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Warned:
    """Something the owner should know, with a stable reason."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class GroupFormed:
    """`workers` ranks formed the `generation`-th group of their attempt and go on after `step` finished steps."""

    generation: int
    workers: int
    step: int
    reason: str


@dataclass(frozen=True, slots=True)
class JobUpdated:
    """The owner asked for a change; what was not asked for is None or empty."""

    workers: int | None = None
    priority: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    removed_labels: tuple[str, ...] = ()
    options: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Update:
    """What an owner asks to change; what is None or empty stays."""

    options: Mapping[str, float] = field(default_factory=dict)
    priority: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    remove_labels: tuple[str, ...] = ()


EventKind = (
    StateChanged
    | StepFinished
    | EvaluationFinished
    | CheckpointWritten
    | LogLine
    | Warned
    | GroupFormed
    | OptionsChanged
    | JobUpdated
)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a job's append-only history; numbers start at 1 and have no gaps."""

    number: int
    time: datetime
    kind: EventKind


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One step of a metric, or `count` steps put together; `step` and `time` are those of the last one.

    NaN: the mean has it where a step has; min and max leave it out where there is anything else.
    """

    step: int
    time: datetime
    mean: float
    min: float
    max: float
    count: int


@dataclass(frozen=True, slots=True)
class MetricSeries:
    """One metric of a job, in order of steps."""

    name: str
    points: tuple[MetricPoint, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A job beside the job `against`. first_different_step: 0 where no step that both made has other bits.

    differences: what the bits depend on and differs, and which bits differ, a line each.
    """

    against: str
    same: bool
    compared_steps: int
    first_different_step: int
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """One file of a checkpoint: its name there, its bytes and their sha256 in hex."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Blob:
    """Some bytes of an owner by their sha256 in hex: `size` in all, of which the service has `received`."""

    sha256: str
    size: int
    received: int
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that is whole on the service's storage."""

    step: int
    path: str
    parameters_sha256: str
    files: tuple[CheckpointFile, ...]
    create_time: datetime
