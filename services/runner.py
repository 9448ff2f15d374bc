"""Carries the scheduler's decisions out and brings what attempts report into the store. Started by service.py.

One thread looks at the queue whenever a job is stored or ends; one thread for each job with workers follows
its attempt: starts or adopts it, pulls its reports, and starts the next attempt when its processes are lost.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from gradwire.services.errors import StorageError
from gradwire.services.home import Home
from gradwire.services.launcher import AttemptLostError, CannotPlaceError, Capacity, Handle, Launch, Launcher
from gradwire.services.records import Job, JobError
from gradwire.services.scheduler import Start, Waiting, decide
from gradwire.services.states import JobState
from gradwire.services.store import Change, StaleAttemptError, Store
from gradwire.services.writer import StoreClosedError
from gradwire.workers.reports import Report

log = logging.getLogger(__name__)
PULL_WAIT_S = 0.25
"""Longest wait for reports; a cancellation is looked at after it."""
STORAGE_RETRY_S = 1.0
RELAUNCH_PAUSE_S = (0.0, 0.2, 1.0, 5.0)
"""Seconds before the next attempt after the 1st, 2nd, … loss in a row."""


class Runner:
    """Runs the jobs of a store with a launcher, until stopped."""

    def __init__(self, store: Store, home: Home, launcher: Launcher) -> None:
        self._store = store
        self._home = home
        self._launcher = launcher
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[str, _Attempts] = {}
        self._queue: dict[str, tuple[Job, Waiting]] = {}
        self._place = 0
        self._waiting: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="runner", daemon=True)
        store.listen(self._listen)

    def start(self) -> None:
        """Begins: first the jobs that had workers when the service went down, then the queue."""
        for job in self._store.unfinished():
            if job.state.holds_workers:
                self._follow(job)
            else:
                self._enqueue(job)
        # Jobs submitted meanwhile came by the listener, into the same places.
        self._thread.start()

    def stop(self) -> None:
        """Stops looking at the queue and following; attempts are left to the launcher, jobs as they are."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            attempts = list(self._running.values())
        for each in attempts:
            each.wake()
        for each in attempts:
            each.thread.join()

    def capacity(self) -> Capacity:
        """What the launcher can ever give."""
        return self._launcher.capacity()

    def waiting_reason(self, job_id: str) -> str:
        """Why a QUEUED job waits, '' where nothing is known yet."""
        return self._waiting.get(job_id, "")

    def _listen(self, changes: Sequence[Change]) -> None:
        for change in changes:
            job = change.job
            if job.state == JobState.QUEUED:
                self._enqueue(job)
                self._wake.set()
            elif job.state.terminal:
                with self._lock:
                    self._queue.pop(job.id, None)
                self._wake.set()
            if job.cancel_requested and job.state.holds_workers:
                with self._lock:
                    attempts = self._running.get(job.id)
                if attempts is not None:
                    attempts.cancel()

    def _enqueue(self, job: Job) -> None:
        with self._lock:
            if job.id not in self._queue and job.id not in self._running:
                self._place += 1
                spec = job.spec
                waiting = Waiting(job.id, spec.priority, self._place, spec.device, spec.workers)
                self._queue[job.id] = (job, waiting)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            began = time.monotonic()
            try:
                self._decide()
            except Exception:
                log.exception("looking at the queue failed; trying again")
                self._stopping.wait(STORAGE_RETRY_S)
                continue
            # Thousands of submits a second must not mean as many looks at a long queue: at most a tenth of the time.
            self._stopping.wait(9 * (time.monotonic() - began))
            self._wake.wait()

    def _decide(self) -> None:
        with self._lock:
            queue = [waiting for _, waiting in self._queue.values()]
            held = [each.job.spec for each in self._running.values()]
        used = Capacity(
            cpu=sum(spec.workers for spec in held if spec.device == "cpu"),
            cuda=sum(spec.workers for spec in held if spec.device == "cuda"),
        )
        waiting = {}
        for decision in decide(queue, self._launcher.capacity(), used):
            if isinstance(decision, Start):
                with self._lock:
                    job, _ = self._queue.pop(decision.job_id, (None, None))
                if job is not None:
                    self._follow(job)
            else:
                waiting[decision.job_id] = decision.reason
        self._waiting = waiting

    def _follow(self, job: Job) -> None:
        attempts = _Attempts(job, self._store, self._home, self._launcher, self._stopping, self._ended)
        with self._lock:
            if job.id in self._running:
                return
            self._running[job.id] = attempts
        attempts.thread.start()

    def _ended(self, job_id: str) -> None:
        with self._lock:
            self._running.pop(job_id, None)
        self._wake.set()


