"""Follows one job with workers: starts or adopts its attempt, brings its reports into the store, steers it. Run by runner.py.

What the job's owner asks for stands in its row, what the scheduler decided in `nodes` and `leaving`; the thread tells the
attempt whatever differs from what it was told, so that a service that was killed between an answer and its execution makes up for it.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradwire.services.archives import ArchiveError
from gradwire.services.checkpoints import bytes_in
from gradwire.services.demand import left_s, shape_of, worker_range
from gradwire.services.errors import StorageError
from gradwire.services.home import Home
from gradwire.services.launcher import (
    AttemptGoneError,
    AttemptLostError,
    CannotPlaceError,
    Handle,
    Launch,
    Launcher,
)
from gradwire.services.records import Job, JobError
from gradwire.services.scheduling import Limit, Policy, Running
from gradwire.services.scheduling.limits import Cause
from gradwire.services.states import JobState
from gradwire.services.store import StaleAttemptError, Store
from gradwire.services.writer import StoreClosedError
from gradwire.workers.reports import Formed, Report, Started, StepFinished, Warned

log = logging.getLogger(__name__)
PULL_WAIT_S = 0.25
"""Longest wait for reports; what the owner asks for is looked at after it."""
STORAGE_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Means:
    """What every attempt is followed with. `ended` is told the job's id at the end, `look` makes the runner look at the queue."""

    store: Store
    home: Home
    launcher: Launcher
    policy: Policy
    stopping: threading.Event
    ended: Callable[[str], None]
    look: threading.Event


@dataclass(slots=True)
class _Told:
    """What an attempt was told: its number of workers, the newest request for options, a pause. And the step it has said."""

    workers: int
    options: int = 0
    pause: bool = False
    step: int = -1


