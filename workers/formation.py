"""How a group goes on after it is formed anew: a pure decision that every member makes alike. Used by handover.py.

A **formation** says who takes part. Its members then tell each other where they stand (`Status`), and everything else
follows from that by rule:

- A rank that has seen every rank prepared may have applied the step: then all finish it (nothing is lost, since each
  slice's reduced gradient lies with its owner and its neighbour). Where nobody has seen that, nobody has changed anything,
  and the step goes on from the leaves that are there.
- Leaves that a member has summed stay with it; the missing ones are dealt to those who have fewest.
- Who needs a part of the optimizer's state gets it from the lowest rank that holds it, itself first.

Steps count finished steps; ranges are elements [start, stop) of the flat vector.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from gradwire.training import owned_range
from gradwire.workers.reports import OptionsChanged

__all__ = [
    "Formation",
    "Resolution",
    "StateLostError",
    "Status",
    "Transfer",
    "assigned_leaves",
    "balanced",
    "neighbours",
    "resolve",
    "transfers",
]

Range = tuple[int, int]
WORTH_MOVING = 1.25
"""How many times faster a step must become for leaves to move from slow ranks to fast ones."""


class StateLostError(Exception):
    """Both copies of a part of the state are gone: only a checkpoint can help."""


@dataclass(frozen=True)
class Formation:
    """Who takes part in one generation of a group, as one of them, of rank `rank`, is told it.

    The first `workers` ranks train; the others only give their state away. `hosts`: where each rank lives.
    """

    generation: int
    rank: int
    workers: int
    addresses: tuple[Any, ...]
    hosts: tuple[str, ...]
    secret: bytes
    reason: str
    at_boundary: bool = False
    """Form after the step that is being made, instead of at once."""
    from_checkpoint: bool = False
    """Forget what is in memory and go on from `resume`."""
    resume: str | None = None
    """Checkpoint to begin from where no member has state; None: from the job's beginning."""
    told_step: int = 0
    """What was reported up to this step needs no second telling."""
    told_checkpoint: int = 0
    """The newest step of which a checkpoint was reported."""
    options_history: tuple[OptionsChanged, ...] = ()
    """Every change of options that was reported."""


