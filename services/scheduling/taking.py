"""Room for a job by taking it from others: first lent workers, one by one, then whole jobs of a lower level. Called by passes.py.

Nothing is taken unless the job then starts, and nothing that it would start without. Whoever is paused has a lower level than
the priority of what starts, and levels never fall while a job runs: the sum of levels that run only rises, so that no two jobs
can pause each other in turn.
"""

from collections.abc import Sequence

from gradwire.services.scheduling.books import Books, Held, Live, first_true
from gradwire.services.scheduling.model import Running, Shape, Waiting
from gradwire.services.scheduling.placement import Free, Placement, place
from gradwire.services.scheduling.reserving import Reservation


class Unit:
    """What can be taken in one piece: a lent rank, or all ranks of a job that are left."""

    __slots__ = ("live", "pause", "ranks")

    def __init__(self, live: Live, ranks: Sequence[int], pause: bool) -> None:
        self.live = live
        self.ranks = ranks
        self.pause = pause


def units(books: Books, job: Waiting, level: int) -> list[Unit]:
    """All that this job may take, the cheapest first: of the lowest level, of owners with the greatest share, of the youngest."""

    def cheapness(live: Live) -> tuple[int, float, float, int]:
        return live.level, -books.share(live.job.owner), -live.started_at, -live.job.order

    running = [live for live in books.live.values() if not live.started and live.stop is None]
    found: list[Unit] = []
    shrunk: set[str] = set()
    for live in sorted(
        (each for each in running if each.settled and each.job.priority <= level and each.lent), key=cheapness
    ):
        found.extend(Unit(live, [rank], pause=False) for rank in reversed(live.lent))
        shrunk.add(live.job.job_id)
    if books.policy.preempt:
        latest = books.now - books.policy.preempt_after_s
        for live in sorted(
            (each for each in running if each.level < job.priority and each.started_at <= latest),
            key=cheapness,
        ):
            ranks = live.ranks
            if live.job.job_id in shrunk:
                ranks = [rank for rank in ranks if rank < live.job.minimum]
            found.append(Unit(live, ranks, pause=True))
    return found


def find(
    books: Books, job: Waiting, level: int, reservation: Reservation | None
) -> tuple[list[Unit], Placement] | None:
    """The least to take so that the job starts, and where it starts; None where all of it would not do."""
    candidates = units(books, job, level)
    if not candidates:
        return None

    def after(count: int) -> tuple[Free, Free | None]:
        free = books.free.copy()
        spare = reservation.spare.copy() if reservation is not None else None
        for unit in candidates[:count]:
            _give(unit, free, spare, reservation, 1)
        return free, spare

    def placed(count: int) -> Placement | None:
        without = Held()
        for unit in candidates[:count]:
            _add(without, unit, job.owner, 1)
        if books.quota_short(job, without) is not None:
            return None
        free, spare = after(count)
        room = (free if spare is None else free.least(spare)).slots(job.shape)
        return place([max(each, 0) for each in room], job.minimum, job.one_host)

    count = first_true(len(candidates), lambda k: placed(k) is not None)
    if count is None:
        return None
    placement = placed(count)
    assert placement is not None  # count fits
    return _needed(books, job, candidates[:count], placement, *after(count), reservation), placement


def _needed(
    books: Books,
    job: Waiting,
    taken: list[Unit],
    placement: Placement,
    free: Free,
    spare: Free | None,
    reservation: Reservation | None,
) -> list[Unit]:
    """Gives back, dearest first, what this placement does not need."""
    for node, workers in placement:
        free.give(node, job.shape, -workers)
        if spare is not None:
            spare.give(node, job.shape, -workers)
    without = Held()
    for unit in taken:
        _add(without, unit, job.owner, 1)
    kept: list[Unit] = []
    paused: set[str] = set()
    touched = {node for node, _ in placement}
    for unit in reversed(taken):
        if unit.live.job.job_id in paused:
            continue
        _give(unit, free, spare, reservation, -1)
        _add(without, unit, job.owner, -1)
        short = books.quota_short(job, without) is not None
        if short or any(
            _lacks(free, node, job.shape) or (spare is not None and _lacks(spare, node, job.shape))
            for node in touched
        ):
            _give(unit, free, spare, reservation, 1)
            _add(without, unit, job.owner, 1)
            kept.append(unit)
            if unit.pause:
                paused.add(unit.live.job.job_id)
    return kept


def _lacks(free: Free, node: int, shape: Shape) -> bool:
    return (shape.gpus > 0 and free.gpus[node] < 0) or (shape.cpus > 0 and free.cpus[node] < 0)


def _give(unit: Unit, free: Free, spare: Free | None, reservation: Reservation | None, sign: int) -> None:
    for rank in unit.ranks:
        node = unit.live.nodes[rank]
        if node is not None:
            free.give(node, unit.live.job.shape, sign)
    if spare is not None and reservation is not None:
        spare_given(unit, spare, reservation, sign)


def spare_given(unit: Unit, spare: Free, reservation: Reservation, sign: int = 1) -> None:
    """Adds to `spare` what taking this unit adds beside the reservation: not what that already reckons with."""
    live, job = unit.live, unit.live.job
    for rank in unit.ranks:
        node = live.nodes[rank]
        lent = rank >= job.minimum and isinstance(job, Running) and job.priority <= reservation.level
        if node is not None and (job.job_id, lent) not in reservation.counted:
            spare.give(node, job.shape, sign)


def _add(held: Held, unit: Unit, owner: str, sign: int) -> None:
    job = unit.live.job
    if job.owner != owner:
        return
    held.gpus += sign * len(unit.ranks) * job.shape.gpus
    held.cpus += sign * len(unit.ranks) * job.shape.cpus
    if unit.pause:
        held.jobs += sign
        held.storage_bytes += sign * job.storage_bytes
