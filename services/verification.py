"""Runs a job that was run before, or some of its steps, by the reference, and compares the hash chain step by step.

A finished job's folder has all that is needed: its row and events in the store, its code, its checkpoints, its receipt.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import gradwire
from gradwire import graph
from gradwire.backends import to_numpy
from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages
from gradwire.services import records as r
from gradwire.services.errors import JobNotFoundError
from gradwire.services.store import Store
from gradwire.training import NonFiniteLoss, Reference, load_job
from gradwire.workers.checkpoint import CheckpointDamagedError, CheckpointStorage
from gradwire.workers.receipt import RECEIPT, Receipt, differences, read_receipt, receipt_of
from gradwire.workers.state import restore_reference

__all__ = ["Kept", "Replayed", "RunNotFoundError", "Verdict", "find_run", "replay", "verify"]

STORE = "jobs.db"


class RunNotFoundError(Exception):
    """There is no such run, or nothing of it to compare with; the message says what to do."""


@dataclass(frozen=True)
class Kept:
    """What was kept of a run. chains: the hash chain after each step, as far as it was told; hex."""

    job: r.Job
    folder: Path
    chains: Mapping[int, str]

    @property
    def job_file(self) -> Path:
        """The code as the service got it."""
        return self.folder / "code" / self.job.spec.code.entrypoint

    def receipt(self) -> Receipt | None:
        """The receipt, where the job was finished."""
        try:
            return read_receipt(self.folder / "checkpoints" / RECEIPT)
        except FileNotFoundError:
            return None


@dataclass(frozen=True)
class Verdict:
    """first, last: the steps that were compared. differs: the first step whose bits are others, None where all are the same.

    began: finished steps of the checkpoint it began from, 0 for the beginning. because: what differs between the receipt and
    what a receipt would say here and now.
    """

    first: int
    last: int
    began: int
    differs: int | None
    because: tuple[str, ...]
    parameters_sha256: str = ""
    """At the end, where that was reached."""


@dataclass(frozen=True)
class Replayed:
    """One step again. same: whether the hash chain after it is the run's; None where the run told none.

    anomaly: what backward said under anomaly detection, error: why the step can't be made; '' where there is nothing.
    """

    step: int
    metrics: Mapping[str, float]
    gradient_norms: Mapping[str, float]
    same: bool | None
    anomaly: str
    error: str
    picture: Path


def find_run(what: str, home: Path) -> Kept:
    """A run by its folder, as `gradwire train` leaves it, or a job's, or by the job's id in `home`. Raises RunNotFoundError."""
    given, home = Path(what).expanduser(), home.expanduser()
    if given.is_dir():
        given = given.resolve()
        if (given / STORE).is_file():
            jobs = sorted(path for path in (given / "jobs").glob("*") if path.is_dir())
            if len(jobs) != 1:
                raise RunNotFoundError(
                    f"{given} holds {len(jobs)} jobs: name one by its own folder in {given / 'jobs'}"
                )
            return _kept(given / STORE, jobs[0])
        if (given.parent.parent / STORE).is_file() and given.parent.name == "jobs":
            return _kept(given.parent.parent / STORE, given)
        raise RunNotFoundError(
            f"{given} is no folder of a run: there is no {STORE} in it, nor beside its jobs"
        )
    if "/" not in what:
        for root in (home / "runs" / what, home):
            if (root / "jobs" / what).is_dir() and (root / STORE).is_file():
                return _kept(root / STORE, root / "jobs" / what)
    raise RunNotFoundError(
        f"there is no folder {what}, and no job of that id in {home}: name its folder, or its home with --home"
    )


def _kept(database: Path, folder: Path) -> Kept:
    store = Store(database)
    chains: dict[int, str] = {}
    try:
        job = store.get(folder.name)
        after, over = 0, False
        while not over:
            found, over = store.events(job.id, after)
            for stored in found:
                event = messages.event_from_message(pb.Event.FromString(stored.body))
                if event is not None and isinstance(event.kind, r.StepFinished) and event.kind.chain:
                    chains[event.kind.step] = event.kind.chain
            over = over or not found
            after = found[-1].number if found else after
    except JobNotFoundError as error:
        raise RunNotFoundError(str(error)) from None
    finally:
        store.close()
    if not chains:
        raise RunNotFoundError(f"job {job.id} has no finished step with a hash chain to compare with")
    return Kept(job, folder, chains)


@contextmanager
def _reference(kept: Kept) -> Iterator[Reference]:
    """The job at its beginning, as its workers ran it: in its code's folder, with its threads."""
    spec, before = kept.job.spec, Path.cwd()
    os.chdir(kept.job_file.parent)
    try:
        with threadpool_limits(spec.threads_per_worker):
            changes = [(each.step, dict(each.options)) for each in kept.job.options_history]
            blobs = str(kept.folder.parent.parent / "blobs")
            job = load_job(kept.job_file, spec.overrides, spec.data, blobs)
            yield Reference(job, spec.shards, spec.device, changes)
    finally:
        os.chdir(before)


