"""A member of a job's group: loads the job, makes steps in one group after the other, and tells what happens.

A plain class: it runs in a thread, a process or an actor, over any transport. The supervisor calls `prepare`, `form`,
`order` and `stop` from other threads; `run` is the member's life.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from gradwire.training import parameters_sha256, state_arrays
from gradwire.workers.checkpoint import CheckpointDamagedError
from gradwire.workers.exchange import Exchange
from gradwire.workers.failures import failure_report
from gradwire.workers.faults import Fault, FaultPoints
from gradwire.workers.formation import Formation, StateLostError
from gradwire.workers.handover import taken_over
from gradwire.workers.in_process import InProcessTransport
from gradwire.workers.process_limits import NO_LIMITS, ProcessLimits, broken_by
from gradwire.workers.receipt import receipt_of, save_receipt
from gradwire.workers.reports import (
    EvaluationFinished,
    Failed,
    Finished,
    Formed,
    Parked,
    Paused,
    Ready,
    Report,
    Started,
    Warned,
)
from gradwire.workers.snapshots import Snapshots
from gradwire.workers.step import BUCKET_BYTES, OwnerFactory
from gradwire.workers.training_state import TrainingState
from gradwire.workers.transport import ExchangeAborted, ExchangeError, Listener, Transport

__all__ = ["End", "Member", "MemberEnded", "MemberSpec", "Progress"]


@dataclass(frozen=True)
class MemberSpec:
    """What all members of a job share. `checkpoints`: a folder, or a URL of fsspec; `directory`: where the user's code runs."""

    job_file: str
    overrides: Mapping[str, str]
    shards: int
    device: str
    threads_per_worker: int
    checkpoints: str
    directory: str = ""
    deadline_s: float = 300.0
    """Longest wait for another rank's message: longer than any rank's single step and checkpoint."""
    live_copies: bool = True
    """Keep a copy of each rank's optimizer state with a neighbour, so that a death costs no step."""
    bucket_bytes: int = BUCKET_BYTES
    """Of gradients that leave together while others are computed; no bit depends on it."""
    temporary: str = ""
    """Folder of temporary files; '' leaves it as it is."""
    limits: ProcessLimits = NO_LIMITS
    """Of each member's process, where it has one of its own."""
    faults: tuple[Fault, ...] = ()
    """What tests let go wrong."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Data at URLs in the place of the job's own, by its name there."""
    blobs: str = ""
    """The folder that `blob:` URLs lie in."""


_LOADING = threading.Lock()
"""Members that are threads share the random numbers of Python and NumPy, from which jobs make their data."""


class End(Enum):
    """How a member ended."""

    FINISHED = "finished"
    PAUSED = "paused"
    FAILED = "failed"
    STOPPED = "stopped"
    LEFT = "left"
    """The group goes on with fewer workers."""


@dataclass(frozen=True)
class MemberEnded:
    """The last thing a member says."""

    end: End
    message: str = ""
    generation: int = 0
    """Of the group that it left."""


@dataclass(frozen=True)
class Progress:
    """What a member does: the last place it reached (faults.py), in which step (from 1), and for how many seconds."""

    point: str
    step: int
    seconds: float


