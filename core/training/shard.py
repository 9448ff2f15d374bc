"""ShardStep: forward and backward of one shard of one step. The only code that runs the user's model in training.

Every way of running a job (alone, in threads, on a cluster) calls exactly this, shard by shard, never on more than
one shard at once: the batch's shape is part of the bits.
"""

from __future__ import annotations

import functools
import hashlib
import random as python_random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..backends import to_device
from ..creation import full_like
from ..data import fetch
from ..data.collate import takes_many
from ..grad_mode import no_grad
from ..grad_mode import state as grad_state
from ..nn import Module
from ..random import keyed
from ..tensor import Tensor
from .job import Job
from .layout import ParameterLayout
from .plan import split

__all__ = ["GradientWatch", "Leaf", "LossError", "ShardStep", "metrics_of", "same_names", "seeded"]


class LossError(ValueError):
    """What the user's `loss` or `evaluate` returned can't be used; the message says why."""


@dataclass
class Leaf:
    """What one shard contributes to a step.

    vector: like `layout.flat`: gradients of weight * loss, then the floating buffers after this shard. None in evaluation.
    scalars: float64 [weight, samples, 1, weight * metric, …] in order of `names`.
    used: one byte for each parameter, 1 where the shard's graph reached it.
    integers: the integer buffers after this shard.
    """

    vector: Any
    scalars: np.ndarray[Any, np.dtype[np.float64]]
    names: tuple[str, ...]
    used: bytes = b""
    integers: bytes = b""


@contextmanager
def seeded(*key: int | str) -> Iterator[None]:
    """All random numbers within (gradwire's, NumPy's global and Python's) follow from `key`."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=16, person=b"global").digest()
    np.random.seed(np.frombuffer(digest, "<u4"))
    python_random.seed(digest)
    with keyed(*key):
        yield


class GradientWatch(Protocol):
    """Who wants to know of a shard's gradients while its backward still runs."""

    def begin(self, vector: Any) -> None:
        """Takes the leaf's vector, in which only the gaps between parameters are filled yet."""

    def ready(self, parameter: int, again: bool) -> None:
        """The gradient of a parameter lies in the vector; `again`: it was there before, and has changed."""


class ShardStep:
    """Runs shards of `job` on a model whose parameters lie in `layout`."""

    def __init__(self, job: Job, model: Module, layout: ParameterLayout) -> None:
        self.job, self.model, self.layout = job, model, layout
        own_collate = type(job).collate is not Job.collate
        self._collate = job.collate if own_collate else None

    def run(
        self,
        dataset: Any,
        step: int,
        shard: int,
        rows: Any,
        integers: bytes = b"",
        watch: GradientWatch | None = None,
        onto: Any = None,
        scale: float = 1.0,
        on_loss: Callable[[Tensor], None] | None = None,
    ) -> Leaf:
        """Forward, loss and backward of the rows of one shard, from the parameters and buffers of `layout.flat`.

        onto: a vector to add the leaf's to, in place, instead of making one: the same bits, and a third of the traffic.
        scale: a factor of all gradients. on_loss: given each loss before its backward.
        """
        layout = self.layout
        for p in layout.parameters:
            p.grad = None
        layout.write_buffers(integers)
        self.model.train()
        *first, last = self._micro_batches(rows)
        with seeded(self.job.seed, "step", step, shard):
            names, scalars = None, None
            for part in first:
                loss, weight, names, found = self._loss(dataset, part, names)
                scalars = found if scalars is None else scalars + found
                if on_loss is not None:
                    on_loss(loss)
                root, gradient = _root(loss, weight, scale)
                root.backward(gradient=gradient)
                del loss, root  # its graph goes before the next one is made
            loss, weight, names, found = self._loss(dataset, last, names)
            scalars = found if scalars is None else scalars + found
            if on_loss is not None:
                on_loss(loss)
            root, gradient = _root(loss, weight, scale)
            if watch is not None:
                vector = layout.new_vector()
                watch.begin(vector)
                used = self._backward_watched(root, gradient, vector, watch)
            else:
                root.backward(gradient=gradient)
                vector = layout.new_vector() if onto is None else onto
                used = layout.read_gradients(vector) if onto is None else layout.add_gradients(vector)
        if onto is None:
            layout.read_buffers(vector)
        else:
            layout.add_buffers(vector)
        for p in layout.parameters:
            p.grad = None
        scalars[2] = 1.0  # one leaf, of however many parts
        return Leaf(vector, scalars, names, bytes(used), layout.integer_buffers())

    def _micro_batches(self, rows: Any) -> list[Any]:
        """The rows in the parts that are run one after the other."""
        n = self.job.accumulate
        if n == 1:
            return [rows]
        bounds = [split(len(rows), n, i) for i in range(n)]
        return [rows[start:stop] for start, stop in bounds if start < stop]

    def _loss(
        self, dataset: Any, rows: Any, names_before: tuple[str, ...] | None
    ) -> tuple[Tensor, float, tuple[str, ...], Any]:
        """Loss, weight, names of the metrics and scalars of some rows, checked."""
        job = type(self.job).__name__
        batch = self._batch(dataset, rows)
        loss, weight, names, values = _parts(self.job.loss(self.model, batch), "loss", job, len(rows))
        if not loss.requires_grad:
            raise LossError(f"{job}.loss() returned a tensor that does not depend on the model's parameters")
        if names_before is not None and names != names_before:
            raise LossError(
                f"{job}: the parts of one shard returned different metrics, {', '.join(names_before)} and {', '.join(names)}; "
                "return the same names in the same order for every batch"
            )
        return loss, weight, names, _scalars(weight, len(rows), values)

    def _backward_watched(
        self, loss: Tensor, gradient: Tensor, vector: Any, watch: GradientWatch
    ) -> bytearray:
        """Backward that puts every gradient into `vector` as soon as it is final; 1 for each parameter that has one."""
        layout = self.layout
        there = bytearray(len(layout.parameters))

        def put(i: int, p: Tensor) -> None:
            if p.grad is not None:
                s = layout.parameter_segments[i]
                vector[s.start : s.stop] = p.grad._array.reshape(-1)
                again, there[i] = bool(there[i]), 1
                watch.ready(i, again)

        hooks = [
            p.register_post_accumulate_grad_hook(functools.partial(put, i))
            for i, p in enumerate(layout.parameters)
        ]
        grad_state.early = frozenset(map(id, layout.parameters))
        try:
            loss.backward(gradient=gradient)
        finally:
            grad_state.early = None
            for hook in hooks:
                hook.remove()
        return layout.read_gradients(vector, there)

    def evaluate(self, dataset: Any, epoch: int, batch: int, shard: int, rows: Any) -> Leaf:
        """Metrics of one shard of one batch of held-out data."""
        self.model.eval()
        with seeded(self.job.seed, "eval", epoch, batch, shard), no_grad():
            data = self._batch(dataset, rows)
            _, weight, names, values = _parts(
                self.job.evaluate(self.model, data), "evaluate", type(self.job).__name__, len(rows)
            )
        return Leaf(None, _scalars(weight, len(rows), values), names)

    def _batch(self, dataset: Any, rows: Any) -> Any:
        if self._collate is not None or not takes_many(dataset):
            batch = fetch(dataset, rows, self._collate or self.job.collate)
        else:
            batch = fetch(dataset, rows)
        return batch if self.layout.device.type == "cpu" else _on_device(batch, self.layout.device)


