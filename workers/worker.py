"""One rank of a job: loads the job file, starts or goes on from a checkpoint, makes its steps and tells what happens.

A plain class: it runs in a thread, a process or an actor, over any transport. `actor.py` puts it on Ray.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from gradwire.backends import Device
from gradwire.training import (
    Job,
    ParameterLayout,
    Plan,
    ShardStep,
    build,
    load_job,
    parameters_sha256,
    state_arrays,
)
from gradwire.workers import checkpoint as checkpoints
from gradwire.workers.exchange import Exchange
from gradwire.workers.failures import failure_report, user_code
from gradwire.workers.reports import (
    CheckpointWritten,
    EvaluationFinished,
    Finished,
    Report,
    Started,
    StepFinished,
    Warned,
    report_of_step,
)
from gradwire.workers.state import captured, restore
from gradwire.workers.step import OwnerFactory, TrainingStep
from gradwire.workers.transport import ExchangeError, Transport

__all__ = ["End", "RankEnded", "Worker", "WorkerSpec"]

RECENT_REPORTS = 1000
"""Reports of steps that a checkpoint carries along."""


@dataclass(frozen=True)
class WorkerSpec:
    """What all ranks of a job share. `checkpoints`: the folder; `directory`: where the user's code runs."""

    job_file: str
    overrides: Mapping[str, str]
    shards: int
    device: str
    threads_per_worker: int
    checkpoints: str
    directory: str = ""
    keep_checkpoints: int = 3
    deadline_s: float = 300.0
    """Longest wait for another rank's message: longer than any rank's single step and checkpoint."""


class End(Enum):
    """How a rank ended."""

    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    """Another rank was lost, hung or failed."""


@dataclass(frozen=True)
class RankEnded:
    """The last thing a rank says. `lost`: the rank that was missed, where one was."""

    end: End
    message: str = ""
    lost: int | None = None


@dataclass
class _Loaded:
    job: Job
    device: Device
    plan: Plan
    model: Any
    optimizer: Any
    scheduler: Any
    layout: ParameterLayout
    train: Any
    held_out: Any


