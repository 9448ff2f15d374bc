"""The controller of one attempt of a job: a Ray actor that owns the worker group and brings it back when a worker dies.

It keeps the workers' reports, numbered from 1, until the job service has taken them: a service that is restarted goes
on where it was, and training goes on without it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path

from gradwire.services.optimizer import SliceOptimizer
from gradwire.workers import checkpoint as checkpoints
from gradwire.workers.group import GroupLostError, NoRoomError, Slots, WorkerGroup
from gradwire.workers.reports import (
    CheckpointWritten,
    EvaluationFinished,
    Failed,
    Finished,
    Report,
    Started,
    StepFinished,
    Warned,
    report_of_step,
)
from gradwire.workers.worker import End, RankEnded, WorkerSpec

__all__ = ["Controller"]

BATCH = 1000
FOLLOW_S = 0.5
STOP_GRACE_S = 3.0
LOSSES_LIMIT = 10
"""Losses since the newest checkpoint, after which the job is given up. Only a checkpoint is progress: the steps after it
are lost with the workers, and how many of them were told in the instant before is chance."""
WAITING_LIMIT = 200_000
"""Reports kept while no service takes them; then training waits for one, and loses nothing."""


class Controller:
    """Runs `world_size` workers to the job's end. A plain class; `ray_launcher` puts it on Ray."""

    def __init__(
        self, spec: WorkerSpec, world_size: int, slots: Slots, losses_limit: int = LOSSES_LIMIT
    ) -> None:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves all GPUs visible to an actor that asked for none
        self._spec, self._world_size, self._slots = spec, world_size, slots
        self._losses_limit = losses_limit
        self._reports: deque[tuple[int, Report]] = deque()
        self._told = 0
        self._changed = threading.Condition()
        self._stop_reason: str | None = None
        self._done = threading.Event()
        self._generation = 0
        self._newest: dict[type[Report], int] = {}
        """The step up to which steps, evaluations and checkpoints were told."""
        self._thread = threading.Thread(target=self._run, name="controller", daemon=True)
        self._thread.start()

    def reports(self, after: int, wait_s: float) -> tuple[int, list[tuple[int, Report]]]:
        """(1, reports numbered above `after`), waiting at most `wait_s` for the first; those up to `after` are forgotten."""
        deadline = time.monotonic() + wait_s
        with self._changed:
            while self._reports and self._reports[0][0] <= after:
                self._reports.popleft()
            self._changed.notify_all()
            while not self._reports and not self._done.is_set() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return 1, [self._reports[i] for i in range(min(BATCH, len(self._reports)))]

    def over(self) -> bool:
        """Whether there will be no further report."""
        return self._done.is_set()

    def stop(self, reason: str) -> None:
        """Ends the workers and returns when they are gone."""
        self._stop_reason = reason
        self._done.wait(2 * STOP_GRACE_S)

    def _tell(self, report: Report) -> None:
        with self._changed:
            while len(self._reports) >= WAITING_LIMIT and self._stop_reason is None:
                self._changed.wait(FOLLOW_S)
            self._told += 1
            self._reports.append((self._told, report))
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._generations()
        except NoRoomError as error:
            self._tell(Failed("CANNOT_PLACE", str(error), ""))
        except Exception as error:
            self._tell(Failed("INTERNAL", f"the controller failed: {type(error).__name__}: {error}", ""))
        finally:
            self._done.set()
            with self._changed:
                self._changed.notify_all()

    def _generations(self) -> None:
        """Forms the group again, from the newest valid checkpoint, until the job has ended."""
        resume, reached = self._newest_checkpoint()
        losses = 0
        while self._stop_reason is None:
            self._generation += 1
            try:
                with WorkerGroup(
                    self._spec,
                    self._world_size,
                    self._generation,
                    SliceOptimizer,
                    None if resume is None else str(resume),
                    self._slots,
                ) as group:
                    if self._followed(group):
                        return
                    lost = "a worker lost the others"
            except GroupLostError as error:
                lost = str(error)
            if self._stop_reason is not None:
                return
            before = reached
            resume, reached = self._newest_checkpoint()
            losses = 1 if reached > before else losses + 1
            self._tell(Warned("WORKER_LOST", f"{lost}; going on from the newest checkpoint"))
            if losses > self._losses_limit:
                text = f"workers were lost {losses} times without a new checkpoint between: {lost}"
                self._tell(Failed("WORKERS_LOST", text, ""))
                return

    def _newest_checkpoint(self) -> tuple[Path | None, int]:
        """The newest valid checkpoint and its step, when no worker lives; what led to it is told if it was not yet."""
        folder = Path(self._spec.checkpoints)
        checkpoints.clear_unfinished(folder)
        path = checkpoints.newest_valid(folder, lambda text: self._tell(Warned("CHECKPOINT_DAMAGED", text)))
        if path is None:
            return None, 0
        saved, recent = checkpoints.summary(path)
        for fields in recent:
            self._tell_once(report_of_step(fields))
        self._tell_once(CheckpointWritten(saved.step, str(path), saved.parameters_sha256))
        return path, saved.step

    def _tell_once(self, report: StepFinished | EvaluationFinished | CheckpointWritten) -> None:
        """Tells it unless it was told: a recovery makes some steps again, with the same bits."""
        if report.step > self._newest.get(type(report), 0):
            self._newest[type(report)] = report.step
            self._tell(report)

    def _followed(self, group: WorkerGroup) -> bool:
        """Passes reports on until every rank has ended. True where that was the job's end, False to form the group again."""
        ended: dict[int, RankEnded] = {}
        failure: Failed | None = None
        finished: Finished | None = None
        asked_to_stop = 0.0
        interrupted: RankEnded | None = None
        interrupted_at = 0.0
        while len(ended) < group.world_size:
            if interrupted is not None and time.monotonic() - interrupted_at > STOP_GRACE_S:
                break  # who still says nothing hangs, or its host does
            if self._stop_reason is not None and not asked_to_stop:
                asked_to_stop = time.monotonic()
                group.stop(self._stop_reason)
            if failure is not None and not asked_to_stop:
                asked_to_stop = time.monotonic()
            if asked_to_stop and time.monotonic() - asked_to_stop > STOP_GRACE_S:
                break
            try:
                for rank, reports, end in group.follow(FOLLOW_S if not asked_to_stop else 0.1):
                    for report in reports:
                        if isinstance(report, Failed):
                            failure = failure or report
                        elif isinstance(report, Finished):
                            finished = report
                        elif isinstance(report, StepFinished | EvaluationFinished | CheckpointWritten):
                            self._tell_once(report)
                        elif not isinstance(report, Started) or rank == 0:
                            self._tell(report)
                    if end is not None:
                        ended[rank] = end
                        if end.end is End.INTERRUPTED and interrupted is None:
                            interrupted, interrupted_at = end, time.monotonic()
            except GroupLostError:
                if failure is None and finished is None and self._stop_reason is None:
                    raise
                break
        if interrupted is not None and failure is None and self._stop_reason is None:
            # Most were only told by others; the one that missed a rank itself knows which.
            first = next((e for e in ended.values() if e.lost is not None), interrupted)
            raise GroupLostError(first.lost, first.message)
        # Last, so that all that was printed before stands before it.
        if failure is not None:
            self._tell(failure)
        elif finished is not None and all(e.end is End.FINISHED for e in ended.values()):
            self._tell(finished)
        return failure is not None or finished is not None or self._stop_reason is not None