class Attempts:
    """One job from its first attempt until it gives its workers back, in a thread of its own."""

    def __init__(
        self, job: Job, nodes: Sequence[str], level: int, now: float, means: Means, held: Sequence[str] = ()
    ) -> None:
        """nodes: where its ranks are to be, by the scheduler's decision of this `level`, or where they were found.

        held: where workers may still be, if those are more.
        """
        self.job = job
        self.nodes = tuple(nodes)
        self.level = level
        self.leaving = job.gives_way
        self.limit: Limit | None = None
        self._means, self._store, self._stopping = means, means.store, means.stopping
        self._newest = job
        self._begun = job.state.holds_workers
        self._held = tuple(held) or self.nodes
        self._since = now if job.attempt_time is None else job.attempt_time.timestamp()
        self._resized_at = self._since
        self._place_by: float | None = None
        self._well = True
        self._gang = worker_range(job)[0]
        self._told = _Told(job.workers)
        self.thread = threading.Thread(target=self._run, name=f"job-{job.id}", daemon=True)
        # Set when the thread has something to look at besides reports: what its owner asks for, or the service's stop.
        self._look = threading.Event()
        self._look.set()

    # What the runner sees and decides.

    @property
    def newest(self) -> Job:
        """Its row as the store told last."""
        return self._newest

    @property
    def settled(self) -> bool:
        """True where its group is what it was told to be."""
        newest = self._newest
        return newest.state == JobState.RUNNING and newest.workers == len(self.nodes)

    def running(self) -> Running | None:
        """Itself as the scheduler sees it; None where it is about to give its workers back."""
        job = self._newest
        leaves = job.cancel_requested or job.pause_requested or self.leaving or self.limit is not None
        if leaves or (self._begun and not job.state.holds_workers):
            return None
        minimum, maximum = worker_range(job)
        ends_by = None
        if job.attempt_time is not None and (left := left_s(job)) is not None:
            ends_by = job.attempt_time.timestamp() + left
        return Running(
            job_id=job.id,
            owner=job.owner,
            order=job.order,
            shape=shape_of(job.spec),
            nodes=self.nodes,
            minimum=minimum,
            maximum=maximum,
            priority=job.spec.priority,
            level=self.level,
            started_at=self._since,
            resized_at=self._resized_at,
            ends_by=ends_by,
            settled=self.settled,
            place_by=self._place_by if job.state == JobState.STARTING else None,
            storage_bytes=job.spec.storage_bytes,
            one_host=job.spec.one_host,
        )

    def held(self) -> tuple[str, ...]:
        """The nodes, by rank, that its workers may still be on: more than `nodes` until a group of fewer is formed."""
        if self.settled or len(self.nodes) > len(self._held):
            self._held = self.nodes
        return self._held

    def found_at(self, nodes: Sequence[str]) -> None:
        """Where its workers really are."""
        if self.settled and len(nodes) == len(self.nodes):
            self.nodes = tuple(nodes)

    def allow(self, nodes: Sequence[str], now: float) -> None:
        """Makes it go on with one worker on each of these nodes."""
        self.held()
        self.nodes = tuple(nodes)
        self._resized_at = now
        self._look.set()

    def give_way(self) -> None:
        """Makes it leave a checkpoint, give its workers back and go into the queue."""
        self.leaving = True
        self._look.set()

    def stop_by(self, limit: Limit) -> None:
        """Ends its attempt because of a limit."""
        self.limit = limit
        self._look.set()

    def steer(self, job: Job) -> bool:
        """Takes the newest row of the job from the store. True where the runner is to look at the queue."""
        before, self._newest = self._newest, job
        if (
            job.cancel_requested
            or job.pause_requested
            or job.wanted_options
            or job.wanted_workers != before.wanted_workers
        ):
            self._look.set()
        return (
            (job.wanted_workers, job.spec.priority) != (before.wanted_workers, before.spec.priority)
            or (job.pause_requested, job.cancel_requested)
            != (before.pause_requested, before.cancel_requested)
            or (job.state == JobState.RUNNING and (job.state, job.workers) != (before.state, before.workers))
        )

    def look(self) -> None:
        """Makes the thread look whether the service stops."""
        self._look.set()

    # The thread.

    def _run(self) -> None:
        try:
            while not self._followed():
                if self._stopping.wait(STORAGE_RETRY_S):
                    return
        except StaleAttemptError as error:
            log.warning("%s: left to the newer one", error)
        except StoreClosedError:
            log.debug("job %s: the store was closed", self.job.id)
        except Exception as error:
            log.exception("job %s: following it failed", self.job.id)
            self._fail(error)
        finally:
            self._means.ended(self.job.id)

    def _followed(self) -> bool:
        """Follows it to its end; False where the store did not answer. What was begun is found, or told, again."""
        try:
            if not self._well:
                self.job, self._well = self._store.get(self.job.id), True
            self._attempts()
            self._measure()
        except StorageError as error:
            log.error("job %s: %s Trying again.", self.job.id, error)
            self._well = False
        return self._well

    def _attempts(self) -> None:
        handle = self._adopt() if self.job.state.holds_workers else None
        while not self._stopping.is_set():
            if handle is None:
                handle = self._launch()
            else:
                try:
                    self._pull(handle)
                except AttemptGoneError:
                    # What it had reported while nobody listened is in the store: the next attempt goes on after that.
                    handle = None
                except AttemptLostError as error:
                    log.warning("job %s, attempt %d: %s", self.job.id, self.job.attempt, error)
                    handle.stop("lost")
                    self._lose(str(error))
                    handle = None
            if not self.job.state.holds_workers:
                return

    def _adopt(self) -> Handle | None:
        handle = self._means.launcher.adopt(self._the_launch())
        if handle is not None:
            log.info("job %s: attempt %d goes on", self.job.id, self.job.attempt)
            # Whether one that is being resized was told so is not known: it is told again.
            resizing = self.job.state == JobState.RESIZING
            self._told = _Told(0 if resizing else self.job.workers)
            if self.job.state == JobState.STARTING:
                self._place_by = time.time() + self._means.policy.gang_deadline_s
        return handle

    def _the_launch(self) -> Launch:
        job = self.job
        return Launch.of(job, self._means.home.job(job.id), self._means.policy.gang_deadline_s)

    def _launch(self) -> Handle | None:
        if self.job.state == JobState.QUEUED:
            reason = "there is room for it"
        else:
            reason = "the service was restarted; going on from the newest checkpoint"
            if not self._wait_for_retry():
                return None
        damage = ""
        try:
            code, archive = self._store.code(self.job.id), self.job.spec.code_archive
            self._means.home.write_code(self.job.id, code, archive)
        except ArchiveError as error:
            damage = f"its code archive {error}"
        started = self._store.begin_attempt(self.job.id, reason, len(self.nodes), self.level)
        self.job = started.result().job
        if self.job.last_event >= self._newest.last_event:
            self._newest = self.job  # a shared store tells its changes a moment later
        self._begun = True
        if not self.job.state.holds_workers:
            return None
        if damage:
            self._store_end(JobState.FAILED, damage, JobError("CODE_DAMAGED", damage))
            return None
        self.nodes = self.nodes[: self.job.workers]
        self._gang = worker_range(self.job)[0]
        self._told = _Told(self.job.workers)
        self._place_by = time.time() + self._means.policy.gang_deadline_s
        try:
            return self._means.launcher.launch(self._the_launch())
        except CannotPlaceError as error:
            text = str(error)
            self._store_end(JobState.FAILED, text, JobError("CANNOT_PLACE", text))
        except Exception as error:
            log.exception("job %s: starting attempt %d failed", self.job.id, self.job.attempt)
            self._lose(f"its workers could not be started: {error}")
        return None

    def _wait_for_retry(self) -> bool:
        """Sits out the pause after a loss; False where the job is to give its workers back instead."""
        while not self._stopping.is_set():
            due = self.job.not_before
            left = 0.0 if due is None else due.timestamp() - time.time()
            self._look.clear()
            if self.limit is not None:
                self._end_stopped()
                return False
            if self.leaving:
                self._end_attempt(Cause.PREEMPTION, "its workers were needed for a job before it")
                return False
            self.job = self._store.get(self.job.id)
            if left <= 0 or self.job.cancel_requested or self.job.pause_requested:
                return True
            self._look.wait(left)
        return False

    def _pull(self, handle: Handle) -> None:
        """Brings reports into the store until the attempt ends, the service stops or the attempt is lost."""
        after, incarnation, stopped = 0, -1, False
        while not self._stopping.is_set():
            if self._look.is_set():
                self._look.clear()
                self.job = self._store.get(self.job.id)
            if not stopped and (self.job.cancel_requested or self.limit is not None):
                stopped = True
                handle.stop("cancelled by its owner" if self.job.cancel_requested else str(self.limit))
            try:
                came, numbered = handle.reports(after, 0.0 if stopped else PULL_WAIT_S)
            except AttemptLostError:
                if not stopped:
                    raise
                came, numbered = incarnation, ()
            if came != incarnation and incarnation != -1:
                after, incarnation = 0, came
                continue
            incarnation = came
            if numbered:
                self._take(incarnation, numbered)
                after = numbered[-1][0]
            if stopped and not numbered and self.job.state.holds_workers:
                self._end_stopped()
            if not self.job.state.holds_workers:
                # A failed rank's fellows may still run.
                handle.stop("the attempt has ended")
                return
            if not stopped:
                self._carry_out(handle)

    def _end_stopped(self) -> None:
        if self.limit is None or self.job.cancel_requested:
            self._store_end(JobState.CANCELLED, "cancelled")
        elif self.limit == Limit.WALL_TIME:
            self._end_attempt(Cause.WALL_TIME, self._wall_time_words())
        else:
            seconds = self._means.policy.gang_deadline_s
            self._end_attempt(Cause.GANG_DEADLINE, f"its workers did not come up within {seconds:g} s")

    def _wall_time_words(self) -> str:
        limits, job = self.job.spec.limits, self.job
        spent = job.run_seconds + (0.0 if job.attempt_time is None else time.time() - self._since_attempt())
        if 0 < limits.job_seconds <= spent:
            return f"it has had workers for {spent:.1f} s; limits.job_seconds is {limits.job_seconds:g}: raise it, or ask for more workers"
        return (
            f"its attempt has had workers for {limits.attempt_seconds:g} s, which is limits.attempt_seconds: raise it, or "
            "allow WALL_TIME retries, which go on from the newest checkpoint"
        )

    def _since_attempt(self) -> float:
        began = self.job.attempt_time
        return time.time() if began is None else began.timestamp()

    def _carry_out(self, handle: Handle) -> None:
        """Passes on what was decided and the attempt was not told yet. An owner's wish stays in the row until it holds."""
        job, told = self.job, self._told
        if self.leaving and not job.gives_way:
            self.job = job = self._store.give_way(job.id, job.attempt).result().job
        if (job.pause_requested or self.leaving) and not told.pause:
            handle.pause()
            told.pause = True
        if told.pause:
            return
        # Steps that were told once are made again with the same options: others wait until those are behind it.
        if job.wanted_options and told.options < job.options_number and told.step >= job.step:
            handle.update(job.wanted_options, job.options_number)
            told.options = job.options_number
        target = len(self.nodes)
        if job.state not in (JobState.RUNNING, JobState.RESIZING) or target == told.workers:
            return
        if target < self._gang and self._means.launcher.whole_gangs:
            self.leaving = True
            self._look.set()
            return
        try:
            self.job = self._store.begin_resize(job.id, job.attempt, target).result().job
        except StorageError as error:
            log.error("job %s: %s Trying again.", job.id, error)
            return
        handle.resize(target)
        told.workers = target

    def _take(self, incarnation: int, numbered: Sequence[tuple[int, Report]]) -> None:
        no_room = False
        for _, report in numbered:
            if isinstance(report, Started) and self.job.step == 0:
                self._told.step = max(self._told.step, 0)
            elif isinstance(report, Formed | StepFinished):
                self._told.step = max(self._told.step, report.step)
            elif isinstance(report, Warned) and report.reason == "PAUSE_FAILED":
                self._told.pause = self.leaving = False
            no_room = no_room or (isinstance(report, Warned) and report.reason == "NO_ROOM")
        while True:
            try:
                change = self._store.take_reports(
                    self.job.id, self.job.attempt, incarnation, numbered
                ).result()
            except StorageError as error:
                # The reports stay with the controller until the next one is asked for: nothing is lost by waiting.
                log.error("job %s: %s Trying again.", self.job.id, error)
                if self._stopping.wait(STORAGE_RETRY_S):
                    return
                continue
            self.job = change.job
            break
        if no_room and 0 < self.job.workers < len(self.nodes):
            # The scheduler gave what the cluster does not have: it decides anew.
            self.nodes = self.nodes[: self.job.workers]
            self._means.look.set()

    def _lose(self, message: str) -> None:
        self.job = self._store.lose_attempt(self.job.id, self.job.attempt, message).result().job

    def _end_attempt(self, cause: Cause, message: str) -> None:
        self.job = self._store.end_attempt(self.job.id, self.job.attempt, cause, message).result().job

    def _store_end(self, state: JobState, reason: str, error: JobError | None = None) -> None:
        self.job = self._store.end(self.job.id, self.job.attempt, state, reason, error).result().job

    def _measure(self) -> None:
        """Keeps how much its checkpoints take, for its owner's quota."""
        if not self._stopping.is_set():
            count = bytes_in(self._means.home.checkpoints(self.job.id))
            if count != self.job.stored_bytes:
                self._store.set_stored_bytes(self.job.id, count).result()

    def _fail(self, problem: Exception) -> None:
        text = f"the service could not go on with it: {problem}"
        try:
            self._store_end(JobState.FAILED, text, JobError("INTERNAL", text))
        except Exception:
            log.exception("job %s: its failure could not be stored", self.job.id)