class Worker:
    """Rank `rank` of `world_size`. `tell` takes its reports, from this thread, in order."""

    def __init__(
        self,
        spec: WorkerSpec,
        rank: int,
        world_size: int,
        tell: Callable[[Report], None],
        make_owner: OwnerFactory,
    ) -> None:
        self.spec, self.rank, self.world_size = spec, rank, world_size
        self._tell, self._make_owner = tell, make_owner
        self._stop_reason: str | None = None
        self._lock = threading.Lock()
        self._transport: Transport | None = None
        self._recent: deque[dict[str, Any]] = deque(maxlen=RECENT_REPORTS)
        self._last_checkpoint = ""

    def stop(self, reason: str) -> None:
        """Ends `run` at the next step boundary, or at once where it waits for other ranks. From any thread."""
        with self._lock:
            self._stop_reason = reason
            transport = self._transport
        if transport is not None:
            transport.abort(f"stopped: {reason}")

    def run(self, connect: Callable[[], Transport], resume: str | None = None) -> RankEnded:
        """Trains to the end of the job. The group is joined while the job file is loaded. Never raises.

        resume: path of the checkpoint to go on from, the same for all ranks.
        """
        joining = self._join(connect)
        try:
            with threadpool_limits(self.spec.threads_per_worker):
                loaded = self._load()
                self._train(loaded, joining.result(), resume)
            return self._left(RankEnded(End.FINISHED), joining)
        except _Stopped as stopped:
            return self._left(RankEnded(End.STOPPED, str(stopped)), joining)
        except ExchangeError as error:
            if self._stop_reason is not None:
                return self._left(RankEnded(End.STOPPED, self._stop_reason), joining)
            lost = getattr(error, "peer", None)
            return self._left(RankEnded(End.INTERRUPTED, str(error), lost), joining)
        except BaseException as error:
            failed = failure_report(error)
            self._tell(failed)
            return self._left(RankEnded(End.FAILED, failed.message.split("\n")[0]), joining)

    def _join(self, connect: Callable[[], Transport]) -> Future[Transport]:
        """Connects in a thread of its own."""
        joining: Future[Transport] = Future()

        def body() -> None:
            try:
                transport = connect()
            except BaseException as error:
                joining.set_exception(error)
                return
            with self._lock:
                self._transport = transport
                reason = self._stop_reason
            if reason is not None:
                transport.abort(f"stopped: {reason}")
            joining.set_result(transport)

        threading.Thread(target=body, daemon=True, name="gradwire-join").start()
        return joining

    def _left(self, ended: RankEnded, joining: Future[Transport]) -> RankEnded:
        """Leaves the group: in order after the last step, else telling the others why."""

        def leave(joined: Future[Transport]) -> None:
            if joined.exception() is None:
                transport = joined.result()
                if ended.end is not End.FINISHED:
                    transport.abort(f"rank {self.rank} {ended.end.value}: {ended.message}")
                transport.close()

        if joining.done():
            leave(joining)
        else:
            joining.add_done_callback(leave)
        return ended

    def _load(self) -> _Loaded:
        spec = self.spec
        with user_code(loading=True):
            job = load_job(spec.job_file, spec.overrides)
            device = Device(spec.device)
            train, held_out, model, optimizer, scheduler = build(job, device)
            plan = Plan(job, len(train), 0 if held_out is None else len(held_out), spec.shards)
            layout = ParameterLayout(model, optimizer, device)
        return _Loaded(job, device, plan, model, optimizer, scheduler, layout, train, held_out)

    def _train(self, loaded: _Loaded, transport: Transport, resume: str | None) -> None:
        job, plan, layout, scheduler = loaded.job, loaded.plan, loaded.layout, loaded.scheduler
        exchange = Exchange(transport, self.spec.shards)
        bounds = layout.slice_bounds(self.rank, self.world_size)
        owner = self._make_owner(loaded.optimizer, layout, bounds, job.clip_grad_norm)
        first = 0
        if resume is not None:
            read = checkpoints.read(Path(resume))
            restore(read, loaded.model, layout, owner, scheduler)
            first = read.step
            self._last_checkpoint = resume
            self._recent.extend(read.recent)
        step_maker = TrainingStep(
            ShardStep(job, loaded.model, layout), plan, owner, exchange, loaded.train, loaded.held_out
        )
        self._say(Started(plan.total_steps, plan.epochs))
        for fields in list(self._recent):
            self._say(report_of_step(fields))
        sha256 = ""
        for step in range(first, plan.total_steps):
            self._check_stop()
            start = time.perf_counter()
            result = step_maker.run(step)
            if scheduler is not None and (job.schedule_every == "step" or plan.ends_epoch(step)):
                with user_code():
                    scheduler.step()
            seconds = time.perf_counter() - start
            epoch = plan.epoch_of(step)
            self._say_and_keep(StepFinished(step + 1, epoch + 1, result.metrics, result.samples, seconds))
            if plan.ends_epoch(step) and plan.eval_batches:
                result = step_maker.evaluate(epoch)
                self._say_and_keep(EvaluationFinished(step + 1, epoch + 1, result.metrics, result.samples))
            if plan.checkpoints_after(step):
                self._check_stop()
                sha256 = self._checkpoint(loaded, owner, exchange, step + 1)
        if first == plan.total_steps:
            sha256 = parameters_sha256(state_arrays(loaded.model))
        exchange.all_gather_bytes(b"")  # nobody leaves before all have made the last step
        self._say(Finished(sha256, self._last_checkpoint))

    def _checkpoint(self, loaded: _Loaded, owner: Any, exchange: Exchange, step: int) -> str:
        """Writes a checkpoint, on rank 0, from what all ranks own. A failure is told, and training goes on."""
        spec = self.spec
        content = captured(
            loaded.model,
            loaded.layout,
            owner,
            loaded.scheduler,
            exchange,
            step=step,
            epoch=step // loaded.plan.steps_per_epoch,
            total_steps=loaded.plan.total_steps,
            spec={
                "job_file": Path(spec.job_file).name,
                "overrides": dict(spec.overrides),
                "shards": spec.shards,
                "device": spec.device,
                "threads_per_worker": spec.threads_per_worker,
                "settings": {name: getattr(loaded.job, name) for name in type(loaded.job).settings()},
            },
            recent=list(self._recent),
        )
        if content is None:
            return ""
        try:
            saved = checkpoints.write(Path(spec.checkpoints), content, spec.keep_checkpoints)
        except OSError as error:
            self._say(
                Warned(
                    "CHECKPOINT_FAILED",
                    f"the checkpoint of step {step} could not be written ({error}); training goes on",
                )
            )
            return parameters_sha256(state_arrays(loaded.model))
        self._last_checkpoint = str(saved.path)
        self._say(CheckpointWritten(saved.step, str(saved.path), saved.parameters_sha256))
        return saved.parameters_sha256

    def _check_stop(self) -> None:
        if self._stop_reason is not None:
            raise _Stopped(self._stop_reason)

    def _say(self, report: Report) -> None:
        if self.rank == 0:
            self._tell(report)

    def _say_and_keep(self, report: StepFinished | EvaluationFinished) -> None:
        self._say(report)
        if self.rank == 0:
            self._recent.append({"kind": type(report).__name__, **asdict(report)})


class _Stopped(Exception):
    """`stop` was called."""
