"""One scheduling decision: who starts, grows, shrinks, pauses, waits. Pure: no I/O, no clock, the same for any order of its input.

Called by the service's runner with what its store and cluster say, by simulation.py and by the property tests. docs/scheduling.md
has the policy in words, and what it promises.
"""

from collections.abc import Sequence
from heapq import heapify, heappop, heapreplace

from gradwire.services.scheduling.books import Books, Live, Slots
from gradwire.services.scheduling.decisions import (
    Decision,
    Grow,
    Pause,
    Shrink,
    Start,
    Stop,
)
from gradwire.services.scheduling.model import Inventory, Policy, Running, Shape, Waiting
from gradwire.services.scheduling.placement import Placement, place
from gradwire.services.scheduling.ranking import line
from gradwire.services.scheduling.reasons import Reasons
from gradwire.services.scheduling.reserving import Reservation, reserve
from gradwire.services.scheduling.taking import Unit, find, spare_given


def decide(
    queue: Sequence[Waiting],
    running: Sequence[Running],
    inventory: Inventory,
    policy: Policy,
    now: float,
) -> list[Decision]:
    """What to do now, in the order in which to do it: stops, pauses, shrinks, starts, grows; then why each other job waits.

    >>> from gradwire.services.scheduling import Node, Wait
    >>> shape = Shape(gpus=1, cpus=0)
    >>> queue = [Waiting("a", "ann", 1, shape, 2, 2), Waiting("b", "bob", 2, shape, 3, 3)]
    >>> for each in decide(queue, [], Inventory((Node("n", 4, 8),)), Policy(), now=0.0):
    ...     print(each.job_id, each.sentence if isinstance(each, Wait) else each.nodes)
    a ('n', 'n')
    b needs 3 GPUs; 2 are free; held by a
    """
    ids = {job.job_id for job in queue} | {job.job_id for job in running}
    if len(ids) != len(queue) + len(running):
        raise ValueError("decide: a job is given twice")
    made = _Pass(queue, running, inventory, policy, now)
    made.admit()
    made.grow()
    return made.decisions()


