"""Why a job waits, as data: what is short, by how much, who holds it. Called by passes.py at the end of a decision, and at submit.

Jobs with equal needs have equal reasons, worked out once: ten thousand jobs in the queue have a few dozen different ones.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import isinf

from gradwire.services.scheduling.books import (
    QUOTA_RESOURCES,
    Books,
    Held,
    Live,
    Slots,
    first_true,
    least_needs,
)
from gradwire.services.scheduling.decisions import Code, Holder, Wait
from gradwire.services.scheduling.model import Inventory, Policy, Waiting
from gradwire.services.scheduling.placement import Free, Placement, place
from gradwire.services.scheduling.reserving import Reservation


def never(job: Waiting, inventory: Inventory) -> Wait | None:
    """Why no end of other jobs can ever let this one start, None where one can: to be asked at submit.

    >>> from gradwire.services.scheduling.model import Node, Shape
    >>> job = Waiting("a", "ann", 1, Shape(gpus=1, cpus=0), minimum=9, maximum=9)
    >>> never(job, Inventory((Node("n", 8, 64),))).sentence
    'needs 9 GPUs, and can never get more than 8'
    """
    return Reasons(Books((), inventory, Policy(), 0.0)).never(job)


class Reasons:
    """Reasons over the books of one decision."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.refused: list[Wait] = []
        self._all = Slots(books.total)

    def refuses(self, job: Waiting) -> bool:
        """True for a job that can't be considered now, whatever is free; its reason is kept."""
        reason = self.never(job)
        if reason is None and job.not_before > self.books.now:
            reason = Wait(job.job_id, Code.BACKOFF, "seconds", 0, 0, by=job.not_before)
        if reason is None and self.books.limited(job.owner):
            short = self.books.files_short(job)
            reason = None if short is None else Wait(job.job_id, Code.QUOTA, *short)
        if reason is not None:
            self.refused.append(reason)
        return reason is not None

    def never(self, job: Waiting) -> Wait | None:
        """Limits, then the owner's quota, then all nodes empty."""
        if job.longest_s is not None and job.longest_s <= 0:
            return Wait(job.job_id, Code.NEVER, "seconds", 1, 0)
        if self.books.limited(job.owner):
            quota, needs = self.books.account(job.owner).quota, least_needs(job)
            for resource in QUOTA_RESOURCES:
                limit = getattr(quota, resource)
                if limit is not None and needs[resource] > limit:
                    return Wait(job.job_id, Code.NEVER, resource, needs[resource], limit)
        if self._all.fits(job):
            return None
        return Wait(job.job_id, Code.NEVER, *_short(job, self.books.total, self._all))

    def waits(self, left: Sequence[tuple[Waiting, int]], reservation: Reservation | None) -> list[Wait]:
        """A reason for each job that was considered and not started, in that order; then the refused."""
        known: dict[object, Wait] = {}
        lenders = sorted(
            {
                live.job.priority
                for live in self.books.live.values()
                if (live.settled or live.started) and live.lent
            }
        )
        rooms: dict[int, _Releases] = {}
        lents: dict[tuple[str, int], Held] = {}
        now_slots = Slots(self.books.free)
        waits: list[Wait] = []
        for at, (job, level) in enumerate(left, start=1):
            by = None
            if reservation is not None and job is reservation.job and not isinf(reservation.by):
                by = reservation.by
            rank = bisect_right(lenders, level)
            short, lent = self.books.quota_short(job, place=at), Held()
            if short is not None:
                # What its owner's jobs have on loan is taken back as soon as there is room.
                if (job.owner, rank) not in lents:
                    lents[job.owner, rank] = self.books.lent_of(job.owner, level)
                lent = lents[job.owner, rank]
                short = self.books.quota_short(job, lent, at)
            key: object = (job.shape, job.minimum, job.one_host, rank)
            if short is not None:
                ahead = len(self.books.ahead(job, at))
                key = (job.owner, job.shape, job.minimum, job.storage_bytes, job.one_host, ahead, rank)
            reason = known.get(key)
            if reason is None:
                if rank not in rooms:
                    rooms[rank] = _Releases(self.books, level)
                room = rooms[rank]
                reason = (
                    None if short is None else self._quota_reason(job, level, short, lent, at, room.slots)
                )
                if reason is None:
                    reason = self._room_reason(job, room, now_slots, reservation)
                known[key] = reason
            waits.append(
                Wait(
                    job.job_id,
                    reason.code,
                    reason.resource,
                    reason.needed,
                    reason.available,
                    reason.holders,
                    at,
                    by,
                )
            )
        refused = sorted(self.refused, key=lambda each: each.job_id)
        return [*waits, *refused]

    def _room_reason(
        self, job: Waiting, room: "_Releases", now_slots: Slots, reservation: Reservation | None
    ) -> Wait:
        short = _short(job, self.books.free, now_slots)
        if room.slots.fits(job) and reservation is not None and reservation.job is not job:
            ahead = reservation.job
            amount = ahead.minimum * (ahead.shape.gpus or ahead.shape.cpus)
            return Wait("", Code.BEHIND, *short, (Holder(ahead.job_id, ahead.owner, amount),))
        code = Code.FRAGMENTED if short[0] == "workers" else Code.NO_CAPACITY
        return Wait("", code, *short, room.holders(job))

    def _quota_reason(
        self, job: Waiting, level: int, short: tuple[str, int, int], lent: Held, at: int, slots: Slots
    ) -> Wait | None:
        own = self.books.quota_short(job, lent, 0)
        if own is not None:
            return Wait("", Code.QUOTA, *own, self._quota_holders(job, level, own[0], lent))
        if not slots.fits(job):
            return None
        holders = tuple(
            Holder(other.job_id, other.owner, least_needs(other)[short[0]])
            for other in self.books.ahead(job, at)
        )
        return Wait("", Code.BEHIND, *short, holders)

    def _quota_holders(self, job: Waiting, level: int, resource: str, lent: Held) -> tuple[Holder, ...]:
        """Jobs of the owner without which the quota has room, those first that end first: none of them can be left out."""
        own: list[tuple[Live, Held]] = []
        for live in sorted(self.books.live.values(), key=lambda each: each.order_key):
            if live.job.owner == job.owner:
                held = Held()
                workers = len(live.ranks)
                if (live.settled or live.started) and live.job.priority <= level:
                    workers -= len(live.lent)
                held.gpus = workers * live.job.shape.gpus
                held.cpus = workers * live.job.shape.cpus
                held.jobs = 1
                held.storage_bytes = live.job.storage_bytes
                own.append((live, held))

        def enough(gone: Iterable[tuple[Live, Held]]) -> bool:
            total = Held()
            for held in (lent, *(held for _, held in gone)):
                for name in QUOTA_RESOURCES:
                    setattr(total, name, getattr(total, name) + getattr(held, name))
            return self.books.quota_short(job, total, 0) is None

        count = first_true(len(own), lambda k: enough(own[:k]))
        if count is None:
            return ()
        needed = own[:count]
        for each in reversed(own[:count]):
            without = [other for other in needed if other is not each]
            if enough(without):
                needed = without
        return tuple(
            Holder(live.job.job_id, live.job.owner, getattr(held, resource)) for live, held in needed
        )


