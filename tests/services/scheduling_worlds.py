"""Generated states of a cluster for the scheduler's tests, and what a decision makes of one, by rules of their own.

A world comes from a seed and sizes: hypothesis shrinks the sizes, and a hundred thousand are made in minutes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf

from hypothesis import strategies as st

from gradwire.services.scheduling import (
    Account,
    Decision,
    Grow,
    Inventory,
    Node,
    Pause,
    Policy,
    Quota,
    Running,
    Shape,
    Shrink,
    Start,
    Waiting,
    decide,
)

SHAPES = (Shape(1, 0), Shape(1, 2), Shape(0, 1), Shape(2, 1), Shape(0, 3))
OWNERS = ("ann", "bob", "cy")


@dataclass(frozen=True)
class World:
    """All that one decision is made from."""

    queue: tuple[Waiting, ...]
    running: tuple[Running, ...]
    inventory: Inventory
    policy: Policy
    now: float

    @cached_property
    def _decided(self) -> list[Decision]:
        return decide(self.queue, self.running, self.inventory, self.policy, self.now)

    def decide(self) -> list[Decision]:
        """The decision in this world, made once for all the promises that it is asked about."""
        return list(self._decided)

    def with_(self, **changes: object) -> World:
        """This world with other values."""
        return replace(self, **changes)  # type: ignore[arg-type]


def free(world: World) -> dict[str, list[int]]:
    """[GPUs, CPUs] that nobody holds, by node."""
    left = {node.name: [node.gpus, node.cpus] for node in world.inventory.nodes}
    for job in world.running:
        for name in job.nodes:
            if name in left:
                left[name][0] -= job.shape.gpus
                left[name][1] -= job.shape.cpus
    return left


def room(left: dict[str, list[int]], shape: Shape) -> list[int]:
    """Workers of one shape that fit on each node, counted one by one."""
    counts = []
    for gpus, cpus in left.values():
        count = 0
        while gpus >= shape.gpus and cpus >= shape.cpus:
            gpus, cpus, count = gpus - shape.gpus, cpus - shape.cpus, count + 1
            if count > 10_000:
                raise AssertionError("a worker that takes nothing")
        counts.append(count)
    return counts


def fits(left: dict[str, list[int]], job: Waiting) -> bool:
    """True where the least that a job needs has room."""
    counts = room(left, job.shape)
    return job.minimum <= (max(counts, default=0) if job.one_host else sum(counts))


def owned(world: World, owner: str) -> Counter[str]:
    """What an owner's running jobs hold, by the names of a quota."""
    held: Counter[str] = Counter()
    for job in world.running:
        if job.owner == owner:
            held["gpus"] += len(job.nodes) * job.shape.gpus
            held["cpus"] += len(job.nodes) * job.shape.cpus
            held["jobs"] += 1
            held["storage_bytes"] += job.storage_bytes
    return held


def within_quota(world: World, job: Waiting) -> bool:
    """True where a job's owner may hold the least it needs besides what it holds."""
    account = world.inventory.accounts.get(job.owner, Account())
    held, quota = owned(world, job.owner), account.quota
    needs = {"gpus": job.minimum * job.shape.gpus, "cpus": job.minimum * job.shape.cpus, "jobs": 1}
    for name, amount in needs.items():
        limit = getattr(quota, name)
        if limit is not None and amount and held[name] + amount > limit:
            return False
    limit = quota.storage_bytes
    if limit is None:
        return True
    if account.stored_bytes > limit:
        return False
    return job.storage_bytes == 0 or held["storage_bytes"] + account.stored_bytes + job.storage_bytes <= limit


def runs(job: Waiting, start: Start, now: float) -> Running:
    """A waiting job with the workers that a start gives it, settled at once."""
    return Running(
        job.job_id,
        job.owner,
        job.order,
        job.shape,
        start.nodes,
        job.minimum,
        job.maximum,
        job.priority,
        start.level,
        now,
        now,
        None if job.longest_s is None else now + job.longest_s,
        True,
        start.place_by,
        job.storage_bytes,
        job.one_host,
    )


def waits(job: Running, since: float, longest_s: float | None) -> Waiting:
    """A running job that was paused."""
    return Waiting(
        job.job_id,
        job.owner,
        job.order,
        job.shape,
        job.minimum,
        job.maximum,
        job.priority,
        since,
        longest_s,
        storage_bytes=job.storage_bytes,
        one_host=job.one_host,
    )


def after(world: World, decisions: Sequence[Decision]) -> World:
    """The world once the decisions are carried out, in their order: paused jobs wait again, stopped ones hold what they have until they are gone."""
    queue = {job.job_id: job for job in world.queue}
    running = {job.job_id: job for job in world.running}
    for each in decisions:
        if isinstance(each, Start):
            job = queue.pop(each.job_id)
            running[each.job_id] = runs(job, each, world.now)
        elif isinstance(each, Grow | Shrink):
            running[each.job_id] = replace(running[each.job_id], nodes=each.nodes, resized_at=world.now)
        elif isinstance(each, Pause):
            gone = running.pop(each.job_id)
            left = None if gone.ends_by is None else gone.ends_by - world.now
            queue[each.job_id] = waits(gone, gone.started_at, left)
    return world.with_(queue=tuple(queue.values()), running=tuple(running.values()))