def _on_device(batch: Any, device: Any) -> Any:
    if isinstance(batch, Tensor):
        return Tensor._wrap(to_device(batch._array, device))
    if isinstance(batch, Mapping):
        return {k: _on_device(v, device) for k, v in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_on_device(v, device) for v in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(_on_device(v, device) for v in batch)
    return batch


def _root(loss: Tensor, weight: float, scale: float) -> tuple[Tensor, Tensor]:
    """What backward begins at, and with which gradient: in float32 at least where a scale is to fit."""
    root = loss.float() if scale != 1.0 and loss.dtype.itemsize == 2 else loss
    return root, full_like(root, weight * scale)


def _scalars(weight: float, samples: int, values: list[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([weight, samples, 1.0, *(weight * v for v in values)], np.float64)


def _parts(
    result: Any, method: str, job: str, samples: int
) -> tuple[Tensor, float, tuple[str, ...], list[float]]:
    """Loss, weight, metric names and values of what the user's method returned, checked."""
    where = f"{job}.{method}()"
    given = dict(result) if isinstance(result, Mapping) else {"loss": result}
    loss = given.get("loss")
    if not isinstance(loss, Tensor):
        kind = (
            f"a dict with {', '.join(map(str, given)) or 'nothing'}"
            if isinstance(result, Mapping)
            else type(result).__name__
        )
        raise LossError(f'{where}: expected a scalar tensor, or a dict with one under "loss", got {kind}')
    weight = given.pop("weight", samples)
    names, values = [], []
    for name, value in given.items():
        number = (
            value._array.size == 1
            if isinstance(value, Tensor)
            else isinstance(value, (int, float, np.generic))
        )
        if not isinstance(name, str) or not number:
            shape = (
                f"a tensor of shape {tuple(value.shape)}"
                if isinstance(value, Tensor)
                else type(value).__name__
            )
            hint = "; reduce it, for example with .mean()" if isinstance(value, Tensor) else ""
            raise LossError(f"{where}: expected {name!r} to be a scalar, got {shape}{hint}")
        names.append(name)
        values.append(float(value.item() if isinstance(value, Tensor) else value))
    weight = float(weight.item() if isinstance(weight, Tensor) else weight)
    if not weight >= 0.0 or weight == float("inf"):
        raise LossError(f'{where}: expected "weight" to be a finite number of at least 0, got {weight}')
    return loss, weight, tuple(names), values


def same_names(leaves: Sequence[Leaf], job: str) -> tuple[str, ...]:
    """The names of the metrics, which all shards of a step must share. Raises LossError."""
    names = leaves[0].names
    for leaf in leaves:
        if leaf.names != names:
            raise LossError(
                f"{job}: the shards of one step returned different metrics, {', '.join(names)} and {', '.join(leaf.names)}; "
                "return the same names in the same order for every batch"
            )
    return names


def metrics_of(scalars: np.ndarray[Any, np.dtype[np.float64]], names: tuple[str, ...]) -> dict[str, float]:
    """Means from summed scalars."""
    weight = scalars[0]
    return {n: float(s / weight) if weight else float("nan") for n, s in zip(names, scalars[3:], strict=True)}