class _Releases:
    """What would be free, were jobs gone in the order in which they end, for waiting jobs of a level that may take the same lent workers."""

    STRIDE = 16

    def __init__(self, books: Books, level: int) -> None:
        self.free = books.free.copy()
        self.parts: list[tuple[Live, list[tuple[int, int]]]] = []
        for live in sorted(books.live.values(), key=lambda each: each.order_key):
            lent = (live.settled or live.started) and live.job.priority <= level
            counts: dict[int, int] = {}
            for rank in live.ranks:
                node = live.nodes[rank]
                if node is None:
                    continue
                if lent and rank >= live.job.minimum:
                    self.free.give(node, live.job.shape, 1)
                else:
                    counts[node] = counts.get(node, 0) + 1
            self.parts.append((live, list(counts.items())))
        self.slots = Slots(self.free)
        self._after: list[Free] = [self.free]

    def after(self, count: int) -> Free:
        """What is free without the first `count` jobs."""
        step = self.STRIDE
        while len(self._after) <= count // step:
            last = (len(self._after) - 1) * step
            self._after.append(self._given(self._after[-1], last, last + step))
        return self._given(self._after[count // step], count // step * step, count)

    def _given(self, free: Free, first: int, end: int) -> Free:
        free = free.copy()
        for live, counts in self.parts[first:end]:
            for node, workers in counts:
                free.give(node, live.job.shape, workers)
        return free

    def holders(self, job: Waiting) -> tuple[Holder, ...]:
        """Jobs without which there is room, those first that end first; on the nodes where that is, none can be left out."""

        def placed(count: int) -> Placement | None:
            room = [max(each, 0) for each in self.after(count).slots(job.shape)]
            return place(room, job.minimum, job.one_host)

        count = first_true(len(self.parts), lambda k: placed(k) is not None)
        if count is None:
            return ()
        placement = placed(count)
        assert placement is not None  # count fits
        wide = self.after(count)
        for node, workers in placement:
            wide.give(node, job.shape, -workers)
        wanted = {node for node, _ in placement}
        holders: list[Holder] = []
        for live, counts in reversed(self.parts[:count]):
            shape = live.job.shape
            here = [(node, workers) for node, workers in counts if node in wanted]
            for node, workers in here:
                wide.give(node, shape, -workers)
            if any(
                (job.shape.gpus and wide.gpus[node] < 0) or (job.shape.cpus and wide.cpus[node] < 0)
                for node, _ in here
            ):
                for node, workers in here:
                    wide.give(node, shape, workers)
                amount = len(live.ranks) * (shape.gpus if job.shape.gpus else shape.cpus)
                holders.append(Holder(live.job.job_id, live.job.owner, amount))
        return tuple(reversed(holders))


def _short(job: Waiting, free: Free, slots: Slots) -> tuple[str, int, int]:
    """What is short of what a job needs at least: (resource, needed, there is)."""
    gpus = sum(max(each, 0) for each in free.gpus)
    if job.shape.gpus and gpus < job.minimum * job.shape.gpus:
        return "gpus", job.minimum * job.shape.gpus, gpus
    cpus = sum(max(each, 0) for each in free.cpus)
    if job.shape.cpus and cpus < job.minimum * job.shape.cpus:
        return "cpus", job.minimum * job.shape.cpus, cpus
    _, together, most = slots.of(job.shape)
    if job.minimum <= (most if job.one_host else together):
        # It is not room that is short.
        if job.shape.gpus:
            return "gpus", job.minimum * job.shape.gpus, gpus
        return "cpus", job.minimum * job.shape.cpus, cpus
    return "workers", job.minimum, most if job.one_host else together
