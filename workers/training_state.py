"""All that a member keeps between groups: the loaded job, where it stands, and what it will tell again where that got lost.

Every rank goes through the same changes at the same steps, so each of them can take over from any other.
"""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from gradwire.backends import Device, to_device, to_numpy
from gradwire.training import (
    Job,
    ParameterLayout,
    Plan,
    Scaling,
    ShardStep,
    block_checksums,
    build,
    chain_next,
    load_job,
)
from gradwire.workers.checkpoint import Checkpoint
from gradwire.workers.failures import user_code
from gradwire.workers.formation import Status
from gradwire.workers.reports import OptionsChanged, Report, StepFinished, report_of_step
from gradwire.workers.state import restore, scheduled, take_schedule
from gradwire.workers.step import OwnerFactory, Prepared, Slices, TrainingStep

__all__ = ["RECENT_REPORTS", "TrainingState"]

RECENT_REPORTS = 1000
"""Reports of steps that every rank keeps, and checkpoints carry along."""
_LENGTH = struct.Struct("<Q")


class TrainingState:
    """A job as one member has it. Raises what `build` and the user's code raise."""

    def __init__(
        self,
        job_file: str,
        overrides: Mapping[str, str],
        shards: int,
        device: str,
        make_owner: OwnerFactory,
        reach: Callable[[str, int], None],
        check: Callable[[], None],
        bucket_bytes: int,
        data: Mapping[str, str],
        blobs: str,
    ) -> None:
        with user_code(loading=True):
            self.job: Job = load_job(job_file, overrides, data, blobs)
            self.device = Device(device)
            train, held_out, self.model, self.optimizer, self.scheduler = build(self.job, self.device)
            self.plan = Plan(self.job, len(train), 0 if held_out is None else len(held_out), shards)
            self.layout = ParameterLayout(self.model, self.optimizer, self.device)
        self.data = {"train_data": train, "eval_data": held_out}
        self.step_maker = TrainingStep(
            ShardStep(self.job, self.model, self.layout),
            self.plan,
            train,
            held_out,
            reach,
            check,
            bucket_bytes,
        )
        self.chain = chain_next(b"", 0, block_checksums(self.vector()))
        """The hash chain after the finished steps; b"" where a checkpoint without one was gone on from."""
        self._make_owner = make_owner
        self.finished: int | None = None
        """Finished steps; None before it has begun, by itself or with what others gave it."""
        self.settled = True
        """Whether what follows these steps (evaluation, checkpoint) is done."""
        self.history: list[OptionsChanged] = []
        """All changes of options, in order."""
        self.last_order = 0
        """Number of the newest order that was carried out."""
        self.recent: deque[Report] = deque(maxlen=RECENT_REPORTS)
        self.slices: Slices | None = None

    def status(self) -> Status:
        """Where this member stands, for those it forms a group with."""
        if self.finished is None or self.slices is None:
            return Status()
        prepared = self.step_maker.prepared
        passed = prepared is not None and prepared.step == self.finished and prepared.passed
        return Status(
            self.finished,
            passed,
            self.settled,
            tuple(self.step_maker.summed(self.finished)),
            tuple((owner.start, owner.stop) for owner in self.slices.held if owner.stop > owner.start),
        )

    def owner(self, rank: int, workers: int) -> Any:
        """A new owner, with fresh state, of the slice of `rank`."""
        bounds = self.layout.slice_bounds(rank, workers)
        return self._make_owner(self.optimizer, self.layout, bounds, self.job.clip_grad_norm)

    def begin(self, slices: Slices, checkpoint: Checkpoint | None) -> None:
        """Takes its state from a checkpoint, or from the job's beginning."""
        self.slices, self.finished = slices, 0
        if checkpoint is not None:
            for owner in slices.held:
                restore(checkpoint, self.model, self.layout, owner)
            self.step_maker.integers = self.layout.integer_buffers()
            if checkpoint.scheduler is not None:
                self._take_schedule(checkpoint.scheduler)
            self._take_more(checkpoint.extra)
            self.finished = checkpoint.step
            self.recent.extend(report_of_step(fields) for fields in checkpoint.recent)

    def take_history(self, changes: Iterable[OptionsChanged]) -> None:
        """Learns of changes of options that were reported before: they are repeated where steps are made again."""
        known = {change.order for change in self.history}
        new = [change for change in changes if change.order not in known]
        self.history = sorted([*self.history, *new], key=lambda change: (change.step, change.order))
        self.last_order = max((change.order for change in self.history), default=0)
        if any(change.step == self.finished for change in new):
            self.apply_options()

    def commit(self, prepared: Prepared, seconds: float, workers: int) -> list[Report]:
        """Makes a prepared step count, which took `seconds` on `workers`; its reports, which are in `recent` as well."""
        sums = self.step_maker.commit(prepared)
        step = prepared.step
        self.finished, self.settled = step + 1, False
        if self.chain:
            self.chain = chain_next(self.chain, step + 1, sums)
        if self.scheduler is not None and (self.job.schedule_every == "step" or self.plan.ends_epoch(step)):
            with user_code():
                self.scheduler.step()
        result, epoch = prepared.result, self.plan.epoch_of(step) + 1
        reports: list[Report] = [
            StepFinished(
                step + 1,
                epoch,
                result.metrics,
                result.samples,
                seconds,
                workers,
                self.chain.hex(),
                self.step_maker.exchange_s,
            )
        ]
        for order in prepared.orders:
            if "options" in order and order["number"] > self.last_order:
                self.last_order = order["number"]
                change = OptionsChanged(step + 1, order["options"], order["number"])
                self.history.append(change)
                reports.append(change)
        self.recent.extend(reports)
        self.apply_options()
        return reports

    def apply_options(self) -> None:
        """Sets the options that were changed at this step boundary."""
        for change in self.history:
            if change.step == self.finished:
                for group in self.optimizer.param_groups:
                    group.update(change.options)

    def schedule(self) -> dict[str, Any]:
        """What a checkpoint keeps of schedule and options, as JSON values."""
        return {**scheduled(self.optimizer, self.scheduler), "history": [asdict(c) for c in self.history]}

    def _take_schedule(self, saved: Mapping[str, Any]) -> None:
        take_schedule(self.optimizer, self.scheduler, saved)
        self.history = [OptionsChanged(**fields) for fields in saved.get("history", ())]
        self.last_order = max((change.order for change in self.history), default=0)

    def more(self) -> dict[str, Any]:
        """What else the next step depends on, as JSON values."""
        return {"scaling": asdict(self.step_maker.scaling), "chain": self.chain.hex()}

    def _take_more(self, saved: Mapping[str, Any]) -> None:
        """Takes what `more` gave."""
        if "scaling" in saved:
            self.step_maker.scaling = Scaling(**saved["scaling"])
        self.chain = bytes.fromhex(saved.get("chain", ""))

    def recent_as_json(self) -> list[dict[str, Any]]:
        """`recent` as JSON values."""
        return [{"kind": type(report).__name__, **asdict(report)} for report in self.recent]

    # What is the same on all ranks goes to a new one as bytes.

    def common(self) -> list[Any]:
        """All but the parameters and the optimizer's slices: buffers to send as one message."""
        assert self.slices is not None
        head = {
            "finished": self.finished,
            "settled": self.settled,
            "counts": self.slices.own.step_counts,
            "schedule": self.schedule(),
            "more": self.more(),
            "recent": self.recent_as_json(),
        }
        body = json.dumps(head).encode()
        return [_LENGTH.pack(len(body)), body, self.step_maker.integers]

    def take_common(self, message: memoryview, vector: np.ndarray[Any, Any]) -> list[int]:
        """Takes what `common` gave, and the parameters and buffers beside it; returns the step counts."""
        end = _LENGTH.size + _LENGTH.unpack_from(message)[0]
        head = json.loads(bytes(message[_LENGTH.size : end]))
        self.layout.flat[...] = to_device(vector, self.device)
        self.step_maker.integers = bytes(message[end:])
        self.layout.write_buffers(self.step_maker.integers)
        self._take_schedule(head["schedule"])
        self._take_more(head["more"])
        self.finished, self.settled = head["finished"], head["settled"]
        self.recent.clear()
        self.recent.extend(report_of_step(fields) for fields in head["recent"])
        counts: list[int] = head["counts"]
        return counts

    @staticmethod
    def on_host(array: Any) -> np.ndarray[Any, Any]:
        """An array as the host has it."""
        result: np.ndarray[Any, Any] = to_numpy(array)
        return result

    def vector(self) -> np.ndarray[Any, Any]:
        """Parameters and buffers on the host."""
        array: np.ndarray[Any, Any] = to_numpy(self.layout.flat)
        return array