class _Pass:
    def __init__(
        self,
        queue: Sequence[Waiting],
        running: Sequence[Running],
        inventory: Inventory,
        policy: Policy,
        now: float,
    ) -> None:
        self.policy, self.now = policy, now
        self.books = Books(running, inventory, policy, now)
        self.reasons = Reasons(self.books)
        self.candidates: list[Waiting] = []
        for job in queue:
            if not self.reasons.refuses(job):
                self.candidates.append(job)
        self.all_live = list(self.books.live.values())
        self.now_slots = Slots(self.books.free)
        self.slots = self.now_slots
        self.reservation: Reservation | None = None
        self.left: list[tuple[Waiting, int]] = []
        self.failed: dict[tuple[Shape, bool, bool, str | None], list[tuple[int, int]]] = {}

    # Admission

    def admit(self) -> None:
        """Starts what can start. What was taken for one job may hold room for another that was looked at before: then again."""
        while self._sweep():
            started = {live.job.job_id for live in self.all_live if live.started}
            self.candidates = [job for job in self.candidates if job.job_id not in started]

    def _sweep(self) -> bool:
        self.reservation, self.slots = None, self.now_slots
        self.failed.clear()
        self.books.claims.clear()
        self.left = []
        again = False
        dead: dict[object, int] = {}
        for job, level in line(self.candidates, self.policy, self.now, self.books.start_score):
            kept = self._beside(job)
            # Without a release, room and quota only fall: what failed fails again for its equals, at once.
            limited = (job.owner, job.storage_bytes) if self.books.limited(job.owner) else None
            key = (job.shape, job.minimum, job.one_host, kept is None, limited)
            if job.priority <= dead.get(key, job.priority - 1):
                self.left.append((job, level))
                continue
            short = limited is not None and self.books.quota_short(job) is not None
            closed = self.reservation is not None and not self.policy.backfill
            slots = self.now_slots if kept is None else self.slots
            if not short and not closed and slots.fits(job):
                placement = place(slots.of(job.shape)[0], job.minimum, job.one_host)
                assert placement is not None  # fits() said so
                self._start(job, level, placement, kept)
                continue
            found = None if closed or self._hopeless(job, kept) else find(self.books, job, level, kept)
            if found is not None:
                self._take(job, found[0])
                self._start(job, level, found[1], kept)
                again = again or bool(self.left)
                dead.clear()
                continue
            dead[key] = job.priority
            self._note_failure(job, kept)
            self.left.append((job, level))
            if short:
                # Quota that its owner's other jobs have on loan is no reason to go without a reservation.
                lent = self.books.lent_of(job.owner, level)
                short = self.books.quota_short(job, lent) is not None
            if self.reservation is None and not short:
                self._reserve(job, level)
                self.books.claim(job, level, len(self.left))
            elif short and job.owner not in self.books.claims:
                self.books.claim(job, level, len(self.left))
        return again

    def _beside(self, job: Waiting) -> Reservation | None:
        """The reservation that this job has to leave alone, None where it is gone before it is due."""
        kept = self.reservation
        if kept is None or (job.longest_s is not None and not kept.outlasts(self.now + job.longest_s)):
            return None
        return kept

    def _start(self, job: Waiting, level: int, placement: Placement, kept: Reservation | None) -> None:
        self.all_live.append(self.books.start(job, placement, level))
        if kept is not None:
            for node, workers in placement:
                kept.spare.give(node, job.shape, -workers)
        self._changed([node for node, _ in placement])

    def _take(self, job: Waiting, taken: Sequence[Unit]) -> None:
        touched: set[int] = set()
        for unit in taken:
            live = unit.live
            whole = Unit(live, live.ranks, pause=True) if unit.pause else unit
            touched.update(node for rank in whole.ranks if (node := live.nodes[rank]) is not None)
            if self.reservation is not None:
                spare_given(whole, self.reservation.spare, self.reservation)
            if unit.pause:
                self.books.pause(live, job.job_id)
            else:
                self.books.take(live, unit.ranks, job.job_id)
        self._changed(sorted(touched))

    def _changed(self, nodes: list[int]) -> None:
        self.now_slots.changed(nodes)
        if self.slots is not self.now_slots:
            self.slots.changed(nodes)

    def _reserve(self, job: Waiting, level: int) -> None:
        self.reservation = reserve(self.books, job, level)
        if self.reservation is not None:
            self.slots = Slots(self.books.free, self.reservation.spare)

    # What could be taken only falls in the course of a sweep: who needs no less and may take no more than one that failed, fails.

    def _failure_key(self, job: Waiting, kept: Reservation | None) -> tuple[Shape, bool, bool, str | None]:
        owner = job.owner if self.books.limited(job.owner) else None
        return job.shape, job.one_host, kept is None, owner

    def _hopeless(self, job: Waiting, kept: Reservation | None) -> bool:
        known = self.failed.get(self._failure_key(job, kept), ())
        return any(job.priority <= priority and job.minimum >= least for priority, least in known)

    def _note_failure(self, job: Waiting, kept: Reservation | None) -> None:
        if not self._hopeless(job, kept):
            key = self._failure_key(job, kept)
            known = [(p, n) for p, n in self.failed.get(key, ()) if p > job.priority or n < job.minimum]
            self.failed[key] = [*known, (job.priority, job.minimum)]

    # Growth

    def grow(self) -> None:
        """Lends what is left, one worker at a time: to the highest level, the owner who has least, the smallest job."""
        elastic = [live for live in self.books.live.values() if self._can_grow(live)]
        heap = [(*self._claim(live), live.job.job_id) for live in elastic]
        heapify(heap)
        while heap:
            live = self.books.live[heap[0][-1]]
            node = self._node_for_one_more(live)
            if node is None:
                heappop(heap)
                continue
            self.books.grow(live, node)
            kept = self._lending_beside(live)
            if kept is not None:
                kept.spare.give(node, live.job.shape, -1)
            self._changed([node])
            if len(live.nodes) < live.job.maximum:
                heapreplace(heap, (*self._claim(live), live.job.job_id))
            else:
                heappop(heap)

    def _can_grow(self, live: Live) -> bool:
        job = live.job
        if len(live.nodes) >= job.maximum:
            return False
        if isinstance(job, Waiting):
            return True
        return (
            live.settled
            and not live.taken
            and None not in live.nodes
            # Less than its least: its owner has just raised that.
            and (len(live.nodes) < job.minimum or self.now - job.resized_at >= self.policy.grow_after_s)
        )

    def _claim(self, live: Live) -> tuple[bool, int, float, int, int]:
        lacks = len(live.nodes) < live.job.minimum
        return not lacks, -live.level, self.books.score(live.job, 1), len(live.nodes), live.job.order

    def _lending_beside(self, live: Live) -> Reservation | None:
        """The reservation that what is lent to this job would be in the way of: of what can be taken back, none."""
        kept = self.reservation
        if kept is None or live.job.priority <= kept.level or not kept.outlasts(live.ends):
            return None
        return kept

    def _node_for_one_more(self, live: Live) -> int | None:
        if not self.books.may_grow(live):
            return None
        slots = self.now_slots if self._lending_beside(live) is None else self.slots
        room, together, _ = slots.of(live.job.shape)
        if together == 0:
            return None
        here: dict[int, int] = {}
        for node in live.nodes:
            if node is not None:
                here[node] = here.get(node, 0) + 1
        best = min(((-workers, node) for node, workers in here.items() if room[node] > 0), default=None)
        if best is not None:
            return best[1]
        if live.job.one_host:
            return None
        return min((free, node) for node, free in enumerate(room) if free > 0)[1]

    # The answer

    def decisions(self) -> list[Decision]:
        """All decisions, in the order in which they are carried out."""
        stops: list[Decision] = []
        pauses: list[Decision] = []
        shrinks: list[Decision] = []
        starts: list[Decision] = []
        grows: list[Decision] = []
        names = [node.name for node in self.books.nodes]
        for live in self.all_live:
            job = live.job
            if isinstance(job, Waiting):
                nodes = tuple(names[node] for node in live.nodes if node is not None)
                starts.append(Start(job.job_id, nodes, live.level, self.now + self.policy.gang_deadline_s))
            elif live.stop is not None:
                stops.append(Stop(job.job_id, live.stop))
            elif live.paused_for is not None:
                pauses.append(Pause(job.job_id, live.paused_for))
            elif live.taken:
                stay = tuple(job.nodes[rank] for rank in live.ranks)
                shrinks.append(Shrink(job.job_id, stay, tuple(sorted(live.taken)), live.taken_for))
            elif len(live.nodes) > len(job.nodes):
                grows.append(Grow(job.job_id, tuple(names[node] for node in live.nodes if node is not None)))
        waits = self.reasons.waits(self.left, self.reservation)
        return [*stops, *pauses, *shrinks, *starts, *grows, *waits]
