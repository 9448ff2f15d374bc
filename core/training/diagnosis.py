"""Which operation made a loss or a gradient NaN or infinite: the shard that had it, run once more and watched closely."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..backends import module_of
from ..node import KIND_LEAF, KIND_SLOT
from ..observers import caller, watched_outputs
from ..tensor import Tensor
from .plan import Plan
from .scaling import NonFiniteGradient, NonFiniteLoss
from .shard import Leaf, ShardStep

__all__ = ["culprit", "non_finite_error"]

_FRAME = re.compile(r'File "(.+)", line (\d+), in (.+)')


def non_finite_error(step: int, loss: float, found: str) -> NonFiniteLoss:
    """The error that ends a job in step `step` (from 0); found: what `culprit` said, '' where it found nothing."""
    because = f": {found}" if found else ""
    if math.isfinite(loss):
        return NonFiniteGradient(
            f"the loss of step {step + 1} is {loss}, its gradient is not finite{because}"
        )
    return NonFiniteLoss(f"the loss of step {step + 1} is {loss}{because}")


def culprit(
    shard_step: ShardStep,
    plan: Plan,
    dataset: Any,
    step: int,
    shards: Iterable[int],
    integers: bytes,
    scale: float,
    loss: float,
) -> str:
    """What made the mean loss, or where that is finite its gradient, go wrong in the first of these shards; '' for nothing.

    It watches this thread's operations alone, so that ranks that are threads can look at the same time.
    """
    for shard in shards:
        rows = plan.shard_rows(step, shard)
        if not len(rows):
            continue
        watch = _Watch()
        try:
            with watched_outputs(watch.look), np.errstate(all="ignore"):
                leaf = shard_step.run(
                    dataset, step, shard, rows, integers, scale=scale, on_loss=watch.losses.append
                )
        except Exception:  # the job's own code, where it does not expect NaN: what ends the job is told
            continue
        found = watch.bad_loss() if not math.isfinite(loss) else watch.bad_backward(shard_step, leaf)
        if found:
            return f"{found}, in shard {shard}"
    return ""


class _Watch:
    """What goes wrong in one shard: 2 for NaN, 1 for infinite values, 0 for neither."""

    def __init__(self) -> None:
        self.losses: list[Tensor] = []
        self._outputs: dict[int, int] = {}
        self._traces: dict[int, str] = {}
        self._first: tuple[Any, int] | None = None

    def look(self, node: Any, outputs: tuple[Any, ...]) -> None:
        self._outputs[node.seq] = max(map(_badness, outputs), default=0)
        self._traces[node.seq] = caller()

        def after(grad_inputs: Any, grad_outputs: Any) -> None:
            if self._first is None and not _worst(grad_outputs) and (kind := _worst(grad_inputs)):
                self._first = node, kind

        node.register_hook(after)

    def bad_loss(self) -> str:
        """The operation whose output is bad and whose inputs are not, on the way to a loss."""
        for loss in self.losses:
            if not (kind := _badness(loss._array)) or loss._node is None:
                continue
            node = _node_of(loss._node)
            while True:
                below = [_node_of(e) for e in node.edges if e is not None and e.kind != KIND_LEAF]
                worst = max(below, key=lambda n: self._outputs.get(n.seq, 0), default=None)
                if worst is None or not self._outputs.get(worst.seq, 0):
                    return f"{_name(node)} made {_WHAT[kind]}{_place(self._traces.get(node.seq, ''))}"
                node = worst
        return ""

    def bad_backward(self, shard_step: ShardStep, leaf: Leaf) -> str:
        """The first operation whose backward made a bad gradient of a good one, else a parameter with a bad gradient."""
        if self._first is not None:
            node, kind = self._first
            return f"backward of {_name(node)} made {_WHAT[kind]}{_place(self._traces[node.seq])}"
        for s in shard_step.layout.parameter_segments:
            if kind := _badness(leaf.vector[s.start : s.stop]):
                return f"the gradient of {s.name} has {_WHAT[kind]}"
        return ""


_WHAT = {1: "infinite values", 2: "NaN"}


def _badness(array: Any) -> int:
    xp = module_of(array)
    if array.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
        return 0
    wide = array.astype(np.float32) if array.dtype.itemsize == 2 else array
    return 2 if bool(xp.isnan(wide).any()) else 1 if bool(xp.isinf(wide).any()) else 0


def _worst(tensors: Any) -> int:
    return max((_badness(t._array) for t in tensors if isinstance(t, Tensor)), default=0)


def _node_of(edge: Any) -> Any:
    return edge.node if edge.kind == KIND_SLOT else edge


def _name(node: Any) -> str:
    return str(node.name().partition("Backward")[0])


def _place(trace: str) -> str:
    """Where in the job's own code a traceback ends."""
    frames = [f for f in _FRAME.findall(trace) if not f[0].startswith("<")]
    return f" ({Path(frames[-1][0]).name}, line {frames[-1][1]}, in {frames[-1][2]})" if frames else ""
