"""One step as every rank makes it: its own leaves, the sum over all ranks, the slice owners' update, the new parameters.

The same code runs at every number of workers, one included; the bits are those of `gradwire.training.train_solo`.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gradwire.backends import to_device, to_numpy
from gradwire.data.dataset import Batched
from gradwire.optim import Optimizer
from gradwire.training import (
    Leaf,
    LossError,
    NonFiniteLoss,
    Outcome,
    ParameterLayout,
    Plan,
    Scaling,
    ShardStep,
    block_checksums,
    culprit,
    metrics_of,
    non_finite_error,
    outcome_of,
    told_metrics,
)
from gradwire.workers.exchange import Exchange
from gradwire.workers.failures import user_code
from gradwire.workers.formation import balanced
from gradwire.workers.hierarchy import HostExchange
from gradwire.workers.overlap import OverlappedLeaf
from gradwire.workers.reduction import Reduction
from gradwire.workers.tree import Forest, Node, TreeStack, add_into_left, sum_of

__all__ = ["OwnerFactory", "Prepared", "SliceOwner", "Slices", "StepResult", "TrainingStep"]

Array = Any
SHARE_EVERY = 10
"""Steps of a group after which it is looked whether leaves should move from slow ranks to fast ones."""
BUCKET_BYTES = 4 << 20
"""Of gradients that leave together, while others are computed."""


class SliceOwner(Protocol):
    """Who updates one slice of the flat vector; `gradwire.services.optimizer.SliceOptimizer` is one."""

    start: int
    stop: int
    step_counts: list[int]
    finite: bool

    @property
    def needs_norm(self) -> bool: ...

    @property
    def divided(self) -> Array: ...

    def finish(self, total: Array, weight: float, leaves: float) -> np.ndarray[Any, np.dtype[np.float64]]: ...

    def adopt(self, divided: Array) -> None: ...

    def apply(self, generation: int, step: int, used: Sequence[int], sums: np.ndarray[Any, Any]) -> Array: ...

    def state_slices(self) -> list[tuple[str, int, Array]]: ...

    def load_pieces(
        self, pieces: Iterable[tuple[str, int, np.ndarray[Any, Any]]], step_counts: Mapping[str, int]
    ) -> None: ...

    def load_state(
        self, arrays: Mapping[str, np.ndarray[Any, Any]], step_counts: Mapping[str, int]
    ) -> None: ...


class OwnerFactory(Protocol):
    """Makes the owner of the elements `bounds` of `layout.flat`."""

    def __call__(
        self, optimizer: Optimizer, layout: ParameterLayout, bounds: tuple[int, int], max_norm: float | None
    ) -> SliceOwner: ...


@dataclass(frozen=True)
class StepResult:
    """Means over a global batch, or over the held-out data, and the number of samples."""

    metrics: dict[str, float]
    samples: int


@dataclass
class _Sum:
    """Everything but the vector that is summed over leaves; `integers` are those of the first leaf."""

    scalars: np.ndarray[Any, np.dtype[np.float64]]
    names: tuple[str, ...]
    used: np.ndarray[Any, np.dtype[np.uint8]]
    integers: bytes

    @classmethod
    def of(cls, leaf: Leaf) -> _Sum:
        return cls(leaf.scalars, leaf.names, np.frombuffer(leaf.used, np.uint8), leaf.integers)

    def __add__(self, other: _Sum) -> _Sum:
        if self.names != other.names:
            raise LossError(
                f"the shards of one batch returned different metrics ({', '.join(self.names)}; "
                f"{', '.join(other.names)}): return the same names for every batch"
            )
        return _Sum(self.scalars + other.scalars, self.names, self.used | other.used, self.integers)


@dataclass(frozen=True)
class Slices:
    """What a rank holds of the optimizer: its own slice, and a live copy of the slice of rank `kept`.

    keeper: who keeps the copy of the own slice. Without neighbours both are the rank itself, and there is no copy.
    """

    own: SliceOwner
    copy: SliceOwner | None
    keeper: int
    kept: int

    @property
    def held(self) -> list[SliceOwner]:
        """All of them."""
        return [self.own] if self.copy is None else [self.own, self.copy]


@dataclass
class Prepared:
    """A step whose reduced gradients lie with the owners and the keepers: it can be finished, and undone by forgetting it.

    passed: every rank was seen prepared; from then on it is finished, whoever dies. `sums`: all block sums, known then.
    """

    generation: int
    step: int
    result: StepResult
    used: list[int]
    integers: bytes
    orders: list[dict[str, Any]]
    sums: np.ndarray[Any, np.dtype[np.float64]]
    finite: bool = True
    """Whether the reduced gradient is, known then."""
    outcome: Outcome = Outcome.MADE
    """Known then."""
    passed: bool = False
    checksums: np.ndarray[Any, np.dtype[np.uint64]] | None = None
    """Of all blocks of `next`, known when all slices are there."""

    def told(self) -> bytes:
        """What `TrainingStep.hear` takes in place of what all ranks said."""
        return bytes([self.finite]) + self.sums.tobytes()


class TrainingStep:
    """Makes the steps of one rank, in one group after the other. `dataset`, `held_out`: what the job's data methods returned.

    reach: told the name of each place where a rank may die (faults.py).
    """

    def __init__(
        self,
        shard_step: ShardStep,
        plan: Plan,
        dataset: Any,
        held_out: Any,
        reach: Callable[[str, int], None] = lambda point, step: None,
        check: Callable[[], None] = lambda: None,
        bucket_bytes: int = BUCKET_BYTES,
    ) -> None:
        self._shard_step, self._plan = shard_step, plan
        self._layout = shard_step.layout
        self._dataset, self._held_out = dataset, held_out
        self._reach, self._check, self._bucket_bytes = reach, check, bucket_bytes
        self._reduction: Reduction | None = None
        self.next = np.empty(self._layout.size, self._layout.dtype)
        """Parameters and buffers after the step that is being made, on the host."""
        self.integers = self._layout.integer_buffers()
        self.scaling = Scaling.first(shard_step.job, self._layout.dtype)
        self.prepared: Prepared | None = None
        """The newest step that was prepared here: the one being made, or the last one finished."""
        self._summed: tuple[int, Forest[Any], Forest[_Sum]] | None = None

    def enter(
        self,
        exchange: Exchange,
        slices: Slices,
        todo: Sequence[int] | None = None,
        hosts: Sequence[str] = (),
    ) -> None:
        """Goes on in a new group. todo: leaves of the interrupted step that fell to this rank; None: it begins with a step.

        hosts: where the ranks live; '' or nothing where all live on one.
        """
        self._exchange, self.slices = exchange, slices
        by_host = HostExchange(exchange, hosts) if len(set(hosts)) > 1 else None
        self._by_host = by_host if by_host is not None and by_host.pays else None
        self._todo, self._reduction = todo, None
        self._counts: list[int] | None = None
        self._steps_here, self._leaf_seconds = 0, 0.0
        self.exchange_s = 0.0
        self._bounds = [self._layout.slice_bounds(r, exchange.world_size) for r in range(exchange.world_size)]

    def summed(self, step: int) -> list[tuple[int, int]]:
        """(level, index) of the sums of leaves of `step` that are here."""
        if self._summed is None or self._summed[0] != step:
            return []
        return [(node.level, node.index) for node in self._summed[2].nodes]

    def run(self, step: int, orders: Sequence[Mapping[str, Any]] = ()) -> Prepared:
        """Makes step `step` (from 0) up to the instant before it counts: `next` holds the result, `commit` makes it so.

        orders: what this rank, where it is the first, tells all others to do after the step; they come back in `Prepared`.
        Raises NonFiniteLoss, on every rank alike, before anything is changed.
        """
        layout, exchange, number = self._layout, self._exchange, step + 1
        vectors, others = self._local_sums(step)
        self._reach("computed", number)
        began = time.perf_counter()
        note = _encode(others.nodes, orders if exchange.rank == 0 else (), self._leaf_seconds)
        if self._by_host is not None:
            part, notes = self._by_host.reduce_scatter(vectors.nodes, self._bounds, layout.dtype, note)
        else:
            reduction = self._reduction or exchange.reduction(self._bounds, layout.dtype)
            self._reduction = None
            part, notes = reduction.finish(layout.size, vectors.nodes, note)
        self.exchange_s = time.perf_counter() - began
        self._reach("reduced", number)
        total, told, seconds = _decoded_total(notes)
        self._share(seconds)
        metrics = metrics_of(total.scalars, total.names)
        if outcome_of(self._shard_step.job, self.scaling, metrics["loss"], True) is Outcome.FAILED:
            raise self._failure(step, metrics["loss"])
        own, copy = self.slices.own, self.slices.copy
        weight = float(total.scalars[0]) * self.scaling.scale
        sums = own.finish(to_device(part, layout.device), weight, float(total.scalars[2]))
        if copy is not None:
            divided = np.empty(copy.stop - copy.start, layout.dtype)
            ours = np.ascontiguousarray(to_numpy(own.divided))
            began = time.perf_counter()
            exchange.pass_on(self.slices.keeper, self.slices.kept, ours, divided)
            self.exchange_s += time.perf_counter() - began
            copy.adopt(to_device(divided, layout.device))
            self._reach("passed-on", number)
        prepared = Prepared(
            exchange.generation,
            step,
            StepResult(metrics, int(total.scalars[1])),
            total.used.tolist(),
            total.integers,
            told,
            np.empty(0),
        )
        self.prepared = prepared
        self._reach("prepared", number)
        # Whoever has heard from all knows that all are prepared, and decides from what all say of their slices.
        said = bytes([own.finite]) + (sums.tobytes() if own.needs_norm else b"")
        began = time.perf_counter()
        heard = exchange.all_gather_bytes(said)
        self.exchange_s += time.perf_counter() - began
        self.hear(prepared, heard)
        self._reach("passed", number)
        self.apply(prepared)
        self._reach("applied", number)
        start, stop = self._bounds[exchange.rank]
        gather = exchange.all_gather if self._by_host is None else self._by_host.all_gather
        began = time.perf_counter()
        gather(self.next[start:stop], self._bounds, self.next)
        self.exchange_s += time.perf_counter() - began
        self._reach("gathered", number)
        return prepared

    def hear(self, prepared: Prepared, said: Sequence[bytes]) -> None:
        """Takes what all ranks say of their slices, or what one who heard it tells. Raises NonFiniteLoss, on all ranks alike."""
        job = self._shard_step.job
        prepared.finite = all(each[0] for each in said)
        prepared.sums = np.frombuffer(b"".join(each[1:] for each in said), np.float64)
        result = prepared.result
        prepared.outcome = outcome_of(job, self.scaling, result.metrics["loss"], prepared.finite)
        if prepared.outcome is Outcome.FAILED:
            raise self._failure(prepared.step, result.metrics["loss"])
        metrics = told_metrics(job, self.scaling, result.metrics, prepared.outcome)
        prepared.result = StepResult(metrics, result.samples)
        prepared.passed = True

    def _failure(self, step: int, loss: float) -> NonFiniteLoss:
        """The error of all ranks alike; each looks for what made it so in shards of its own."""
        mine, exchange = self._exchange.owned_leaves, self._exchange
        found = culprit(
            self._shard_step, self._plan, self._dataset, step, mine, self.integers, self.scaling.scale, loss
        )
        told = (each.decode() for each in exchange.all_gather_bytes(found.encode()))
        return non_finite_error(step, loss, next(filter(None, told), ""))

    def apply(self, prepared: Prepared) -> None:
        """Updates the slices held here and puts their new values into `next`; a second time changes nothing."""
        for owner in self.slices.held:
            if prepared.outcome is Outcome.SKIPPED:
                self.next[owner.start : owner.stop] = to_numpy(self._layout.flat[owner.start : owner.stop])
                continue
            values = owner.apply(prepared.generation, prepared.step, prepared.used, prepared.sums)
            if owner.stop > owner.start:
                self.next[owner.start : owner.stop] = to_numpy(values)

    def commit(self, prepared: Prepared) -> np.ndarray[Any, np.dtype[np.uint64]]:
        """Swaps: what lies in `next` is the state from now on. Returns the checksums of its blocks."""
        self._layout.flat[...] = to_device(self.next, self._layout.device)
        if prepared.outcome is Outcome.MADE:
            self.integers = prepared.integers
        self.scaling = self.scaling.after(self._shard_step.job, prepared.outcome)
        self._layout.write_buffers(self.integers)
        self._summed = self._todo = None
        # Who finished the step with what others gave it has heard no checksums.
        return block_checksums(self.next) if prepared.checksums is None else prepared.checksums

    def _local_sums(self, step: int) -> tuple[Forest[Any], Forest[_Sum]]:
        """Sums of this rank's leaves, those from before an interruption among them."""
        if self._summed is None or self._summed[0] != step:
            self._summed = (step, Forest(add_into_left), Forest(_Sum.__add__))
        _, vectors, others = self._summed
        on_host = self._layout.device.type == "cpu"
        todo = self._share_now() if self._todo is None else self._todo
        self._reach("computing", step + 1)
        began = time.perf_counter()
        if isinstance(self._dataset, Batched) and todo:
            with user_code():
                self._dataset.fetch(np.concatenate([self._plan.shard_rows(step, v) for v in todo]))
        for v in todo:
            self._check()
            rows = self._plan.shard_rows(step, v)
            if len(rows) == 0:
                vectors.push_leaf(v, None)
                others.push_leaf(v, None)
                continue
            watch = self._overlapped(vectors, v) if v == todo[-1] else None
            with user_code():
                onto = None if watch is not None else vectors.sibling(v)
                leaf = self._shard_step.run(
                    self._dataset, step, v, rows, self.integers, watch, onto, self.scaling.scale
                )
                others.push_leaf(v, _Sum.of(leaf))
            if watch is None:
                vectors.push_leaf(v, leaf.vector, _add_unless_there)
            else:
                watch.finish()
            self._reach("computed-a-leaf", step + 1)
        if todo:
            # Smoothed, so that one long leaf moves nothing.
            taken = (time.perf_counter() - began) / len(todo)
            self._leaf_seconds = taken if not self._leaf_seconds else 0.8 * self._leaf_seconds + 0.2 * taken
        # Leaves that are here are not computed again where the exchange is interrupted.
        self._todo = ()
        if on_host:
            return vectors, others
        there: Forest[Any] = Forest(add_into_left)
        there.extend(
            Node(n.level, n.index, None if n.value is None else to_numpy(n.value)) for n in vectors.nodes
        )
        return there, others

    def _share(self, seconds: Sequence[float]) -> None:
        """Deals the leaves of the next steps, alike on all ranks: slow ranks get fewer. It changes no bit."""
        self._steps_here += 1
        if self._steps_here % SHARE_EVERY == 0 and all(seconds):
            self._counts = balanced(seconds, self._plan.shards)

    def _share_now(self) -> range:
        """This rank's leaves in an ordinary step."""
        if self._counts is None:
            return self._exchange.owned_leaves
        first = sum(self._counts[: self._exchange.rank])
        return range(first, first + self._counts[self._exchange.rank])

    def _overlapped(self, vectors: Forest[Any], leaf: int) -> OverlappedLeaf | None:
        """What sends the sums while this leaf, the rank's last, is computed; None where that would not pay."""
        layout, exchange = self._layout, self._exchange
        bucket = self._bucket_bytes // layout.dtype.itemsize
        if (
            exchange.world_size == 1
            or self._by_host is not None
            or layout.device.type != "cpu"
            or not self._shard_step.job.overlap_exchange
            or layout.size < 2 * bucket
        ):
            return None
        self._reduction = exchange.reduction(self._bounds, layout.dtype)
        return OverlappedLeaf(vectors, leaf, layout, self._reduction, bucket)

    def evaluate(self, epoch: int) -> StepResult:
        """Means over the held-out data, after the epoch `epoch` (from 0)."""
        plan, exchange = self._plan, self._exchange
        notes = []
        for batch in range(plan.eval_batches):
            stack: TreeStack[_Sum] = TreeStack(_Sum.__add__)
            for v in exchange.owned_leaves:
                rows = plan.eval_rows(batch, v)
                if len(rows) == 0:
                    stack.push_leaf(v, None)
                    continue
                with user_code():
                    leaf = self._shard_step.evaluate(self._held_out, epoch, batch, v, rows)
                    stack.push_leaf(v, _Sum.of(leaf))
            notes.append(_encode(stack.nodes))
        whole: np.ndarray[Any, Any] | None = None
        names: tuple[str, ...] = ()
        for of_batch in zip(*(_split(p) for p in exchange.all_gather_bytes(_joined(notes))), strict=True):
            total, _, _ = _decoded_total(of_batch)
            names = total.names
            whole = total.scalars if whole is None else whole + total.scalars
        if whole is None:
            raise ValueError("there is no held-out data to evaluate on")
        return StepResult(metrics_of(whole, names), int(whole[1]))