class _Attempts:
    """One job from its first attempt to its end, in a thread of its own."""

    def __init__(
        self,
        job: Job,
        store: Store,
        home: Home,
        launcher: Launcher,
        stopping: threading.Event,
        ended: Callable[[str], None],
    ) -> None:
        self.job = job
        self.thread = threading.Thread(target=self._run, name=f"job-{job.id}", daemon=True)
        self._store = store
        self._home = home
        self._launcher = launcher
        self._stopping = stopping
        self._ended = ended
        self._losses = 0
        self._step_at_loss = -1
        # Set when the thread has something to look at besides reports: a cancellation or the service's stop.
        self._look = threading.Event()
        if job.cancel_requested:
            self._look.set()

    def cancel(self) -> None:
        """Says that the store has marked the job to be stopped."""
        self._look.set()

    def wake(self) -> None:
        """Says that the service stops."""
        self._look.set()

    def _run(self) -> None:
        try:
            self._attempts()
        except StaleAttemptError as error:
            log.warning("%s: left to the newer one", error)
        except StoreClosedError:
            log.debug("job %s: the store was closed", self.job.id)
        except Exception as error:
            log.exception("job %s: following it failed", self.job.id)
            self._fail(error)
        finally:
            self._ended(self.job.id)

    def _attempts(self) -> None:
        handle = self._adopt() if self.job.state.holds_workers else None
        while not self.job.state.terminal and not self._stopping.is_set():
            if handle is None:
                handle = self._launch()
                continue
            try:
                self._pull(handle)
            except AttemptLostError as error:
                log.warning("job %s, attempt %d: %s", self.job.id, self.job.attempt, error)
                handle.stop("lost")
                self._lose(str(error))
                handle = None

    def _adopt(self) -> Handle | None:
        launch = Launch.of(self.job, self._home.job(self.job.id))
        handle = self._launcher.adopt(launch)
        if handle is not None:
            log.info("job %s: attempt %d goes on", self.job.id, self.job.attempt)
        return handle

    def _launch(self) -> Handle | None:
        if self.job.cancel_requested:
            self._store_end(JobState.CANCELLED, "cancelled")
            return None
        if self.job.state == JobState.QUEUED:
            reason = "there is room for it"
        else:
            reason = "the service was restarted; going on from the newest checkpoint"
        self._home.write_code(self.job.id, self._store.code(self.job.id))
        self.job = self._store.begin_attempt(self.job.id, reason).result().job
        if self.job.state.terminal:
            return None
        launch = Launch.of(self.job, self._home.job(self.job.id))
        try:
            return self._launcher.launch(launch)
        except CannotPlaceError as error:
            text = str(error)
            self._store_end(JobState.FAILED, text, JobError("CANNOT_PLACE", text))
        except Exception as error:
            log.exception("job %s: starting attempt %d failed", self.job.id, self.job.attempt)
            self._lose(f"its workers could not be started: {error}")
        return None

    def _pull(self, handle: Handle) -> None:
        """Brings reports into the store until the job ends, the service stops or the attempt is lost."""
        after, incarnation, cancelled = 0, -1, False
        while not self._stopping.is_set():
            if self._look.is_set() and not cancelled:
                self._look.clear()
                self.job = self._store.get(self.job.id)
                if self.job.cancel_requested:
                    cancelled = True
                    handle.stop("cancelled by its owner")
            try:
                came, numbered = handle.reports(after, 0.0 if cancelled else PULL_WAIT_S)
            except AttemptLostError:
                if not cancelled:
                    raise
                came, numbered = incarnation, ()
            if came != incarnation and incarnation != -1:
                after, incarnation = 0, came
                continue
            incarnation = came
            if numbered:
                self._take(incarnation, numbered)
                after = numbered[-1][0]
            if not self.job.state.terminal and cancelled and not numbered:
                self._store_end(JobState.CANCELLED, "cancelled")
            if self.job.state.terminal:
                # A failed rank's fellows may still run.
                handle.stop("the job has ended")
                return

    def _take(self, incarnation: int, numbered: Sequence[tuple[int, Report]]) -> None:
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
            return

    def _lose(self, message: str) -> None:
        self._losses = self._losses + 1 if self.job.step == self._step_at_loss else 1
        self._step_at_loss = self.job.step
        self.job = self._store.lose_attempt(self.job.id, self.job.attempt, message).result().job
        if not self.job.state.terminal:
            self._stopping.wait(RELAUNCH_PAUSE_S[min(self._losses, len(RELAUNCH_PAUSE_S)) - 1])

    def _store_end(self, state: JobState, reason: str, error: JobError | None = None) -> None:
        self.job = self._store.end(self.job.id, self.job.attempt, state, reason, error).result().job

    def _fail(self, problem: Exception) -> None:
        text = f"the service could not go on with it: {problem}"
        try:
            self._store_end(JobState.FAILED, text, JobError("INTERNAL", text))
        except Exception:
            log.exception("job %s: its failure could not be stored", self.job.id)
