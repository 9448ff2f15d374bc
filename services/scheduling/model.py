"""What a scheduling decision is made from: jobs that wait and run, nodes, owners' accounts, the policy.

Plain frozen values; `now` and all other times are seconds of one clock, whichever the caller has. Filled by the
service from its store and cluster, by simulation.py and by tests from thin air.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple


class Shape(NamedTuple):
    """What one worker takes of a node. (A tuple: it is hashed a dozen times for each job of a pass.)"""

    gpus: int
    cpus: int


@dataclass(frozen=True, slots=True)
class Node:
    """A host and all it has, in use or not."""

    name: str
    gpus: int
    cpus: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job in the queue: submitted, resumed, preempted, or between two attempts.

    `order` is its place among all submissions (unique, smaller is earlier) and `since` the time of its submission: both stay with it
    when it is preempted. `longest_s` is what its limits on wall time leave to its next attempt, None where there is no limit.
    `not_before` is the end of a pause after a loss. `one_host` asks for all workers on one node.
    """

    job_id: str
    owner: str
    order: int
    shape: Shape
    minimum: int = 1
    maximum: int = 1
    priority: int = 0
    since: float = 0.0
    longest_s: float | None = None
    not_before: float = -inf
    storage_bytes: int = 0
    one_host: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.maximum:
            raise ValueError(
                f"job {self.job_id}: expected 1 <= minimum <= maximum workers, got {self.minimum} and {self.maximum}"
            )
        if min(self.shape) < 0 or max(self.shape) == 0:
            raise ValueError(f"job {self.job_id}: a worker takes at least one GPU or CPU, got {self.shape}")


@dataclass(frozen=True, slots=True)
class Running:
    """A job with workers: `nodes[r]` is where rank r runs.

    The first `minimum` ranks are its own until it ends or is paused; those after them are lent and can be taken back one by one.
    It may have fewer or more than its range where its owner has just changed that: then it is brought into it, with idle workers.
    `level` is that of the `Start` it runs by. `ends_by` is when a limit stops it, None where none does. `settled` is
    False while its group is being formed or changed, and `place_by` is then the deadline for that. `resized_at` is the time of its start or last change of workers.
    """

    job_id: str
    owner: str
    order: int
    shape: Shape
    nodes: tuple[str, ...]
    minimum: int = 1
    maximum: int = 1
    priority: int = 0
    level: int = 0
    started_at: float = 0.0
    resized_at: float = 0.0
    ends_by: float | None = None
    settled: bool = True
    place_by: float | None = None
    storage_bytes: int = 0
    one_host: bool = False


@dataclass(frozen=True, slots=True)
class Quota:
    """The most an owner's running jobs hold at one time, and the most bytes it stores; None is no limit."""

    gpus: int | None = None
    cpus: int | None = None
    jobs: int | None = None
    storage_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """One owner: `weight` is its part of the whole beside others', `usage` what shares.py has charged it up to `usage_at`."""

    weight: float = 1.0
    quota: Quota = Quota()
    usage: float = 0.0
    usage_at: float = 0.0
    stored_bytes: int = 0

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ValueError(f"Account: weight must be positive, got {self.weight}")


@dataclass(frozen=True, slots=True)
class Inventory:
    """All nodes, and the accounts of owners; an owner without one has the default `Account()`."""

    nodes: tuple[Node, ...]
    accounts: Mapping[str, Account] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Policy:
    """The service's settings, all times in seconds.

    A job's level is its priority, plus one for each `aging_s` it has waited. What ran for less than `preempt_after_s` is not paused; what
    was resized less than `grow_after_s` ago does not grow. A gang that does not stand after `gang_deadline_s` is
    withdrawn. Usage halves in weight every `half_life_s`. `backfill` lets jobs behind one that waits for room start where they don't delay it.
    """

    aging_s: float = 1800.0
    preempt_after_s: float = 120.0
    grow_after_s: float = 60.0
    gang_deadline_s: float = 300.0
    half_life_s: float = 4 * 3600.0
    backfill: bool = True
    preempt: bool = True

    def __post_init__(self) -> None:
        for name in ("aging_s", "gang_deadline_s", "half_life_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"Policy: {name} must be positive, got {getattr(self, name)}")
        for name in ("preempt_after_s", "grow_after_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"Policy: {name} must not be negative, got {getattr(self, name)}")