def make(seed: int, nodes: int, waiting: int, running: int) -> World:
    """A world whose running jobs fit on its nodes."""
    dice = random.Random(seed)
    now = 10_000.0
    hosts = tuple(
        Node(f"n{k}", dice.choice((0, 2, 4, 8, 8)), dice.choice((2, 4, 8, 16))) for k in range(nodes)
    )
    limited = dice.random() < 0.5

    def limit(*choices: int) -> int | None:
        return dice.choice((None, None, *choices)) if limited else None

    accounts = {
        owner: Account(
            dice.choice((0.5, 1.0, 1.0, 3.0)),
            Quota(limit(2, 6, 12), limit(4, 16), limit(0, 1, 3), limit(0, 100)),
            dice.choice((0.0, 0.0, 0.3)),
            now - dice.choice((0.0, 3600.0)),
            dice.choice((0, 0, 50, 101)) if limited else 0,
        )
        for owner in OWNERS
        if dice.random() < 0.8
    }
    policy = Policy(
        aging_s=dice.choice((600.0, 3600.0, inf)),
        preempt_after_s=dice.choice((0.0, 120.0)),
        grow_after_s=dice.choice((0.0, 60.0)),
        backfill=dice.random() < 0.9,
        preempt=dice.random() < 0.8,
    )
    orders = list(range(waiting + running))
    dice.shuffle(orders)
    world = World((), (), Inventory(hosts, accounts), policy, now)
    left = free(world)
    busy: list[Running] = []
    for k in range(running):
        shape = dice.choice(SHAPES)
        minimum = dice.randint(1, 4)
        maximum = minimum + dice.choice((0, 0, 1, 4))
        wanted = dice.randint(minimum, maximum)
        one_host = dice.random() < 0.2
        names = list(left)
        dice.shuffle(names)
        given: list[str] = []
        for name in names:
            while len(given) < wanted and left[name][0] >= shape.gpus and left[name][1] >= shape.cpus:
                left[name][0] -= shape.gpus
                left[name][1] -= shape.cpus
                given.append(name)
            if one_host and len(given) >= minimum:
                break
            if one_host:
                for back in given:
                    left[back][0] += shape.gpus
                    left[back][1] += shape.cpus
                given = []
        if len(given) < minimum:
            for back in given:
                left[back][0] += shape.gpus
                left[back][1] += shape.cpus
            continue
        priority = dice.choice((0, 0, 0, 1, 5))
        started = now - dice.choice((0.0, 50.0, 1000.0, 5000.0))
        settled = dice.random() < 0.85
        busy.append(
            Running(
                f"r{k}",
                dice.choice(OWNERS),
                orders[k],
                shape,
                tuple(given),
                minimum,
                maximum,
                priority,
                priority + dice.choice((0, 0, 1, 3)),
                started,
                max(started, now - dice.choice((0.0, 30.0, 500.0))),
                dice.choice((None, now + 100, now + 1000, now + 1000, now + 7000, now - 1)),
                settled,
                None if settled else now + dice.choice((100.0, -1.0)),
                dice.choice((0, 0, 30)),
                one_host,
            )
        )
    # Some owners have changed their job's range a moment ago.
    for k, each in enumerate(busy):
        if dice.random() < 0.1:
            least = len(each.nodes) + dice.randint(1, 3)
            busy[k] = replace(each, minimum=least, maximum=max(each.maximum, least))
        elif dice.random() < 0.1 and len(each.nodes) > 1:
            busy[k] = replace(each, minimum=1, maximum=len(each.nodes) - 1)
    queue: list[Waiting] = []
    for k in range(waiting):
        minimum = dice.choice((1, 1, 2, 3, 4, 8, 12))
        queue.append(
            Waiting(
                f"w{k}",
                dice.choice(OWNERS),
                orders[running + k],
                dice.choice(SHAPES),
                minimum,
                minimum + dice.choice((0, 0, 2, 6)),
                dice.choice((0, 0, 0, 1, 5)),
                now - dice.choice((0.0, 10.0, 700.0, 5000.0)),
                dice.choice((None, 50.0, 500.0, 5000.0, 5000.0, 0.0)),
                now + dice.choice((-1.0, -1.0, -1.0, -1.0, 0.0, 30.0)),
                dice.choice((0, 0, 30, 200)),
                dice.random() < 0.25,
            )
        )
    return world.with_(queue=tuple(queue), running=tuple(busy))


worlds = st.builds(make, st.integers(0, 2**40), st.integers(1, 5), st.integers(0, 9), st.integers(0, 9))
