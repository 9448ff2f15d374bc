"""Follows one job with workers: starts or adopts its attempt, brings its reports into the store, steers it. Run by runner.py.

What the job's owner asks for stands in its row; the thread tells the attempt whatever differs from what it was
told, so that a service that was killed between an answer and its execution makes up for it.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
from gradwire.services.states import JobState
from gradwire.services.store import StaleAttemptError, Store
from gradwire.services.writer import StoreClosedError
from gradwire.workers.reports import Formed, Report, Started, StepFinished, Warned

log = logging.getLogger(__name__)
PULL_WAIT_S = 0.25
"""Longest wait for reports; what the owner asks for is looked at after it."""
STORAGE_RETRY_S = 1.0
RELAUNCH_PAUSE_S = (0.0, 0.2, 1.0, 5.0)
"""Seconds before the next attempt after the 1st, 2nd, … loss in a row."""


@dataclass(slots=True)
class _Told:
    """What an attempt was told: its number of workers, the newest request for options, a pause. And the step it has said."""

    workers: int
    options: int = 0
    pause: bool = False
    step: int = -1


class Attempts:
    """One job from its first attempt to its end, in a thread of its own."""

    def __init__(
        self,
        job: Job,
        allowed: int,
        place: int,
        store: Store,
        home: Home,
        launcher: Launcher,
        stopping: threading.Event,
        ended: Callable[[str], None],
        fewer: threading.Event,
    ) -> None:
        """`allowed`: workers it may have; `fewer` is set when it needs less of them. `place` is its place in line."""
        self.job, self.allowed, self.place = job, allowed, place
        self._newest = job
        self.thread = threading.Thread(target=self._run, name=f"job-{job.id}", daemon=True)
        self._store = store
        self._home = home
        self._launcher = launcher
        self._stopping = stopping
        self._ended = ended
        self._fewer = fewer
        self._told = _Told(job.workers)
        self._losses = 0
        self._step_at_loss = -1
        # Set when the thread has something to look at besides reports: what its owner asks for, or the service's stop.
        self._look = threading.Event()
        self._look.set()

    @property
    def wanted(self) -> int:
        """Workers it is to have, as far as the store has told."""
        newest = self._newest
        leaves = newest.cancel_requested or newest.pause_requested
        return self.allowed if leaves or not newest.state.holds_workers else newest.wanted_workers

    def steer(self, job: Job) -> bool:
        """Takes the newest row of the job from the store. True where the runner is to look whether it can grow."""
        before, self._newest = self._newest, job
        if (
            job.cancel_requested
            or job.pause_requested
            or job.wanted_options
            or job.wanted_workers != job.workers
        ):
            self._look.set()
        return job.wanted_workers != before.wanted_workers or job.pause_requested != before.pause_requested

    def allow(self, workers: int) -> None:
        """Lets it have so many workers."""
        self.allowed = workers
        self._look.set()

    def look(self) -> None:
        """Makes the thread look whether the service stops."""
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
        launch = Launch.of(self.job, self._home.job(self.job.id))
        handle = self._launcher.adopt(launch)
        if handle is not None:
            log.info("job %s: attempt %d goes on", self.job.id, self.job.attempt)
            # Whether one that is being resized was told so is not known: it is told again.
            resizing = self.job.state == JobState.RESIZING
            self._told = _Told(0 if resizing else self.job.workers)
        return handle

    def _launch(self) -> Handle | None:
        if self.job.state == JobState.QUEUED:
            reason = "there is room for it"
        else:
            reason = "the service was restarted; going on from the newest checkpoint"
        self._home.write_code(self.job.id, self._store.code(self.job.id))
        self.job = self._store.begin_attempt(self.job.id, reason, self.allowed).result().job
        if not self.job.state.holds_workers:
            return None
        self._told = _Told(self.job.workers)
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
        """Brings reports into the store until the attempt ends, the service stops or the attempt is lost."""
        after, incarnation, cancelled = 0, -1, False
        while not self._stopping.is_set():
            if self._look.is_set():
                self._look.clear()
                self.job = self._store.get(self.job.id)
            if self.job.cancel_requested and not cancelled:
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
            if cancelled and not numbered and self.job.state.holds_workers:
                self._store_end(JobState.CANCELLED, "cancelled")
            if not self.job.state.holds_workers:
                # A failed rank's fellows may still run.
                handle.stop("the attempt has ended")
                return
            if not cancelled:
                self._carry_out(handle)

    def _carry_out(self, handle: Handle) -> None:
        """Passes on what the owner asks for and the attempt was not told yet. The wish stays in the row until it holds."""
        job, told = self.job, self._told
        if job.pause_requested and not told.pause:
            handle.pause()
            told.pause = True
        if told.pause:
            return
        # Steps that were told once are made again with the same options: others wait until those are behind it.
        if job.wanted_options and told.options < job.options_number and told.step >= job.step:
            handle.update(job.wanted_options, job.options_number)
            told.options = job.options_number
        wanted = job.wanted_workers
        going = job.state in (JobState.RUNNING, JobState.RESIZING)
        if going and wanted != told.workers and wanted <= self.allowed:
            try:
                self.job = self._store.begin_resize(job.id, job.attempt, wanted).result().job
            except StorageError as error:
                log.error("job %s: %s Trying again.", job.id, error)
                return
            handle.resize(wanted)
            told.workers = wanted

    def _take(self, incarnation: int, numbered: Sequence[tuple[int, Report]]) -> None:
        for _, report in numbered:
            if isinstance(report, Started) and self.job.step == 0:
                self._told.step = max(self._told.step, 0)
            elif isinstance(report, Formed | StepFinished):
                self._told.step = max(self._told.step, report.step)
            elif isinstance(report, Warned) and report.reason == "PAUSE_FAILED":
                self._told.pause = False
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
        job = self.job
        if job.state == JobState.RUNNING and job.workers == job.wanted_workers < self.allowed:
            self.allowed = job.workers
            self._fewer.set()

    def _lose(self, message: str) -> None:
        self._losses = self._losses + 1 if self.job.step == self._step_at_loss else 1
        self._step_at_loss = self.job.step
        self.job = self._store.lose_attempt(self.job.id, self.job.attempt, message).result().job
        if self.job.state.holds_workers:
            self._stopping.wait(RELAUNCH_PAUSE_S[min(self._losses, len(RELAUNCH_PAUSE_S)) - 1])

    def _store_end(self, state: JobState, reason: str, error: JobError | None = None) -> None:
        self.job = self._store.end(self.job.id, self.job.attempt, state, reason, error).result().job

    def _fail(self, problem: Exception) -> None:
        text = f"the service could not go on with it: {problem}"
        try:
            self._store_end(JobState.FAILED, text, JobError("INTERNAL", text))
        except Exception:
            log.exception("job %s: its failure could not be stored", self.job.id)