def _add_unless_there(left: Any, right: Any) -> Any:
    return left if left is right else add_into_left(left, right)


# A note is what a rank says beside its vectors: its nodes of `_Sum` and, from the first rank, orders. A length, a line of
# JSON for what has names, then plain numbers.

_LENGTH = struct.Struct("<I")


def _encode(
    nodes: Sequence[Node[_Sum]], orders: Sequence[Mapping[str, Any]] = (), seconds: float = 0.0
) -> bytes:
    there = [node.value for node in nodes if node.value is not None]
    first = there[0] if there else None
    head = json.dumps(
        {
            "nodes": [(node.level, node.index, node.value is not None) for node in nodes],
            "names": first.names if first else (),
            "used": len(first.used) if first else 0,
            "integers": len(first.integers) if first else 0,
            "orders": list(orders),
            "seconds": seconds,
        }
    ).encode()
    body = [part for s in there for part in (s.scalars.astype("<f8").tobytes(), s.used.tobytes())]
    return b"".join([_LENGTH.pack(len(head)), head, *body, first.integers if first else b""])


def _decode(note: bytes) -> tuple[list[Node[_Sum]], dict[str, Any]]:
    at = _LENGTH.size + _LENGTH.unpack_from(note)[0]
    head = json.loads(note[_LENGTH.size : at])
    names, used = tuple(head["names"]), head["used"]
    integers = note[len(note) - head["integers"] :] if head["integers"] else b""
    nodes: list[Node[_Sum]] = []
    for level, index, there in head["nodes"]:
        value = None
        if there:
            scalars = np.frombuffer(note, "<f8", 3 + len(names), at)
            at += scalars.nbytes
            value = _Sum(scalars, names, np.frombuffer(note, np.uint8, used, at), integers)
            at += used
        nodes.append(Node(level, index, value))
    return nodes, head


def _decoded_total(notes: Sequence[bytes]) -> tuple[_Sum, list[dict[str, Any]], list[float]]:
    """The sum over all leaves, from the notes of all ranks; the first rank's orders; the seconds a leaf took each rank."""
    nodes: list[Node[_Sum]] = []
    orders: list[dict[str, Any]] = []
    seconds: list[float] = []
    for note in notes:
        found, head = _decode(note)
        nodes += found
        orders += head["orders"]
        seconds.append(head["seconds"])
    total = sum_of(nodes, _Sum.__add__)  # the first leaf is always there
    if total is None:
        raise ValueError("every shard of the batch is empty")
    return total, orders, seconds


def _joined(notes: Sequence[bytes]) -> bytes:
    return b"".join(_LENGTH.pack(len(note)) + note for note in notes)


def _split(payload: bytes) -> list[bytes]:
    notes, at = [], 0
    while at < len(payload):
        size = _LENGTH.unpack_from(payload, at)[0]
        notes.append(payload[at + _LENGTH.size : at + _LENGTH.size + size])
        at += _LENGTH.size + size
    return notes
