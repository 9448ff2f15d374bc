"""Which nodes a gang of equal workers goes to: on one if any has room, else on as few as possible. Called by passes.py.

Free resources are two lists of ints by node index: a pass asks thousands of times, and plain lists are fastest.
"""

from collections.abc import Sequence

from gradwire.services.scheduling.model import Shape

Placement = list[tuple[int, int]]
"""(node index, workers) in the order in which ranks are dealt."""


class Free:
    """What is free on each node; node k is the k-th in the order of names."""

    __slots__ = ("cpus", "gpus")

    def __init__(self, gpus: Sequence[int], cpus: Sequence[int]) -> None:
        self.gpus = list(gpus)
        self.cpus = list(cpus)

    def copy(self) -> "Free":
        """The same amounts, independent."""
        return Free(self.gpus, self.cpus)

    def give(self, node: int, shape: Shape, workers: int) -> None:
        """Adds what `workers` had (takes it, where negative)."""
        self.gpus[node] += workers * shape.gpus
        self.cpus[node] += workers * shape.cpus

    def least(self, other: "Free") -> "Free":
        """Node by node the smaller of two."""
        return Free(list(map(min, self.gpus, other.gpus)), list(map(min, self.cpus, other.cpus)))

    def slots(self, shape: Shape) -> list[int]:
        """Workers of one shape that each node has room for (negative or 0: none)."""
        g, c = shape.gpus, shape.cpus
        if g == 0:
            return [have // c for have in self.cpus]
        if c == 0:
            return [have // g for have in self.gpus]
        if g == 1 and c == 1:
            return list(map(min, self.gpus, self.cpus))
        return [min(a // g, b // c) for a, b in zip(self.gpus, self.cpus, strict=True)]

    def room(self, node: int, shape: Shape) -> int:
        """Workers of one shape that one node has room for."""
        room = self.gpus[node] // shape.gpus if shape.gpus else self.cpus[node] // shape.cpus
        return min(room, self.cpus[node] // shape.cpus) if shape.cpus else room


def place(slots: Sequence[int], workers: int, one_host: bool) -> Placement | None:
    """Where `workers` go, all of them, or None: fewest nodes, and of those that would do the fullest.

    >>> place([4, 3, 8], 3, one_host=False)
    [(1, 3)]
    >>> place([4, 3, 8], 10, one_host=False)
    [(2, 8), (1, 2)]
    >>> place([4, 3, 8], 10, one_host=True) is None
    True
    """
    if workers <= max(slots, default=0):
        best = min(free for free in slots if free >= workers)
        return [(slots.index(best), workers)]
    if one_host:
        return None
    placement: Placement = []
    left = workers
    order = sorted((k for k, free in enumerate(slots) if free > 0), key=lambda k: (-slots[k], k))
    for index, node in enumerate(order):
        if slots[node] >= left:
            # The last node need not be the emptiest: of those that hold the rest, the fullest.
            fullest = slots[node]
            for other in order[index + 1 :]:
                if slots[other] < left:
                    break
                if slots[other] < fullest:
                    node, fullest = other, slots[other]
            placement.append((node, left))
            return placement
        placement.append((node, slots[node]))
        left -= slots[node]
    return None