@dataclass(frozen=True)
class Status:
    """Where a member stands when a group is formed.

    step: finished steps; None where it has no state yet.
    passed: it saw all ranks prepared in the step after these, which therefore will be finished.
    settled: what follows `step` finished steps (evaluation, checkpoint) is done.
    nodes: (level, index) of the sums it has of the step after these.
    slices: whose optimizer state it holds.
    """

    step: int | None = None
    passed: bool = False
    settled: bool = True
    nodes: tuple[tuple[int, int], ...] = ()
    slices: tuple[Range, ...] = ()

    def encoded(self) -> bytes:
        """As bytes of JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decoded(cls, body: bytes) -> Status:
        """Back from `encoded`."""
        fields: dict[str, Any] = json.loads(body)
        pairs = {name: tuple((int(a), int(b)) for a, b in fields[name]) for name in ("nodes", "slices")}
        return cls(**{**fields, **pairs})


@dataclass(frozen=True)
class Resolution:
    """step: finished steps from which all go on; None: from the checkpoint, or the beginning. settle: what follows these
    steps is to be done (again)."""

    step: int | None
    settle: bool = False
    behind: tuple[int, ...] = ()
    """Ranks that have yet to finish the last one of these steps, which they are prepared for."""
    fresh: tuple[int, ...] = ()
    """Ranks that have no state."""
    donor: int = field(default=0)
    """The lowest rank that has all that is common to all ranks."""


def resolve(statuses: Sequence[Status], size: int) -> Resolution:
    """From which step a group goes on, `size` being the elements of the flat vector. Raises StateLostError."""
    known = {rank: s for rank, s in enumerate(statuses) if s.step is not None}
    if not known:
        return Resolution(None)
    reached = {rank: int(s.step or 0) + s.passed for rank, s in known.items()}
    step = max(reached.values())
    behind = tuple(rank for rank, s in known.items() if s.step == step - 1)
    if any(s.step not in (step, step - 1) for s in known.values()):
        steps = ", ".join(f"rank {rank}: {s.step}" for rank, s in known.items())
        raise StateLostError(f"the ranks are more than one step apart ({steps})")
    missing = _uncovered([r for s in known.values() for r in s.slices], size)
    if missing is not None:
        raise StateLostError(
            f"both copies of the optimizer's state from element {missing} on are gone with the ranks that held them"
        )
    there = [rank for rank in known if rank not in behind]
    return Resolution(
        step,
        settle=bool(behind) or not all(known[rank].settled for rank in there),
        behind=behind,
        fresh=tuple(rank for rank in range(len(statuses)) if rank not in known),
        donor=min(there or known),
    )


def _uncovered(ranges: Sequence[Range], size: int) -> int | None:
    """The first element of [0, size) that lies in none of the ranges, or None."""
    at = 0
    for start, stop in sorted(ranges):
        if start > at:
            return at
        at = max(at, stop)
    return at if at < size else None


def assigned_leaves(done: Sequence[Sequence[Range]], workers: int, leaves: int) -> list[list[int]]:
    """Which leaves of a step each of `workers` ranks has yet to compute, in ascending order.

    done: (level, index) of the sums that each rank has already. Nothing done: contiguous parts of equal size.
    """
    if not any(done[:workers]):
        return [list(owned_range(rank, workers, leaves)) for rank in range(workers)]
    load = [sum(1 << level for level, _ in nodes) for nodes in done[:workers]]
    there = {
        leaf
        for nodes in done[:workers]
        for level, index in nodes
        for leaf in range(index << level, (index + 1) << level)
    }
    result: list[list[int]] = [[] for _ in range(workers)]
    for leaf in range(leaves):
        if leaf not in there:
            rank = load.index(min(load))
            load[rank] += 1
            result[rank].append(leaf)
    return result


def balanced(seconds: Sequence[float], leaves: int) -> list[int]:
    """How many leaves each rank gets so that the slowest is done as early as can be; at least one each.

    seconds: what a leaf takes each rank. Equal numbers, as far as that goes, where the gain would be below `WORTH_MOVING`.
    """
    workers = len(seconds)
    even = [len(owned_range(rank, workers, leaves)) for rank in range(workers)]
    counts = [1] * workers
    for _ in range(leaves - workers):
        rank = min(range(workers), key=lambda r: ((counts[r] + 1) * seconds[r], r))
        counts[rank] += 1
    slowest = [max(n * t for n, t in zip(numbers, seconds, strict=True)) for numbers in (even, counts)]
    return counts if slowest[1] * WORTH_MOVING < slowest[0] else even


def neighbours(hosts: Sequence[str]) -> list[int]:
    """For every rank, the rank that keeps a copy of its slice: on another host as far as there is room.

    Each rank keeps one; itself where it is alone.
    """
    of_host = {host: [rank for rank, h in enumerate(hosts) if h == host] for host in hosts}
    order = [rank for ranks in of_host.values() for rank in ranks]
    # Turned by the fullest host's number of ranks, the circle meets a host again only where it has more than half of them.
    turn = 1 if len(of_host) == 1 else max(map(len, of_host.values()))
    keepers = {rank: order[(at + turn) % len(order)] for at, rank in enumerate(order)}
    return [keepers[rank] for rank in range(len(hosts))]


@dataclass(frozen=True)
class Transfer:
    """Elements [start, stop) that `source` gives to `dest`; they may be the same rank."""

    source: int
    dest: int
    start: int
    stop: int


def transfers(needs: Sequence[Sequence[Range]], holds: Sequence[Sequence[Range]]) -> list[Transfer]:
    """Who gives what to whom. Raises StateLostError where nobody holds what is needed."""
    borders = sorted({border for ranges in holds for r in ranges for border in r})
    result: list[Transfer] = []
    for dest, ranges in enumerate(needs):
        for start, stop in ranges:
            cuts = [start, *(b for b in borders if start < b < stop), stop]
            for at, end in pairwise(cuts):
                if at == end:
                    continue
                source = _holder(holds, dest, at, end)
                last = result[-1] if result else None
                if last is not None and (last.source, last.dest, last.stop) == (source, dest, at):
                    result[-1] = Transfer(source, dest, last.start, end)
                else:
                    result.append(Transfer(source, dest, at, end))
    return result


def _holder(holds: Sequence[Sequence[Range]], dest: int, start: int, stop: int) -> int:
    for rank in (dest, *range(len(holds))):
        if any(a <= start and stop <= b for a, b in holds[rank]):
            return rank
    raise StateLostError(f"nobody holds the elements {start} to {stop} of the optimizer's state any more")
