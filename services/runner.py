"""Carries the scheduler's decisions out: which job gets workers, where, and how many. Started by service.py.

One thread decides whenever a job is stored, steered or ends, and when a time comes at which something may change; each job
with workers is followed by a thread of its own (attempts.py). A decision takes workers from jobs and gives them to others in one
stroke; here a job starts or grows when those workers are really free, and is decided on anew until then.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from math import inf

from gradwire.services.attempts import STORAGE_RETRY_S, Attempts, Means
from gradwire.services.demand import shape_of, waiting_of, worker_range
from gradwire.services.errors import ServiceError, StorageError
from gradwire.services.home import Home
from gradwire.services.launcher import Capacity, Launcher
from gradwire.services.ledger import Ledger, Room
from gradwire.services.records import Job
from gradwire.services.refusals import refusal
from gradwire.services.scheduling import (
    Grow,
    Node,
    Pause,
    Policy,
    Running,
    Shrink,
    Start,
    Stop,
    Wait,
    Waiting,
    decide,
)
from gradwire.services.security.callers import Caller
from gradwire.services.states import JobState
from gradwire.services.store import Change, StaleLeaseError, Store

log = logging.getLogger(__name__)
LOOK_S = 5.0
"""At least so often the runner looks: at nodes, accounts and levels, which change without a word."""
SHARE_OF_TIME = 9
"""Thousands of submits a second must not mean as many passes over a long queue: they take a tenth of the time at most."""


class Runner:
    """Runs the jobs of a store with a launcher, until stopped."""

    def __init__(self, store: Store, home: Home, launcher: Launcher, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self._wake = threading.Event()
        self.ledger = Ledger(store, self.policy, self._wake.set)
        self._store = store
        self._launcher = launcher
        self._stopping = threading.Event()
        self._means = Means(store, home, launcher, self.policy, self._stopping, self._ended, self._wake)
        self._lock = threading.Lock()
        self._running: dict[str, Attempts] = {}
        self._queue: dict[str, tuple[Job, Waiting]] = {}
        self._waits: Mapping[str, Wait] = {}
        self._starting: frozenset[str] = frozenset()
        self._nodes: Sequence[Node] = ()
        self._thread = threading.Thread(target=self._run, name="runner", daemon=True)
        store.listen(self._listen)

    def start(self) -> None:
        """Begins: first the jobs that had workers when the service went down, then the queue."""
        unfinished = self._store.unfinished()
        having = {job.id: job.attempt for job in unfinished if job.state.holds_workers}
        self._launcher.sweep(having)
        self._nodes = self._launcher.nodes()
        placed = self._launcher.placed(having)
        room = Room(self._nodes)
        for job in unfinished:
            if job.state.holds_workers:
                count = max(job.target_workers, job.workers, 1)
                held = room.take_any(shape_of(job.spec), count, placed.get(job.id, ()))
                nodes = held[: job.target_workers or None]
                self._follow(Attempts(job, nodes, job.level, time.time(), self._means, held))
            else:
                self._enqueue(job)
        self.ledger.look(self._nodes, [], time.time())
        # Jobs submitted meanwhile came by the listener.
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
        """All that there is, as far as was seen last; by a runner that was not started, as it is seen now."""
        return Capacity.of_nodes(self._nodes or self._launcher.nodes())

    def follows(self, job_id: str) -> bool:
        """Whether something of the job may still run here."""
        with self._lock:
            return job_id in self._running

    def wait_of(self, job_id: str) -> Wait | None:
        """Why a job waits in the queue, as the last pass found; None where it does not or nothing is known yet."""
        return self._waits.get(job_id)

    def starts(self, job_id: str) -> bool:
        """True for a job that starts as soon as workers that others give back are free."""
        return job_id in self._starting

    def waiting_reason(self, job_id: str, by: Caller) -> str:
        """Why a job waits to start or to grow, in words for this caller; '' where it does not or nothing is known yet."""
        if (wait := self._waits.get(job_id)) is not None:
            return wait.sentence_for(lambda holder: by.sees(holder.owner))
        if job_id in self._starting:
            return "starts as soon as the workers that are being given back are free"
        with self._lock:
            attempts = self._running.get(job_id)
        return "" if attempts is None else _lacking(attempts)

    def refused(self, job: Job) -> ServiceError | None:
        """Why a job that is about to be submitted could never run, or may not be stored; None where it may."""
        wait = self.ledger.refused(waiting_of(job))
        return None if wait is None else refusal(job, wait, self.ledger.account(job.owner))

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
        with self._lock:
            # One with workers is looked at again when its last attempt has given them back.
            if job.id not in self._running:
                self._queue[job.id] = (job, waiting_of(job))

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            began = time.monotonic()
            try:
                due = self._decide(time.time())
            except StorageError as error:
                log.warning("looking at the queue failed; trying again: %s", error)
                self._stopping.wait(STORAGE_RETRY_S)
                continue
            except Exception:
                log.exception("looking at the queue failed; trying again")
                self._stopping.wait(STORAGE_RETRY_S)
                continue
            self._stopping.wait(SHARE_OF_TIME * (time.monotonic() - began))
            self._wake.wait(min(max(due - time.time(), 0.0), LOOK_S))
        with suppress(StorageError, StaleLeaseError):
            self.ledger.close(time.time())

    def _decide(self, now: float) -> float:
        """One pass; returns the time at which the next is due, whatever happens."""
        self._nodes = self._launcher.nodes()
        with self._lock:
            queue = [waiting for _, waiting in self._queue.values()]
            attempts = dict(self._running)
        placed = self._launcher.placed({job_id: each.newest.attempt for job_id, each in attempts.items()})
        room = Room(self._nodes)
        running: list[Running] = []
        for job_id, each in attempts.items():
            if job_id in placed:
                each.found_at(placed[job_id])
            if (seen := each.running()) is not None:
                running.append(seen)
            room.take(shape_of(each.job.spec), each.held())
        inventory = self.ledger.look(self._nodes, running, now)
        decisions = decide(queue, running, inventory, self.policy, now)
        waits, starting = {}, set()
        for decision in decisions:
            match decision:
                case Wait():
                    waits[decision.job_id] = decision
                case Start():
                    if not self._start(decision, room, now):
                        starting.add(decision.job_id)
                case Stop():
                    attempts[decision.job_id].stop_by(decision.limit)
                case Pause():
                    log.info("job %s gives way to %s", decision.job_id, decision.starts)
                    attempts[decision.job_id].give_way()
                case Shrink():
                    attempts[decision.job_id].allow(decision.nodes, now)
                case Grow():
                    each = attempts[decision.job_id]
                    if room.take(shape_of(each.job.spec), decision.nodes[len(each.nodes) :], if_free=True):
                        each.allow(decision.nodes, now)
        self._waits, self._starting = waits, frozenset(starting)
        return min(_moments(queue, running, self.policy, now), default=inf)

    def _start(self, start: Start, room: Room, now: float) -> bool:
        with self._lock:
            job, _ = self._queue.get(start.job_id, (None, None))
        if job is None:
            return True  # cancelled or paused meanwhile
        if not room.take(shape_of(job.spec), start.nodes, if_free=True):
            return False
        self._follow(Attempts(job, start.nodes, start.level, now, self._means))
        return True

    def _follow(self, attempts: Attempts) -> None:
        job_id = attempts.job.id
        with self._lock:
            self._queue.pop(job_id, None)
            if job_id in self._running:
                return
            self._running[job_id] = attempts
        attempts.thread.start()

    def _ended(self, job_id: str) -> None:
        with self._lock:
            self._running.pop(job_id, None)
        self._wake.set()
        while not self._stopping.is_set():
            # It may have been paused and resumed while its workers were still being given back.
            try:
                job = self._store.get(job_id)
            except StorageError:
                self._stopping.wait(STORAGE_RETRY_S)
                continue
            if job.state == JobState.QUEUED:
                self._enqueue(job)
                self._wake.set()
            return


def _lacking(attempts: Attempts) -> str:
    job, least = attempts.newest, worker_range(attempts.newest)[0]
    if job.state != JobState.RUNNING or len(attempts.nodes) >= least:
        return ""
    return f"has {len(attempts.nodes)} of {least} workers; it gets more as they become idle"


def _moments(
    queue: Sequence[Waiting], running: Sequence[Running], policy: Policy, now: float
) -> Iterator[float]:
    """The times to come at which a decision may change by itself."""
    for job in queue:
        if job.not_before > now:
            yield job.not_before
    for each in running:
        moments = [each.ends_by, each.place_by]
        if len(each.nodes) < each.maximum:
            moments.append(each.resized_at + policy.grow_after_s)
        if queue:
            moments.append(each.started_at + policy.preempt_after_s)
        yield from (moment for moment in moments if moment is not None and moment > now)
