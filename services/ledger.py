"""What owners hold and have used, and where there is room: the runner's books between two passes of the scheduler."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from gradwire.services.accounts import Accounts, charge, limits_storage
from gradwire.services.scheduling import Account, Inventory, Node, Policy, Running, Shape, Wait, Waiting
from gradwire.services.scheduling.books import Books
from gradwire.services.scheduling.decisions import Code
from gradwire.services.scheduling.reasons import Reasons
from gradwire.services.scheduling.shares import charged, decayed, dominant_share
from gradwire.services.store import Store

CHARGE_S = 60.0
"""Usage is stored so often: a service that is killed forgets that much."""
STORED_S = 5.0
"""What owners store is asked for so often, where anyone has a quota of it."""


class Room:
    """What is free on each node, counted with what workers really hold."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._free = {node.name: [node.gpus, node.cpus] for node in nodes}

    def take(self, shape: Shape, nodes: Sequence[str], if_free: bool = False) -> bool:
        """Takes one worker's room on each of `nodes`; with `if_free` all or none. Nodes that are gone have none to take."""
        wanted: dict[str, int] = {}
        for name in nodes:
            wanted[name] = wanted.get(name, 0) + 1
        if if_free:
            for name, workers in wanted.items():
                gpus, cpus = self._free.get(name, (0, 0))
                short = (shape.gpus and workers * shape.gpus > gpus) or (
                    shape.cpus and workers * shape.cpus > cpus
                )
                if short:
                    return False
        for name, workers in wanted.items():
            if (free := self._free.get(name)) is not None:
                free[0] -= workers * shape.gpus
                free[1] -= workers * shape.cpus
        return True

    def take_any(self, shape: Shape, count: int, known: Sequence[str]) -> tuple[str, ...]:
        """Takes room for `count` workers: on the nodes that are known, for the rest on those that have most."""
        nodes = list(known[:count])
        self.take(shape, nodes)
        while len(nodes) < count and self._free:
            most = max(sorted(self._free), key=lambda name: self._free[name][0 if shape.gpus else 1])
            self.take(shape, (most,))
            nodes.append(most)
        return tuple(nodes)


@dataclass(frozen=True, slots=True)
class Holding:
    """What an owner's running jobs hold now."""

    gpus: int = 0
    cpus: int = 0
    jobs: int = 0


class Ledger:
    """Accounts as the scheduler sees them. `look` is called by the runner's thread, the rest by any."""

    def __init__(self, store: Store, policy: Policy, look_soon: Callable[[], None]) -> None:
        """`look_soon` makes the runner make a pass: accounts have changed."""
        self.look_soon, self._store = look_soon, store
        accounts = Accounts(store.engine)
        self._accounts, self._policy = accounts, policy
        self._lock = threading.Lock()
        self._usage: dict[str, tuple[float, float]] = {}
        self._shares: Mapping[str, float] = {}
        self._holdings: Mapping[str, Holding] = {}
        self._stored: Mapping[str, int] = {}
        self._stored_at = self._charged_at = 0.0
        self._unstored = False
        self._reasons: Reasons | None = None
        self._known: Mapping[str, Account] = {}

    def look(self, nodes: Sequence[Node], running: Sequence[Running], now: float) -> Inventory:
        """Charges what was held since the last time, and says what there is and whose."""
        rows = self._accounts.rows()
        if limits_storage(rows.values()) and now - self._stored_at >= STORED_S:
            self._stored, self._stored_at = self._accounts.stored_bytes(), now
        with self._lock:
            self._charge(rows, now)
            self._hold(nodes, running)
            known = {
                owner: replace(
                    rows.get(owner, Account()),
                    usage=usage,
                    usage_at=at,
                    stored_bytes=self._stored.get(owner, 0),
                )
                for owner, (usage, at) in self._usage.items()
            }
            inventory = Inventory(tuple(nodes), known)
            self._known = known
            self._reasons = Reasons(Books((), inventory, self._policy, now))
        if now - self._charged_at >= CHARGE_S:
            self.close(now)
        return inventory

    def _charge(self, rows: Mapping[str, Account], now: float) -> None:
        for owner, row in rows.items():
            self._usage.setdefault(owner, (row.usage, row.usage_at))
        for owner in self._shares:
            self._usage.setdefault(owner, (0.0, now))
        for owner, (usage, at) in self._usage.items():
            share = self._shares.get(owner, 0.0)
            self._unstored = self._unstored or share > 0
            self._usage[owner] = (
                charged(usage, share, now - at, self._policy.half_life_s),
                max(now, at),
            )

    def _hold(self, nodes: Sequence[Node], running: Sequence[Running]) -> None:
        gpus, cpus = sum(node.gpus for node in nodes), sum(node.cpus for node in nodes)
        holdings: dict[str, Holding] = {}
        for job in running:
            had, count = holdings.get(job.owner, Holding()), len(job.nodes)
            holdings[job.owner] = Holding(
                had.gpus + count * job.shape.gpus, had.cpus + count * job.shape.cpus, had.jobs + 1
            )
        self._holdings = holdings
        self._shares = {
            owner: dominant_share(held.gpus, held.cpus, gpus, cpus) for owner, held in holdings.items()
        }

    def close(self, now: float) -> None:
        """Stores what was charged."""
        with self._lock:
            usages, self._charged_at = {owner: usage for owner, (usage, _) in self._usage.items()}, now
            unstored, self._unstored = self._unstored, False
        if unstored:
            self._store.write_leading(lambda connection: charge(connection, usages, now)).result()

    def holding(self, owner: str) -> Holding:
        """What an owner's running jobs held at the last pass."""
        return self._holdings.get(owner, Holding())

    def recent_share(self, owner: str, now: float) -> float:
        """An owner's recent average part of the whole."""
        with self._lock:
            usage, at = self._usage.get(owner, (0.0, now))
        return decayed(usage, now - at, self._policy.half_life_s)

    def account(self, owner: str) -> Account:
        """An owner's account at the last pass."""
        return self._known.get(owner, Account())

    def refused(self, job: Waiting) -> Wait | None:
        """Why a job can never run, or may not be stored now for what its owner stores; None where it may wait."""
        with self._lock:
            if self._reasons is None:
                return None
            if (reason := self._reasons.never(job)) is not None:
                return reason
            short = self._reasons.books.files_short(job)
            return None if short is None else Wait(job.job_id, Code.QUOTA, *short)
