"""Carries the scheduler's decisions out: which job gets workers, and how many. Started by service.py.

One thread looks at the queue whenever a job is stored, steered or ends; each job with workers is followed by a
thread of its own (attempts.py).
"""

import logging
import threading
import time
from collections.abc import Sequence

from gradwire.services.attempts import STORAGE_RETRY_S, Attempts
from gradwire.services.home import Home
from gradwire.services.launcher import Capacity, Launcher
from gradwire.services.records import Job
from gradwire.services.scheduler import Start, Waiting, decide
from gradwire.services.states import JobState
from gradwire.services.store import Change, Store

log = logging.getLogger(__name__)


class Runner:
    """Runs the jobs of a store with a launcher, until stopped."""

    def __init__(self, store: Store, home: Home, launcher: Launcher) -> None:
        self._store = store
        self._home = home
        self._launcher = launcher
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[str, Attempts] = {}
        self._queue: dict[str, tuple[Job, Waiting]] = {}
        self._place = 0
        self._waiting: dict[str, str] = {}
        self._thread = threading.Thread(target=self._run, name="runner", daemon=True)
        store.listen(self._listen)

    def start(self) -> None:
        """Begins: first the jobs that had workers when the service went down, then the queue."""
        unfinished = self._store.unfinished()
        self._launcher.sweep({job.id: job.attempt for job in unfinished if job.state.holds_workers})
        for job in unfinished:
            if job.state.holds_workers:
                # One that is being resized was given room for it; one that waits to grow was not.
                resizing = job.state == JobState.RESIZING
                self._follow(job, max(job.workers, job.wanted_workers if resizing else 0), 0)
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
            each.look()
        for each in attempts:
            each.thread.join()

    def capacity(self) -> Capacity:
        """What the launcher can ever give."""
        return self._launcher.capacity()

    def follows(self, job_id: str) -> bool:
        """Whether something of the job may still run here."""
        with self._lock:
            return job_id in self._running

    def waiting_reason(self, job_id: str) -> str:
        """Why a job waits to start or to grow, '' where it does not or nothing is known yet."""
        return self._waiting.get(job_id, "")

    def _listen(self, changes: Sequence[Change]) -> None:
        for change in changes:
            job = change.job
            if job.state == JobState.QUEUED:
                self._enqueue(job)
                self._wake.set()
            elif not job.state.holds_workers:
                with self._lock:
                    self._queue.pop(job.id, None)
                self._wake.set()
            with self._lock:
                attempts = self._running.get(job.id)
            if attempts is not None and attempts.steer(job):
                self._wake.set()

    def _enqueue(self, job: Job) -> None:
        """Puts a job in the queue, or keeps its place there with what it is to have now."""
        with self._lock:
            if job.id in self._running:
                return  # looked at again when its last attempt has given its workers back
            if job.id in self._queue:
                place = self._queue[job.id][1].sequence
            else:
                self._place += 1
                place = self._place
            spec = job.spec
            waiting = Waiting(job.id, spec.priority, place, spec.device, job.wanted_workers)
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
            running = list(self._running.values())
        used = {"cpu": 0, "cuda": 0}
        for each in running:
            job, held, wanted = each.job, each.allowed, each.wanted
            used[job.spec.device] += held
            if wanted > held:
                queue.append(Waiting(job.id, job.spec.priority, each.place, job.spec.device, wanted, held))
        waiting = {}
        for decision in decide(queue, self._launcher.capacity(), Capacity(**used)):
            if isinstance(decision, Start):
                self._give(decision.job_id)
            else:
                waiting[decision.job_id] = decision.reason
        self._waiting = waiting

    def _give(self, job_id: str) -> None:
        with self._lock:
            attempts = self._running.get(job_id)
            job, waiting = self._queue.pop(job_id, (None, None))
        if attempts is not None:
            attempts.allow(attempts.wanted)
        elif job is not None and waiting is not None:
            self._follow(job, waiting.workers, waiting.sequence)

    def _follow(self, job: Job, allowed: int, place: int) -> None:
        attempts = Attempts(
            job,
            allowed,
            place,
            self._store,
            self._home,
            self._launcher,
            self._stopping,
            self._ended,
            self._wake,
        )
        with self._lock:
            if job.id in self._running:
                return
            self._running[job.id] = attempts
        attempts.thread.start()

    def _ended(self, job_id: str) -> None:
        with self._lock:
            self._running.pop(job_id, None)
        self._wake.set()
        if not self._stopping.is_set():
            # It may have been paused and resumed while its workers were still being given back.
            job = self._store.get(job_id)
            if job.state == JobState.QUEUED:
                self._enqueue(job)
                self._wake.set()
