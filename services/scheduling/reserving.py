"""Room kept for the first job that does not fit: EASY backfill (Lifka, JSSPP 1995) over nodes. Called by passes.py.

The job gets concrete workers on concrete nodes at the earliest time at which limits free them; others may start meanwhile
where they are gone by then or use nothing of it. Where no limit bounds the time, the nodes of those who run longest are
kept as they fall free. Either way what is kept only comes nearer from pass to pass, so that small jobs never push it off.
"""

from math import inf, isinf

from gradwire.services.scheduling.books import Books, Live, first_true
from gradwire.services.scheduling.model import Running, Waiting
from gradwire.services.scheduling.placement import Free, Placement, place


class Reservation:
    """`job` starts by `by` (inf: nothing bounds it) on `placement`; `spare` is what others may use beyond that time."""

    __slots__ = ("by", "counted", "job", "level", "placement", "spare")

    def __init__(
        self,
        job: Waiting,
        level: int,
        by: float,
        placement: Placement,
        spare: Free,
        counted: set[tuple[str, bool]],
    ) -> None:
        self.job = job
        self.level = level
        self.by = by
        self.placement = placement
        self.spare = spare
        self.counted = counted

    def outlasts(self, ends: float) -> bool:
        """True for a job that may still run when the room is needed."""
        return isinf(self.by) or ends > self.by


def reserve(books: Books, job: Waiting, level: int) -> Reservation | None:
    """Keeps room for a job that doesn't fit now, None where even the end of all jobs would not help."""
    parts = sorted(_parts(books, job, level), key=lambda part: part[:3])

    def released(count: int) -> Free:
        free = books.free.copy()
        for _, _, _, live, ranks, _ in parts[:count]:
            for rank in ranks:
                node = live.nodes[rank]
                if node is not None:
                    free.give(node, live.job.shape, 1)
        return free

    def placed(count: int) -> Placement | None:
        room = [max(each, 0) for each in released(count).slots(job.shape)]
        return place(room, job.minimum, job.one_host)

    count = first_true(len(parts), lambda k: placed(k) is not None)
    if count is None:
        return None
    by = parts[count - 1][0] if count else books.now
    if not isinf(by):
        while count < len(parts) and parts[count][0] <= by:
            count += 1
    placement = placed(count)
    assert placement is not None  # room only grows with count
    spare = released(count)
    for node, workers in placement:
        spare.give(node, job.shape, -workers)
    counted = {(live.job.job_id, lent) for _, _, _, live, _, lent in parts[:count]}
    return Reservation(job, level, by, placement, spare, counted)


Part = tuple[float, float, int, Live, list[int], bool]


def _parts(books: Books, job: Waiting, level: int) -> list[Part]:
    """What falls free, and when, as far as `job` is concerned: (time, since, order, of whom, ranks, lent ones?)."""
    parts: list[Part] = []
    for live in books.live.values():
        ends = live.ends
        if books.policy.preempt and live.level < job.priority:
            ends = min(ends, max(live.started_at + books.policy.preempt_after_s, books.now))
        ranks = live.ranks
        if isinstance(live.job, Running) and live.job.priority <= level:
            lent = live.lent
            if lent:
                parts.append((books.now, -inf, live.job.order, live, lent, True))
                ranks = [rank for rank in ranks if rank < live.job.minimum]
        parts.append((ends, live.started_at, live.job.order, live, ranks, False))
    return parts