def _go_to(kept: Kept, reference: Reference, finished: int) -> int:
    """Takes the nearest checkpoint of at most `finished` steps; the steps it has, 0 where there is none."""
    storage = CheckpointStorage(kept.folder / "checkpoints")
    for name in storage.names():
        try:
            checkpoint = storage.read(name) if int(name.rpartition("-")[2]) <= finished else None
        except CheckpointDamagedError:
            continue
        if checkpoint is not None and checkpoint.extra.get("chain"):
            restore_reference(checkpoint, reference)
            return checkpoint.step
    return 0


def verify(kept: Kept, first: int = 1, last: int | None = None) -> Iterator[int | Verdict]:
    """The numbers of steps as they are made, then the verdict. Raises RunNotFoundError for steps that were not kept."""
    newest = max(kept.chains)
    last = newest if last is None else last
    if not 1 <= first <= last <= newest:
        raise RunNotFoundError(
            f"steps {first} to {last} are not all there: the run told of steps 1 to {newest}"
        )
    with _reference(kept) as reference:
        began = _go_to(kept, reference, first - 1) if first > 1 else 0
        differs: int | None = None
        if began and kept.chains.get(began, reference.chain.hex()) != reference.chain.hex():
            differs = began  # the checkpoint is of another run
        while differs is None and reference.finished < last:
            try:
                reference.step()
            except NonFiniteLoss:
                differs = reference.finished + 1  # which the run has finished
                break
            step = reference.finished
            yield step
            # A step that was not told of is covered by the next one's value.
            if kept.chains.get(step, reference.chain.hex()) != reference.chain.hex():
                differs = step
        at_end = differs is None and reference.finished == reference.plan.total_steps
        sha256 = reference.parameters_sha256 if at_end else ""
        if sha256 and kept.job.parameters_sha256 not in ("", sha256):
            differs = reference.finished
        yield Verdict(first, last, began, differs, tuple(_because(kept, reference)), sha256)


def _because(kept: Kept, reference: Reference) -> list[str]:
    """What a receipt of here and now has otherwise, the bits apart."""
    receipt = kept.receipt()
    if receipt is None:
        return []
    spec = kept.job.spec
    now = receipt_of(
        reference.job,
        str(kept.job_file),
        str(kept.folder / "code"),
        spec.shards,
        spec.threads_per_worker,
        spec.device,
        {"train_data": reference.train, "eval_data": reference.held_out},
        reference.options_history,
        receipt.steps,
        receipt.parameters_sha256,
        receipt.chain,
    )
    return differences(receipt, now)


def replay(kept: Kept, step: int, picture: Path) -> Replayed:
    """Makes step `step` (from 1) again, from the nearest checkpoint, under anomaly detection.

    Draws the graph of the loss of the first shard into `picture`. Raises RunNotFoundError for a step that was not begun.
    """
    with _reference(kept) as reference:
        total = min(reference.plan.total_steps, max(kept.chains) + 1)
        if not 1 <= step <= total:
            raise RunNotFoundError(f"step {step} was not made: the run got to step {total}")
        _go_to(kept, reference, step - 1)
        while reference.finished < step - 1:
            reference.step()
        anomaly, error, metrics, same = "", "", {}, None
        _draw(reference, picture)
        try:
            with gradwire.autograd.detect_anomaly():
                reference.sums()
        except RuntimeError as wrong:
            anomaly = "\n".join([str(wrong), *getattr(wrong, "__notes__", ())])
        with np.errstate(all="ignore"):
            _, gradient, _, _ = reference.sums()
            norms = {
                s.name: float(np.linalg.norm(to_numpy(gradient[s.start : s.stop]).astype(np.float64)))
                for s in reference.layout.parameter_segments
            }
        try:
            metrics = reference.step()
            same = kept.chains[step] == reference.chain.hex() if step in kept.chains else None
        except NonFiniteLoss as wrong:
            error = str(wrong)
        return Replayed(step, metrics, norms, same, anomaly, error, picture)


def _draw(reference: Reference, picture: Path) -> None:
    """The graph of the loss of shard 0, of its first part where it runs in parts."""
    drawn: list[Any] = []
    with graph.record(reference.model) as calls:

        def draw(loss: Any) -> None:
            if not drawn:
                drawn.append(True)
                graph.save(picture, loss, calls)

        rows = reference.plan.shard_rows(reference.finished, 0)
        reference.shard_step.run(
            reference.train, reference.finished, 0, rows, reference.integers, on_loss=draw
        )
