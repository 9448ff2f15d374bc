"""In which order waiting jobs are considered: level, then the owner who had least, then submission. Called by passes.py."""

from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heapreplace
from math import floor, inf

from gradwire.services.scheduling.model import Policy, Waiting


def level(job: Waiting, policy: Policy, now: float) -> int:
    """The priority, plus one for each `aging_s` of waiting.

    So only jobs submitted before a fixed time can ever stand before this one: those of priority p until
    (p - its priority + 1) * aging_s after it.
    """
    if policy.aging_s == inf:
        return job.priority
    return job.priority + floor(max(now - job.since, 0.0) / policy.aging_s)


def line(
    jobs: Sequence[Waiting], policy: Policy, now: float, score: Callable[[Waiting], float]
) -> Iterator[tuple[Waiting, int]]:
    """Each job with its level, in order; each job's score is asked for when those of its owner before it are done with.

    >>> from gradwire.services.scheduling.model import Shape
    >>> had = {"ann": 0.0, "bob": 0.5}
    >>> shape = Shape(gpus=1, cpus=0)
    >>> queue = [Waiting("b", "bob", 1, shape), Waiting("a", "ann", 2, shape), Waiting("u", "bob", 3, shape, priority=9)]
    >>> [job.job_id for job, _ in line(queue, Policy(), 0.0, lambda job: had[job.owner])]
    ['u', 'a', 'b']
    """
    levels: dict[int, dict[str, list[Waiting]]] = {}
    for job in sorted(jobs, key=lambda each: each.order):
        levels.setdefault(level(job, policy, now), {}).setdefault(job.owner, []).append(job)
    for each in sorted(levels, reverse=True):
        queues = levels[each]
        heap = [(score(queue[0]), queue[0].order, owner, 0) for owner, queue in queues.items()]
        heapify(heap)
        while heap:
            _, _, owner, k = heap[0]
            queue = queues[owner]
            yield queue[k], each
            if k + 1 < len(queue):
                heapreplace(heap, (score(queue[k + 1]), queue[k + 1].order, owner, k + 1))
            else:
                heappop(heap)
