"""Metrics over many steps as few points: what QueryMetrics answers. Pure; faces/metrics.py brings the steps.

Steps are put together in blocks of 1, 2, 4, 8, … steps that are counted from step 1, the smallest length that gives no more
points than were asked for. So a point is the same whatever else is asked (its mean but for rounding), and stays as it is while
a job goes on.
"""

from collections.abc import Iterable, Mapping, Sequence

from gradwire.proto.v1 import jobs_pb2 as pb

POINTS = 1000
POINTS_LIMIT = 10_000
POINTS_IN_ALL = 50_000
"""Of all series together: 50 bytes each, so that an answer fits a message."""


class _Sums:
    """One metric over one block."""

    __slots__ = ("count", "largest", "smallest", "total")

    def __init__(self, value: float) -> None:
        self.total = self.smallest = self.largest = value
        self.count = 1

    def add(self, total: float, smallest: float, largest: float, count: int) -> None:
        """Takes one value, or those of the block after this one."""
        self.total += total
        self.count += count
        # A comparison with NaN is false: what is no number gives way to what is one.
        if not self.smallest <= smallest and smallest == smallest:
            self.smallest = smallest
        if not self.largest >= largest and largest == largest:
            self.largest = largest


class _Block:
    """Steps that are next to each other."""

    __slots__ = ("number", "step", "sums", "time")

    def __init__(self, number: int, step: int, time: tuple[int, int]) -> None:
        self.number, self.step, self.time = number, step, time
        self.sums: dict[str, _Sums] = {}


class Sampler:
    """Takes steps in order, and never keeps more blocks than points were asked for."""

    def __init__(self, names: Iterable[str] = (), points: int = POINTS) -> None:
        """Without names all metrics are taken."""
        self._names = frozenset(names)
        self._points = points
        self._found: set[str] = set(self._names)
        self._length = 1
        self._blocks: list[_Block] = []
        self.last_step = 0

    def take(self, step: int, time: tuple[int, int], metrics: Mapping[str, float]) -> None:
        """Takes one step; `time` in seconds since 1970 and nanoseconds."""
        number = (step - 1) // self._length
        if not self._blocks or self._blocks[-1].number != number:
            self._blocks.append(_Block(number, step, time))
        block = self._blocks[-1]
        block.step, block.time = step, time
        self.last_step = step
        sums, names = block.sums, self._names
        for name, value in metrics.items():
            if names and name not in names:
                continue
            known = sums.get(name)
            if known is None:
                sums[name] = _Sums(value)
                self._found.add(name)
            else:
                known.add(value, value, value, 1)
        while len(self._blocks) > self._points:
            self._double()

    def _double(self) -> None:
        self._length *= 2
        merged: list[_Block] = []
        for block in self._blocks:
            block.number //= 2
            if not merged or merged[-1].number != block.number:
                merged.append(block)
                continue
            last = merged[-1]
            last.step, last.time = block.step, block.time
            for name, new in block.sums.items():
                known = last.sums.get(name)
                if known is None:
                    last.sums[name] = new
                else:
                    known.add(new.total, new.smallest, new.largest, new.count)
        self._blocks = merged

    def series(self) -> Sequence[pb.MetricSeries]:
        """The series, in order of names; those that were asked for and not found are empty."""
        while len(self._blocks) > 1 and len(self._blocks) * len(self._found) > POINTS_IN_ALL:
            self._double()
        found = []
        for name in sorted(self._found):
            series = pb.MetricSeries(name=name)
            for block in self._blocks:
                sums = block.sums.get(name)
                if sums is not None:
                    point = series.points.add(
                        step=block.step,
                        mean=sums.total / sums.count,
                        min=sums.smallest,
                        max=sums.largest,
                        count=sums.count,
                    )
                    point.time.seconds, point.time.nanos = block.time
            found.append(series)
        return found
