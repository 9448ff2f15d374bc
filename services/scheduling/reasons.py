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
from gradwire.services.scheduling.placement import Free, place
from gradwire.services.scheduling.reserving import Reservation


def never(job: Waiting, inventory: Inventory) -> Wait | None:
    """Why no end of other jobs can ever let this one start, None where one can: to be asked at submit.

    >>> from gradwire.services.scheduling.model import Node, Shape
    >>> job = Waiting("a", "ann", 1, Shape(gpus=1, cpus=0), minimum=9, maximum=9)
    >>> never(job, Inventory((Node("n", 8, 64),))).sentence
    'needs 9 gpus, and can never get more than 8'
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
        if reason is None and (short := self.books.files_short(job)) is not None:
            reason = Wait(job.job_id, Code.QUOTA, *short)
        if reason is not None:
            self.refused.append(reason)
        return reason is not None

    def never(self, job: Waiting) -> Wait | None:
        """Limits, then the owner's quota, then all nodes empty."""
        if job.longest_s is not None and job.longest_s <= 0:
            return Wait(job.job_id, Code.NEVER, "seconds", 1, 0)
        account = self.books.accounts.get(job.owner)
        if account is not None:
            needs = least_needs(job)
            for resource in QUOTA_RESOURCES:
                limit = getattr(account.quota, resource)
                if limit is not None and needs[resource] > limit:
                    return Wait(job.job_id, Code.NEVER, resource, needs[resource], limit)
        if self._all.fits(job):
            return None
        return Wait(job.job_id, Code.NEVER, *_short(job, self.books.total, self._all))

    def waits(self, left: Sequence[tuple[Waiting, int]], reservation: Reservation | None) -> list[Wait]:
        """A reason for each job that was considered and not started, in that order; then the refused."""
        known: dict[object, Wait] = {}
        lenders = sorted(
            {live.job.priority for live in self.books.live.values() if live.settled and live.lent}
        )
        rooms: dict[int, tuple[Free, Slots]] = {}
        waits: list[Wait] = []
        for place_, (job, level) in enumerate(left, start=1):
            by = None
            if reservation is not None and job is reservation.job and not isinf(reservation.by):
                by = reservation.by
            short = self.books.quota_short(job)
            rank = bisect_right(lenders, level)
            key: object = (job.shape, job.minimum, job.one_host, rank)
            if short is not None:
                key = (job.owner, job.shape, job.minimum, job.storage_bytes)
            reason = known.get(key)
            if reason is None:
                if rank not in rooms:
                    free = self._with_lent(level)
                    rooms[rank] = free, Slots(free)
                reason = None if short is None else self._quota_reason(job, short, rooms[rank][1])
                if reason is None:
                    reason = self._room_reason(job, level, *rooms[rank], reservation)
                # The first claimant's reason is its own: to those behind it, it is the blocker.
                if all(job is not other for other, _ in self.books.claims.get(job.owner, ())):
                    known[key] = reason
            waits.append(
                Wait(
                    job.job_id,
                    reason.code,
                    reason.resource,
                    reason.needed,
                    reason.available,
                    reason.holders,
                    place_,
                    by,
                )
            )
        refused = sorted(self.refused, key=lambda each: each.job_id)
        return [*waits, *refused]

    def _with_lent(self, level: int) -> Free:
        free = self.books.free.copy()
        for live in self.books.live.values():
            if live.settled and live.job.priority <= level:
                for rank in live.lent:
                    node = live.nodes[rank]
                    if node is not None:
                        free.give(node, live.job.shape, 1)
        return free

    def _room_reason(
        self, job: Waiting, level: int, free: Free, slots: Slots, reservation: Reservation | None
    ) -> Wait:
        short = _short(job, self.books.free, Slots(self.books.free))
        if slots.fits(job) and reservation is not None and reservation.job is not job:
            ahead = reservation.job
            amount = ahead.minimum * (ahead.shape.gpus or ahead.shape.cpus)
            return Wait("", Code.BEHIND, *short, (Holder(ahead.job_id, ahead.owner, amount),))
        code = Code.FRAGMENTED if short[0] == "workers" else Code.NO_CAPACITY
        return Wait("", code, *short, self._room_holders(job, level, free))

    def _room_holders(self, job: Waiting, level: int, free: Free) -> tuple[Holder, ...]:
        """A smallest set of jobs, those first that end first, without which there is room: none of them can be left out."""
        live = sorted(self.books.live.values(), key=lambda each: each.order_key)

        def kept(each: Live) -> Iterable[int]:
            lent = each.settled and each.job.priority <= level
            for rank in each.ranks:
                node = each.nodes[rank]
                if node is not None and not (lent and rank >= each.job.minimum):
                    yield node

        def room(count: int) -> Free:
            wide = free.copy()
            for each in live[:count]:
                for node in kept(each):
                    wide.give(node, each.job.shape, 1)
            return wide

        def fits(wide: Free) -> bool:
            return (
                place([max(each, 0) for each in wide.slots(job.shape)], job.minimum, job.one_host) is not None
            )

        count = first_true(len(live), lambda k: fits(room(k)))
        if count is None:
            return ()
        wide = room(count)
        placement = place([max(each, 0) for each in wide.slots(job.shape)], job.minimum, job.one_host)
        assert placement is not None  # count fits
        for node, workers in placement:
            wide.give(node, job.shape, -workers)
        wanted = {node for node, _ in placement}
        holders: list[Holder] = []
        for each in reversed(live[:count]):
            nodes = [node for node in kept(each) if node in wanted]
            for node in nodes:
                wide.give(node, each.job.shape, -1)
            if any(
                (job.shape.gpus and wide.gpus[node] < 0) or (job.shape.cpus and wide.cpus[node] < 0)
                for node in nodes
            ):
                for node in nodes:
                    wide.give(node, each.job.shape, 1)
                amount = len(each.ranks) * (each.job.shape.gpus if job.shape.gpus else each.job.shape.cpus)
                holders.append(Holder(each.job.job_id, each.job.owner, amount))
        return tuple(reversed(holders))

    def _quota_reason(self, job: Waiting, short: tuple[str, int, int], slots: Slots) -> Wait | None:
        own = self.books.quota_short(job, claims=False)
        if own is not None:
            return Wait("", Code.QUOTA, *own, self._quota_holders(job))
        if not slots.fits(job):
            return None
        ahead = self.books.claims[job.owner]
        return Wait(
            "",
            Code.BEHIND,
            *short,
            tuple(
                Holder(other.job_id, other.owner, least_needs(other)[short[0]])
                for other, _ in ahead
                if other is not job
            ),
        )

    def _quota_holders(self, job: Waiting) -> tuple[Holder, ...]:
        own = sorted(
            (live for live in self.books.live.values() if live.job.owner == job.owner),
            key=lambda each: each.order_key,
        )

        def held(lives: Iterable[Live]) -> Held:
            total = Held()
            for live in lives:
                total.gpus += len(live.ranks) * live.job.shape.gpus
                total.cpus += len(live.ranks) * live.job.shape.cpus
                total.jobs += 1
                total.storage_bytes += live.job.storage_bytes
            return total

        count = first_true(len(own), lambda k: self.books.quota_short(job, held(own[:k]), False) is None)
        if count is None:
            return ()
        short = self.books.quota_short(job, claims=False)
        needed = own[:count]
        for live in reversed(own[:count]):
            without = [each for each in needed if each is not live]
            if self.books.quota_short(job, held(without), False) is None:
                needed = without
        resource = short[0] if short is not None else "jobs"
        return tuple(
            Holder(live.job.job_id, live.job.owner, getattr(held([live]), resource)) for live in needed
        )


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
