"""What is held and free in the course of one decision: of nodes, by owners, by jobs. Kept by passes.py and its neighbours."""

from collections.abc import Callable, Sequence
from math import inf

from gradwire.services.scheduling.decisions import Limit
from gradwire.services.scheduling.model import Account, Inventory, Policy, Quota, Running, Shape, Waiting
from gradwire.services.scheduling.placement import Free, Placement
from gradwire.services.scheduling.shares import dominant_share, score


class Live:
    """A job that holds workers: one that runs, or one started in this decision. `nodes` are indices by rank, None where the node is gone."""

    __slots__ = (
        "ends",
        "job",
        "level",
        "nodes",
        "paused_for",
        "started",
        "started_at",
        "stop",
        "taken",
        "taken_for",
    )

    def __init__(self, job: Waiting | Running, nodes: list[int | None], level: int, started: bool) -> None:
        self.job = job
        self.nodes = nodes
        self.level = level
        self.started = started
        self.started_at = 0.0
        self.ends = inf
        self.stop: Limit | None = None
        self.paused_for: str | None = None
        self.taken: list[int] = []
        self.taken_for = ""

    @property
    def settled(self) -> bool:
        """True where single workers can be taken or given: it runs, and nothing was decided on it yet."""
        job = self.job
        return isinstance(job, Running) and job.settled and self.stop is None and self.paused_for is None

    @property
    def ranks(self) -> list[int]:
        """The ranks that it keeps."""
        if not self.taken:
            return list(range(len(self.nodes)))
        return [rank for rank in range(len(self.nodes)) if rank not in self.taken]

    @property
    def lent(self) -> list[int]:
        """The ranks that can be taken from it."""
        if len(self.nodes) <= self.job.minimum:
            return []
        return [rank for rank in self.ranks if rank >= self.job.minimum]

    @property
    def order_key(self) -> tuple[float, float, int]:
        """In which order jobs are expected to end: known ends first, then who runs longest."""
        return self.ends, self.started_at, self.job.order


class Held:
    """What one owner's jobs hold."""

    __slots__ = ("cpus", "gpus", "jobs", "storage_bytes")

    def __init__(self) -> None:
        self.gpus = self.cpus = self.jobs = self.storage_bytes = 0


