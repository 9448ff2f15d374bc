"""One step as every rank makes it: its own leaves, the sum over all ranks, the slice owners' update, the new parameters.

The same code runs at every number of workers, one included; the bits are those of `gradwire.training.train_solo`.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gradwire.backends import to_device, to_numpy
from gradwire.optim import Optimizer
from gradwire.training import (
    Leaf,
    LossError,
    NonFiniteLoss,
    ParameterLayout,
    Plan,
    ShardStep,
    metrics_of,
)
from gradwire.workers.exchange import Exchange
from gradwire.workers.failures import user_code
from gradwire.workers.tree import Node, TreeStack, canonical_nodes

__all__ = ["OwnerFactory", "SliceOwner", "StepResult", "TrainingStep"]

Array = Any


class SliceOwner(Protocol):
    """Who updates one slice of the flat vector; `gradwire.services.optimizer.SliceOptimizer` is one."""

    step_counts: list[int]

    @property
    def needs_norm(self) -> bool: ...

    def finish(self, total: Array, weight: float, leaves: float) -> np.ndarray[Any, np.dtype[np.float64]]: ...

    def apply(self, generation: int, step: int, used: Sequence[int], sums: np.ndarray[Any, Any]) -> Array: ...

    def state_slices(self) -> list[tuple[str, int, Array]]: ...

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


class TrainingStep:
    """Makes the steps of one rank. `dataset`, `held_out`: what the job's data methods returned."""

    def __init__(
        self,
        shard_step: ShardStep,
        plan: Plan,
        owner: SliceOwner,
        exchange: Exchange,
        dataset: Any,
        held_out: Any,
    ) -> None:
        self._shard_step, self._plan, self._owner, self._exchange = shard_step, plan, owner, exchange
        self._layout = shard_step.layout
        self._dataset, self._held_out = dataset, held_out
        self._bounds = [self._layout.slice_bounds(r, exchange.world_size) for r in range(exchange.world_size)]
        self._next = np.empty(self._layout.size, self._layout.dtype)
        self.integers = self._layout.integer_buffers()

    def run(self, step: int) -> StepResult:
        """Makes step `step` (from 0). Raises NonFiniteLoss, on every rank alike, before anything is changed."""
        layout, exchange = self._layout, self._exchange
        vectors, others = self._local_sums(step)
        note = _encode(others.nodes)
        part, notes = exchange.reduce_scatter(vectors.nodes, self._bounds, layout.dtype, note)
        total = _decoded_total(notes, exchange)
        metrics = metrics_of(total.scalars, total.names)
        if not math.isfinite(metrics["loss"]):
            raise NonFiniteLoss(f"the loss of step {step + 1} is {metrics['loss']}")
        sums = self._owner.finish(
            to_device(part, layout.device), float(total.scalars[0]), float(total.scalars[2])
        )
        if self._owner.needs_norm:
            sums = np.concatenate([np.frombuffer(s, np.float64) for s in exchange.all_gather_bytes(sums)])
        used = total.used.tolist()
        values = self._owner.apply(exchange.generation, step, used, sums)
        exchange.all_gather(np.ascontiguousarray(to_numpy(values)), self._bounds, self._next)
        layout.flat[...] = to_device(self._next, layout.device)
        self.integers = total.integers
        layout.write_buffers(self.integers)
        return StepResult(metrics, int(total.scalars[1]))

    def _local_sums(self, step: int) -> tuple[TreeStack[Any], TreeStack[_Sum]]:
        vectors: TreeStack[Any] = TreeStack(_add_into_left)
        others: TreeStack[_Sum] = TreeStack(_Sum.__add__)
        for v in self._exchange.owned_leaves:
            rows = self._plan.shard_rows(step, v)
            if len(rows) == 0:
                vectors.push_leaf(v, None)
                others.push_leaf(v, None)
                continue
            with user_code():
                leaf = self._shard_step.run(self._dataset, step, v, rows, self.integers)
                others.push_leaf(v, _Sum.of(leaf))
            vectors.push_leaf(v, leaf.vector)
        if self._layout.device.type != "cpu":
            on_host: TreeStack[Any] = TreeStack(_add_into_left)
            for node in vectors.nodes:
                value = None if node.value is None else to_numpy(node.value)
                on_host.push(Node(node.level, node.index, value))
            vectors = on_host
        return vectors, others

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
            total = _decoded_total(of_batch, exchange)
            names = total.names
            whole = total.scalars if whole is None else whole + total.scalars
        if whole is None:
            raise ValueError("there is no held-out data to evaluate on")
        return StepResult(metrics_of(whole, names), int(whole[1]))


def _add_into_left(left: Any, right: Any) -> Any:
    left += right
    return left


# A note is a rank's nodes of `_Sum`, as bytes: lengths, a line of JSON for what has names, then plain numbers.

_LENGTH = struct.Struct("<I")


def _encode(nodes: Sequence[Node[_Sum]]) -> bytes:
    there = [node.value for node in nodes if node.value is not None]
    first = there[0] if there else None
    head = json.dumps(
        {
            "there": [node.value is not None for node in nodes],
            "names": first.names if first else (),
            "used": len(first.used) if first else 0,
            "integers": len(first.integers) if first else 0,
        }
    ).encode()
    body = [part for s in there for part in (s.scalars.astype("<f8").tobytes(), s.used.tobytes())]
    return b"".join([_LENGTH.pack(len(head)), head, *body, first.integers if first else b""])


def _decode(note: bytes, places: Sequence[tuple[int, int]]) -> list[Node[_Sum]]:
    at = _LENGTH.size + _LENGTH.unpack_from(note)[0]
    head = json.loads(note[_LENGTH.size : at])
    names, used = tuple(head["names"]), head["used"]
    integers = note[len(note) - head["integers"] :] if head["integers"] else b""
    nodes: list[Node[_Sum]] = []
    for (level, index), there in zip(places, head["there"], strict=True):
        value = None
        if there:
            scalars = np.frombuffer(note, "<f8", 3 + len(names), at)
            at += scalars.nbytes
            value = _Sum(scalars, names, np.frombuffer(note, np.uint8, used, at), integers)
            at += used
        nodes.append(Node(level, index, value))
    return nodes


def _decoded_total(notes: Sequence[bytes], exchange: Exchange) -> _Sum:
    """The sum over all leaves, from the notes of all ranks in order. The first leaf is always there."""
    stack: TreeStack[_Sum] = TreeStack(_Sum.__add__)
    for rank, note in enumerate(notes):
        for node in _decode(note, canonical_nodes(exchange.leaves_of(rank))):
            stack.push(node)
    total = stack.root()
    if total is None:
        raise ValueError("every shard of the batch is empty")
    return total


def _joined(notes: Sequence[bytes]) -> bytes:
    return b"".join(_LENGTH.pack(len(note)) + note for note in notes)


def _split(payload: bytes) -> list[bytes]:
    notes, at = [], 0
    while at < len(payload):
        size = _LENGTH.unpack_from(payload, at)[0]
        notes.append(payload[at + _LENGTH.size : at + _LENGTH.size + size])
        at += _LENGTH.size + size
    return notes
