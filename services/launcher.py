"""The seam between the job service and whatever runs a job's workers. Read by runner.py; written by launchers.

Two implementations stand beside this file: `ray_launcher.py` (workers on a Ray cluster) and
`local_launcher.py` (one child process a job). Both pass the same tests.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gradwire.services.demand import losses_allowed, worker_range
from gradwire.services.records import Job
from gradwire.services.scheduling import Node
from gradwire.workers.process_limits import NO_LIMITS, ProcessLimits
from gradwire.workers.reports import Failed, Finished, OptionsChanged, Paused, Report

ENDINGS = (Finished, Failed, Paused)
"""The reports that are the last of an attempt."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Workers that can ever be given at one time, by device kind."""

    cpu: int
    cuda: int

    @classmethod
    def of_nodes(cls, nodes: Sequence[Node]) -> "Capacity":
        """All that these nodes have."""
        return cls(sum(node.cpus for node in nodes), sum(node.gpus for node in nodes))

    def of(self, device: str) -> int:
        """Workers of one kind; 0 for a kind it does not know."""
        return {"cpu": self.cpu, "cuda": self.cuda}.get(device, 0)


@dataclass(frozen=True, slots=True)
class Launch:
    """Everything needed to run one attempt of a job.

    `directory` is the job's own; its code lies in `directory/code`, its checkpoints belong in
    `directory/checkpoints`. An attempt begins from the newest valid checkpoint there, or from step 0, with `workers`,
    whose number the service may change within min_workers and max_workers (0: it does not by itself).

    gang: of its workers, those that are placed together and kept; one_host: all on one host. place_within_s: how long they may wait for their places, all or none.
    losses_limit: losses of workers without a step between them, after which it gives up.

    options_history: options that were changed before. An attempt sets them again whenever it has that many steps behind
    it, also those of the step at which it begins.
    """

    job_id: str
    attempt: int
    directory: Path
    entrypoint: str
    overrides: Mapping[str, str]
    workers: int
    shards: int
    device: str
    threads_per_worker: int
    min_workers: int = 0
    max_workers: int = 0
    options_history: tuple[OptionsChanged, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    """URLs of data sets in the place of the job's own."""
    gang: int = 0
    one_host: bool = False
    place_within_s: float = 300.0
    losses_limit: int = 10
    process_limits: ProcessLimits = NO_LIMITS
    own_blobs: bool = False
    """Its workers can't look into the home: what they read of its blobs is linked into the job's folder."""

    @property
    def blobs(self) -> Path:
        """Where uploaded blobs lie, for the `blob:` URLs among them: in the home, or the job's own links to some."""
        return (self.directory if self.own_blobs else self.directory.parent.parent) / "blobs"

    @property
    def code(self) -> Path:
        """Root of the user's files."""
        return self.directory / "code"

    @property
    def temporary(self) -> Path:
        """Where its workers put temporary files."""
        return self.directory / "tmp"

    @property
    def job_file(self) -> Path:
        """The user's job file."""
        return self.code / self.entrypoint

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints are written."""
        return self.directory / "checkpoints"

    @classmethod
    def of(cls, job: Job, directory: Path, place_within_s: float = 300.0) -> "Launch":
        """The launch of a job's present attempt."""
        spec = job.spec
        return cls(
            job_id=job.id,
            attempt=job.attempt,
            directory=directory,
            entrypoint=spec.code.entrypoint,
            overrides=dict(spec.overrides),
            workers=job.workers,
            shards=spec.shards,
            device=spec.device,
            threads_per_worker=spec.threads_per_worker,
            min_workers=spec.min_workers,
            max_workers=spec.max_workers,
            data=dict(spec.data),
            process_limits=spec.process_limits,
            options_history=tuple(
                OptionsChanged(each.step, dict(each.options), each.order) for each in job.options_history
            ),
            gang=worker_range(job)[0],
            one_host=spec.one_host,
            place_within_s=place_within_s,
            losses_limit=losses_allowed(spec),
        )


class CannotPlaceError(Exception):
    """The launcher can't give this job its workers, now and later; the message says why."""


class AttemptLostError(Exception):
    """An attempt's processes are gone without having said how the job ended."""


class AttemptGoneError(AttemptLostError):
    """They were gone already when the attempt was adopted; all that it had reported is read."""


class Handle(Protocol):
    """A running attempt. Every method may be called from any thread."""

    def reports(self, after: int, wait_s: float) -> tuple[int, Sequence[tuple[int, Report]]]:
        """Reports numbered above `after`, in order, waiting at most `wait_s` for the first.

        Returns them with the incarnation of their numbering: when the controller was restarted its incarnation is
        higher and its reports are numbered from 1 again (ask again with after=0). Asking acknowledges all up to
        `after`. Raises AttemptLostError where there will be no further report and the last was none of
        ENDINGS.
        """
        ...

    def resize(self, workers: int) -> None:
        """Asks it to go on with so many workers; it reports Formed when it does. Idempotent: the last call counts."""
        ...

    def pause(self) -> None:
        """Asks it to write a checkpoint at its next step boundary, report Paused and end. Idempotent."""
        ...

    def update(self, options: Mapping[str, float], number: int) -> None:
        """Asks it to set options of all parameter groups at its next step boundary; it reports OptionsChanged when it has.

        `number` grows with each request for options of the job: one that came before is not carried out again.
        """
        ...

    def stop(self, reason: str) -> None:
        """Ends the attempt's processes and returns when they are gone. Idempotent; reports() ends soon after."""
        ...


class Launcher(Protocol):
    """Starts attempts and finds those that outlived the service that started them."""

    whole_gangs: bool
    """True where of an attempt's gang no single worker can be given back."""

    def nodes(self) -> Sequence[Node]:
        """The hosts there are now, with all that they have: `cpus` are workers without a GPU. May take a moment."""
        ...

    def placed(self, running: Mapping[str, int]) -> Mapping[str, Sequence[str]]:
        """The names of the nodes on which the workers of these attempts (job id: attempt) are, where that is known."""
        ...

    def launch(self, launch: Launch) -> Handle:
        """Starts an attempt, after any older one of the same job is surely gone. Raises CannotPlaceError."""
        ...

    def adopt(self, launch: Launch) -> Handle | None:
        """The handle of an attempt that still runs or has left reports; None where nothing is left of it.

        Where it runs no more its reports end with AttemptGoneError, or as the job did.
        """
        ...

    def sweep(self, running: Mapping[str, int]) -> None:
        """Ends what is left of any attempt but these (job id: attempt), and gives its places back. Called at the start."""
        ...

    def let_go(self) -> None:
        """Leaves every attempt that outlives this process to another service, which adopts it: close() does not end those."""
        ...

    def close(self) -> None:
        """Ends every attempt and gives everything back."""
        ...