class Books:
    """Free resources and holdings, changed as the decision is made."""

    def __init__(self, running: Sequence[Running], inventory: Inventory, policy: Policy, now: float) -> None:
        self.policy = policy
        self.now = now
        self.nodes = sorted(inventory.nodes, key=lambda node: node.name)
        self.index = {node.name: k for k, node in enumerate(self.nodes)}
        if len(self.index) != len(self.nodes):
            raise ValueError("decide: two nodes have the same name")
        self.total = Free([node.gpus for node in self.nodes], [node.cpus for node in self.nodes])
        self.all_gpus, self.all_cpus = sum(self.total.gpus), sum(self.total.cpus)
        self.free = self.total.copy()
        self.accounts = inventory.accounts
        self.held: dict[str, Held] = {}
        self._shares: dict[str, float] = {}
        self._limited: dict[str, bool] = {}
        self.claims: dict[str, list[tuple[Waiting, int, int]]] = {}
        self.live: dict[str, Live] = {}
        for job in sorted(running, key=lambda each: each.order):
            live = Live(job, [self.index.get(name) for name in job.nodes], job.level, started=False)
            live.started_at = job.started_at
            live.ends = inf if job.ends_by is None else max(job.ends_by, now)
            if job.ends_by is not None and job.ends_by <= now:
                live.stop = Limit.WALL_TIME
            elif not job.settled and job.place_by is not None and job.place_by <= now:
                live.stop = Limit.GANG_DEADLINE
            if live.stop is not None:
                live.ends = now
            self.live[job.job_id] = live
            self._count(job, len(live.nodes), 1)
            for node in live.nodes:
                if node is not None:
                    self.free.give(node, job.shape, -1)
            if live.settled and len(live.nodes) > job.maximum:
                self.take(live, range(job.maximum, len(live.nodes)), "")

    def account(self, owner: str) -> Account:
        """An owner's account, the default one where it has none."""
        return self.accounts.get(owner) or _DEFAULT

    def share(self, owner: str) -> float:
        """What an owner holds and recently held, by its weight: who gives first when workers are taken."""
        known = self._shares.get(owner)
        if known is None:
            held = self.held.get(owner) or _NOTHING
            share = dominant_share(held.gpus, held.cpus, self.all_gpus, self.all_cpus)
            known = score(self.account(owner), share, 0.0, self.now, self.policy.half_life_s)
            self._shares[owner] = known
        return known

    def score(self, job: Waiting | Running, workers: int) -> float:
        """shares.score of a job's owner, at this point of the decision, for so many more workers of this job."""
        gpus, cpus = job.shape
        asked = dominant_share(workers * gpus, workers * cpus, self.all_gpus, self.all_cpus)
        return self.share(job.owner) + asked / 2 / self.account(job.owner).weight

    def start_score(self, job: Waiting) -> float:
        """The score for a start."""
        return self.score(job, job.minimum)

    def start(self, job: Waiting, placement: Placement, level: int) -> Live:
        """Books a start."""
        nodes: list[int | None] = [node for node, workers in placement for _ in range(workers)]
        live = Live(job, nodes, level, started=True)
        live.started_at = self.now
        live.ends = inf if job.longest_s is None else self.now + job.longest_s
        self.live[job.job_id] = live
        self._count(job, len(nodes), 1)
        for node, workers in placement:
            self.free.give(node, job.shape, -workers)
        return live

    def grow(self, live: Live, node: int) -> None:
        """Books one more worker."""
        live.nodes.append(node)
        self._count(live.job, 1, 0)
        self.free.give(node, live.job.shape, -1)

    def take(self, live: Live, ranks: Sequence[int], starts: str) -> None:
        """Books the loss of lent ranks."""
        live.taken.extend(ranks)
        live.taken_for = starts
        self._count(live.job, -len(ranks), 0)
        self._release(live, ranks)

    def pause(self, live: Live, starts: str) -> None:
        """Books the loss of all workers."""
        ranks = live.ranks
        self._count(live.job, -len(ranks), -1)
        self._release(live, ranks)
        live.paused_for = starts
        del self.live[live.job.job_id]

    def _release(self, live: Live, ranks: Sequence[int]) -> None:
        for rank in ranks:
            node = live.nodes[rank]
            if node is not None:
                self.free.give(node, live.job.shape, 1)

    def _count(self, job: Waiting | Running, workers: int, jobs: int) -> None:
        held = self.held.setdefault(job.owner, Held())
        held.gpus += workers * job.shape.gpus
        held.cpus += workers * job.shape.cpus
        held.jobs += jobs
        held.storage_bytes += jobs * job.storage_bytes
        self._shares.pop(job.owner, None)

    def claim(self, job: Waiting, level: int, place: int) -> None:
        """Keeps of its owner's quota what this job needs: the owner's jobs at later places leave it alone."""
        if self.limited(job.owner):
            self.claims.setdefault(job.owner, []).append((job, level, place))

    def limited(self, owner: str) -> bool:
        """True for an owner with any quota."""
        known = self._limited.get(owner)
        if known is None:
            known = self._limited[owner] = self.account(owner).quota != _UNLIMITED
        return known

    def files_short(self, job: Waiting) -> tuple[str, int, int] | None:
        """Where what the owner has stored leaves too little, so that no job's end would help: (resource, needed, left)."""
        account = self.account(job.owner)
        limit = account.quota.storage_bytes
        if limit is None or account.stored_bytes + job.storage_bytes <= limit:
            return None
        left = max(limit - account.stored_bytes, 0)
        if job.storage_bytes == 0 or job.storage_bytes <= left:
            # A full store stops also those who declared that they would add nothing.
            return "storage_bytes", 1, 0
        return "storage_bytes", job.storage_bytes, left

    def quota_short(
        self, job: Waiting, without: Held | None = None, place: float = inf
    ) -> tuple[str, int, int] | None:
        """What of its owner's quota is short for the least this job needs: (resource, needed, left), None where nothing is.

        `without` is subtracted from what the owner holds; what others of it claim at places before `place` is added.
        """
        if not self.limited(job.owner):
            return None
        account = self.account(job.owner)
        held = self.held.get(job.owner) or _NOTHING
        less = without or _NOTHING
        needs = least_needs(job)
        ahead = self.ahead(job, place)
        for resource in QUOTA_RESOURCES:
            limit = getattr(account.quota, resource)
            if limit is None or not needs[resource]:
                continue
            used = getattr(held, resource) - getattr(less, resource)
            used += sum(least_needs(other)[resource] for other in ahead)
            if resource == "storage_bytes":
                used += account.stored_bytes
            if used + needs[resource] > limit:
                return resource, needs[resource], max(limit - used, 0)
        return None

    def ahead(self, job: Waiting, place: float) -> list[Waiting]:
        """Who has a claim on the quota of this job's owner before it."""
        return [other for other, _, at in self.claims.get(job.owner, ()) if at < place and other is not job]

    def lent_of(self, owner: str, level: int) -> Held:
        """What an owner's jobs hold on loan that a job of this level may take back."""
        total = Held()
        for live in self.live.values():
            if live.job.owner == owner and (live.settled or live.started) and live.job.priority <= level:
                count = len(live.lent)
                total.gpus += count * live.job.shape.gpus
                total.cpus += count * live.job.shape.cpus
        return total

    def may_grow(self, live: Live) -> bool:
        """True where the quota has room for one more worker, besides claims of those who could not take it back."""
        owner, shape = live.job.owner, live.job.shape
        if not self.limited(owner):
            return True
        held, quota = self.held[owner], self.account(owner).quota
        gpus, cpus = held.gpus + shape.gpus, held.cpus + shape.cpus
        for job, level, _ in self.claims.get(owner, ()):
            if live.job.priority > level:
                gpus += job.minimum * job.shape.gpus
                cpus += job.minimum * job.shape.cpus
        if quota.gpus is not None and shape.gpus and gpus > quota.gpus:
            return False
        return quota.cpus is None or not shape.cpus or cpus <= quota.cpus