class Member:
    """Member number `member` of a job; its rank is that of the present formation. `tell` takes its reports, in order."""

    def __init__(
        self,
        spec: MemberSpec,
        member: int,
        tell: Callable[[Report], None],
        make_owner: OwnerFactory,
        make_listener: Callable[[], Listener],
        in_thread: bool = False,
    ) -> None:
        """in_thread: it shares its process with others, so that a fault must end the member alone."""
        self.spec, self.member = spec, member
        self._tell, self._make_owner, self._make_listener = tell, make_owner, make_listener
        self._faults = FaultPoints(spec.faults, member, self._die if in_thread else None)
        self._changed = threading.Condition()
        self._stop_reason: str | None = None
        self._listeners: dict[int, Listener] = {}
        self._next: Formation | None = None
        """The newest formation that was asked for and is not joined yet."""
        self._generation = 0
        self._joining: Listener | None = None
        self._transport: Transport | None = None
        self._orders: list[dict[str, Any]] = []
        self._told_step = 0
        self._snapshots = Snapshots(spec.checkpoints, tell, self._faults.reach_aside, spec.limits)

    # The supervisor's part, from any thread.

    def prepare(self, generation: int) -> Any:
        """Listens for the others of a group to be; the address to find it at."""
        listener = self._make_listener()
        with self._changed:
            for old in [g for g in self._listeners if g < generation]:
                self._listeners.pop(old).close()
            self._listeners[generation] = listener
        return listener.address

    def form(self, formation: Formation) -> None:
        """Joins a group: after the step that is being made where it says so, else at once."""
        with self._changed:
            if formation.generation <= self._generation:
                return
            self._next = formation
            transport, joining = self._transport, self._joining
            self._changed.notify_all()
        if joining is not None:
            joining.close()  # what it waits for will not come: the group it belongs to is replaced
        if transport is not None and not formation.at_boundary:
            transport.abort(f"a new group is formed: {formation.reason}")

    def order(self, number: int, what: Mapping[str, Any]) -> None:
        """Has something done by all ranks after the step that is being made: {"options": {…}} or {"pause": True}.

        Heeded where this is rank 0; a number that was carried out before is not carried out again.
        """
        with self._changed:
            if all(order["number"] != number for order in self._orders):
                self._orders.append({**what, "number": number})

    def stop(self, reason: str) -> None:
        """Ends `run` at the next leaf, or at once where it waits for others."""
        with self._changed:
            self._stop_reason = reason
            transport, joining = self._transport, self._joining
            self._changed.notify_all()
        if joining is not None:
            joining.close()
        if transport is not None:
            transport.abort(f"stopped: {reason}")

    @property
    def hangs(self) -> bool:
        """Whether a fault lets it hang, where it is a thread."""
        return self._faults.hangs

    def progress(self) -> Progress:
        """Where it is now."""
        return Progress(self._faults.point, self._faults.step, time.monotonic() - self._faults.since)

    # Its life.

    def run(self) -> MemberEnded:
        """Trains until the job, or this member's part in it, ends. Never raises."""
        ended = MemberEnded(End.FAILED)
        try:
            with threadpool_limits(self.spec.threads_per_worker):
                ended = self._live()
        except _Stopped as stopped:
            ended = MemberEnded(End.STOPPED, str(stopped))
        except Exception as error:
            ended = self._failed(error)
        except SystemExit as error:
            ended = self._failed(error)
        finally:
            with self._changed:
                for listener in self._listeners.values():
                    listener.close()
        return ended

    def _failed(self, error: BaseException) -> MemberEnded:
        failed = failure_report(error)
        if told := broken_by(self.spec.limits, error):
            failed = Failed("PROCESS_LIMIT", told, failed.traceback)
        self._tell(failed)
        return MemberEnded(End.FAILED, failed.message.split("\n")[0])

    def _live(self) -> MemberEnded:
        state = self._loaded()
        self._reach("loaded", 1)
        self._tell(Ready())
        while True:
            formation = self._awaited()
            if formation.from_checkpoint and state.finished is not None:
                state = self._loaded()
            try:
                with self._joined(formation) as transport:
                    ended = self._in_group(formation, transport, state)
                    if ended is not None:
                        self._reach("leaving", 1 + (state.finished or 0))
                        return ended
            except ExchangeError as error:
                self._check_stop()
                missed = getattr(error, "peer", None)
                self._tell(Parked(formation.generation, str(error), missed))
            except (StateLostError, CheckpointDamagedError) as error:
                self._tell(Parked(formation.generation, str(error), state_lost=True))

    def _loaded(self) -> TrainingState:
        spec = self.spec
        with _LOADING:
            return TrainingState(
                spec.job_file,
                spec.overrides,
                spec.shards,
                spec.device,
                self._make_owner,
                self._reach,
                self._check,
                spec.bucket_bytes,
                spec.data,
                spec.blobs,
            )

    def _awaited(self) -> Formation:
        """The newest formation, when there is one that was not joined."""
        with self._changed:
            while self._next is None:
                self._check_stop()
                self._changed.wait()
            formation, self._next = self._next, None
            self._generation = formation.generation
            self._told_step = formation.told_step
            return formation

    @contextmanager
    def _joined(self, formation: Formation) -> Iterator[Transport]:
        self._reach("connecting", self._faults.step)
        with self._changed:
            listener = self._listeners.pop(formation.generation, None)
            self._joining = listener
        if listener is None:
            raise ExchangeAborted(formation.rank, f"generation {formation.generation} was given up")
        try:
            transport = listener.form(
                formation.rank,
                formation.addresses,
                generation=formation.generation,
                secret=formation.secret,
                deadline_s=self.spec.deadline_s,
                connect_deadline_s=self.spec.deadline_s,
            )
        except OSError as error:  # closed from another thread
            raise ExchangeAborted(formation.rank, f"a connection could not be made ({error})") from error
        finally:
            with self._changed:
                self._joining = None
        with self._changed:
            self._transport = transport
        broken = ""
        try:
            self._check()
            self._reach("connected", self._faults.step)
            yield transport
        except BaseException as error:
            broken = (
                f"rank {formation.rank} ended: {error}"
                if not isinstance(error, ExchangeError)
                else str(error)
            )
            raise
        finally:
            with self._changed:
                self._transport = None
            if broken:
                transport.abort(broken)
            transport.close()

    def _die(self) -> None:
        """Makes a thread look like a process that was killed."""
        with self._changed:
            transport = self._transport
        if isinstance(transport, InProcessTransport):
            transport.die()

    def _in_group(
        self, formation: Formation, transport: Transport, state: TrainingState
    ) -> MemberEnded | None:
        """Makes steps until the job's end, this member's, or that of the group (None)."""
        self._snapshots.settle()  # of a group that broke up
        begins = state.finished is None
        exchange = taken_over(transport, formation, state, self._reach, self.spec.live_copies)
        if exchange is None:
            return MemberEnded(End.LEFT, generation=formation.generation)
        with closing(exchange):
            return self._steps(formation, state, exchange, begins)

    def _steps(
        self, formation: Formation, state: TrainingState, exchange: Exchange, begins: bool
    ) -> MemberEnded | None:
        plan = state.plan
        if begins and formation.resume is not None and exchange.rank == 0:
            self._snapshots.resumed(formation.resume)
        if exchange.rank == 0:
            self._tell(Started(plan.total_steps, plan.epochs))
            self._tell(Formed(formation.generation, formation.workers, state.finished or 0, formation.reason))
            for report in list(state.recent):
                if _step_of(report) >= self._told_step:
                    self._tell(report)
        asked: list[dict[str, Any]] = []
        while True:
            if not state.settled:
                self._settle(state, exchange)
            if any("pause" in order for order in asked) and self._paused(state, exchange):
                return MemberEnded(End.PAUSED)
            if state.finished == plan.total_steps:
                return self._finished(state, exchange)
            if any(order.get("regroup", 0) > formation.generation for order in asked):
                self._snapshots.settle()  # while the others are there to send their parts
                self._await_next()
                return None
            asked = self._one_step(state, exchange, formation)

    def _one_step(
        self, state: TrainingState, exchange: Exchange, formation: Formation
    ) -> list[dict[str, Any]]:
        """Makes a step; what all ranks were told to do after it."""
        start = time.perf_counter()
        self._check()
        step = state.finished or 0
        prepared = state.step_maker.run(step, self._orders_now(state, formation))
        reports = state.commit(prepared, time.perf_counter() - start, exchange.world_size)
        self._reach("committed", step + 1)
        if exchange.rank == 0:
            for report in reports:
                self._tell(report)
        return prepared.orders

    def _orders_now(self, state: TrainingState, formation: Formation) -> list[dict[str, Any]]:
        with self._changed:
            self._orders = [o for o in self._orders if "pause" in o or o["number"] > state.last_order]
            orders = list(self._orders)
            if self._next is not None and self._next.at_boundary:
                orders.append({"regroup": self._next.generation, "number": 0})
        return orders

    def _settle(self, state: TrainingState, exchange: Exchange) -> None:
        """What follows a finished step: evaluation and checkpoint, where they are due."""
        plan, step = state.plan, (state.finished or 0) - 1
        if plan.ends_epoch(step) and plan.eval_batches:
            result = state.step_maker.evaluate(plan.epoch_of(step))
            report = EvaluationFinished(step + 1, plan.epoch_of(step) + 1, result.metrics, result.samples)
            if not any(isinstance(r, EvaluationFinished) and r.step == step + 1 for r in state.recent):
                state.recent.append(report)
            if exchange.rank == 0:
                self._tell(report)
            self._reach("evaluated", step + 1)
        if plan.checkpoints_after(step):
            self._check()
            self._checkpoint(state, exchange)
        state.settled = True
        self._reach("settled", step + 1)

    def _checkpoint(self, state: TrainingState, exchange: Exchange) -> None:
        """Begins a checkpoint, which is written beside the training. A failure is told, and training goes on."""
        spec, step = self.spec, state.finished or 0
        self._reach("capturing", step)
        self._snapshots.take(
            state,
            exchange,
            {
                "job_file": Path(spec.job_file).name,
                "overrides": dict(spec.overrides),
                "shards": spec.shards,
                "device": spec.device,
                "threads_per_worker": spec.threads_per_worker,
                "settings": {name: getattr(state.job, name) for name in type(state.job).settings()},
            },
        )
        self._reach("captured", step)

    def _written(self, state: TrainingState, exchange: Exchange) -> bool:
        """Makes sure that the present step's checkpoint is on storage; whether it is. All ranks hear the same."""

        def there() -> bool:
            saved = self._snapshots.settle()
            return (
                exchange.all_gather_bytes(b"1" if saved and saved.step == state.finished else b"0")[0] == b"1"
            )

        if there():
            return True
        self._checkpoint(state, exchange)
        return there()

    def _paused(self, state: TrainingState, exchange: Exchange) -> bool:
        """Leaves a checkpoint and True; False where it could not be written: then the job goes on."""
        written = self._written(state, exchange)
        if exchange.rank == 0:
            with self._changed:
                self._orders = [order for order in self._orders if "pause" not in order]
            if written and self._snapshots.saved is not None:
                self._tell(Paused(state.finished or 0, self._snapshots.saved.location))
            else:
                self._tell(
                    Warned("PAUSE_FAILED", "there is no checkpoint to go on from; the job is not paused")
                )
        return written

    def _finished(self, state: TrainingState, exchange: Exchange) -> MemberEnded:
        self._written(state, exchange)
        exchange.all_gather_bytes(b"")  # nobody leaves before all have made the last step
        if exchange.rank == 0:
            saved = self._snapshots.saved
            sha256 = parameters_sha256(state_arrays(state.model))
            self._leave_receipt(state, sha256)
            self._tell(Finished(sha256, saved.location if saved is not None else ""))
        return MemberEnded(End.FINISHED)

    def _leave_receipt(self, state: TrainingState, sha256: str) -> None:
        spec = self.spec
        try:
            receipt = receipt_of(
                state.job,
                spec.job_file,
                spec.directory,
                spec.shards,
                spec.threads_per_worker,
                spec.device,
                state.data,
                ((change.step, change.options) for change in state.history),
                state.finished or 0,
                sha256,
                state.chain.hex(),
            )
            save_receipt(spec.checkpoints, receipt)
        except Exception as error:  # storage drivers raise what they like, and the job is done
            text = f"the receipt could not be written ({type(error).__name__}: {error})"
            self._tell(Warned("RECEIPT_FAILED", text))

    def _await_next(self) -> None:
        """Waits until the formation that all were told to expect is here."""
        with self._changed:
            while self._next is None:
                self._check_stop()
                self._changed.wait()

    def _reach(self, point: str, step: int) -> None:
        self._faults.reach(point, step)

    def _check(self) -> None:
        """Raises where it is to stop, or a new group is formed in place of this one."""
        self._check_stop()
        formation = self._next
        if formation is not None and not formation.at_boundary:
            raise ExchangeAborted(formation.rank, f"a new group is formed: {formation.reason}")

    def _check_stop(self) -> None:
        if self._stop_reason is not None:
            raise _Stopped(self._stop_reason)


def _step_of(report: Report) -> int:
    return int(getattr(report, "step", 0))


class _Stopped(Exception):
    """`stop` was called."""