class Slots:
    """Room for workers of each shape asked for, kept up to date node by node: its sum and maximum answer most questions.

    `free` gives the room of now; a second `Free` narrows it to what is left beside a reservation.
    """

    __slots__ = ("_known", "_narrow", "_wide")

    def __init__(self, wide: Free, narrow: Free | None = None) -> None:
        self._wide = wide
        self._narrow = narrow
        self._known: dict[Shape, tuple[list[int], int, int]] = {}

    def of(self, shape: Shape) -> tuple[list[int], int, int]:
        """Workers by node, their sum and their maximum."""
        known = self._known.get(shape)
        if known is None:
            room = [max(each, 0) for each in self._wide.slots(shape)]
            if self._narrow is not None:
                room = [min(a, max(b, 0)) for a, b in zip(room, self._narrow.slots(shape), strict=True)]
            known = self._known[shape] = (room, sum(room), max(room, default=0))
        return known

    def fits(self, job: Waiting) -> bool:
        """True where all the workers it needs have room at once."""
        _, together, most = self.of(job.shape)
        return job.minimum <= (most if job.one_host else together)

    def changed(self, nodes: Sequence[int]) -> None:
        """Says that what is free on these nodes has changed."""
        for shape, (room, together, most) in list(self._known.items()):
            again = False
            for node in nodes:
                new = max(self._wide.room(node, shape), 0)
                if self._narrow is not None:
                    new = min(new, max(self._narrow.room(node, shape), 0))
                together += new - room[node]
                again = again or room[node] == most
                room[node] = new
                most = max(most, new)
            self._known[shape] = (room, together, max(room, default=0) if again else most)


def least_needs(job: Waiting) -> dict[str, int]:
    """What a start takes at least, by the names of a quota's resources."""
    return {
        "gpus": job.minimum * job.shape.gpus,
        "cpus": job.minimum * job.shape.cpus,
        "jobs": 1,
        "storage_bytes": job.storage_bytes,
    }


QUOTA_RESOURCES = ("gpus", "cpus", "jobs", "storage_bytes")
_DEFAULT = Account()
_UNLIMITED = Quota()
_NOTHING = Held()
Fits = Callable[[int], bool]


def first_true(count: int, fits: Fits) -> int | None:
    """The smallest k of 0..count with fits(k), for a test that stays true once it is; None where it never is."""
    if not fits(count):
        return None
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if fits(middle):
            high = middle
        else:
            low = middle + 1
    return low
