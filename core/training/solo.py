"""The contract in its plainest form: one process, one loop over shards, the tree by recursion, the whole vector.

`python job.py` runs this, under pdb if you like. It is also the oracle: every other way of running a job must end
with its bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..backends import Device, to_numpy
from ..nn import Module
from ..optim import LBFGS, Optimizer
from ..optim.flat import apply_rule
from ..optim.lr_scheduler import ReduceLROnPlateau
from .digest import parameters_sha256
from .job import Job, JobFileError
from .layout import ParameterLayout
from .plan import Plan
from .rules import block_sums, clip_factor, tree_sum
from .shard import Leaf, ShardStep, metrics_of, same_names, seeded

__all__ = ["NonFiniteLoss", "SoloResult", "build", "state_arrays", "train_solo"]


class NonFiniteLoss(ArithmeticError):
    """The loss of a step became NaN or infinite."""


@dataclass
class SoloResult:
    """What a finished run left. `evaluation` holds the means over the held-out data after the last epoch."""

    parameters_sha256: str
    steps: int
    metrics: dict[str, float]
    evaluation: dict[str, float]
    model: Module
    history: list[dict[str, float]] = field(default_factory=list)


def build(job: Job, device: Device) -> tuple[Any, Any, Module, Optimizer, Any]:
    """Training data, held-out data, model on its device, optimizer and scheduler of a job, all from its seed."""
    with seeded(job.seed, "data"):
        train, held_out = job.train_data(), job.eval_data()
    name = type(job).__name__
    for part, data in (("train_data", train), ("eval_data", held_out)):
        if (data is not None or part == "train_data") and not (
            hasattr(data, "__len__") and hasattr(data, "__getitem__")
        ):
            raise JobFileError(
                f"{name}.{part}(): expected a data set with __len__ and __getitem__, got {type(data).__name__}"
            )
    with seeded(job.seed, "model"):
        model = job.model()
        if not isinstance(model, Module):
            raise JobFileError(f"{name}.model(): expected an nn.Module, got {type(model).__name__}")
        model.to(device)
        optimizer = job.optimizer(model)
        if not isinstance(optimizer, Optimizer):
            raise JobFileError(f"{name}.optimizer(): expected an Optimizer, got {type(optimizer).__name__}")
        _check_rule(optimizer, name)
        scheduler = job.scheduler(optimizer)
        if isinstance(scheduler, ReduceLROnPlateau):
            raise JobFileError(
                f"{name}.scheduler(): ReduceLROnPlateau needs a metric at each step, which a job's schedule does not get; "
                "use a schedule of the step number alone"
            )
        optimizer._opt_called = True  # the updates below are its steps, as far as the schedule is concerned
    return train, held_out, model, optimizer, scheduler


def _check_rule(optimizer: Optimizer, name: str) -> None:
    kind = type(optimizer).__name__
    if isinstance(optimizer, LBFGS):
        raise JobFileError(
            f"{name}.optimizer(): LBFGS evaluates the loss many times in a step, a job once; use another optimizer, or LBFGS in a "
            "loop of your own"
        )
    if type(optimizer).update is Optimizer.update:
        raise JobFileError(
            f"{name}.optimizer(): {kind} writes step(), which sees whole parameters; a job needs update(self, p, g, state, group, step)"
        )
    example = (2, 3)
    if any(
        shape != example
        for g in optimizer.param_groups
        for shape in optimizer.state_shapes(example, g).values()
    ):
        raise JobFileError(
            f"{name}.optimizer(): {kind} keeps state of other shapes than its parameters', for which a job's checkpoints have no place; "
            "use another optimizer"
        )


def state_arrays(model: Module) -> dict[str, np.ndarray[Any, Any]]:
    """The state dict as NumPy arrays."""
    return {n: to_numpy(t._array) for n, t in model.state_dict().items()}


def train_solo(
    job: Job,
    shards: int = 8,
    device: str | Device = "cpu",
    threads: int = 1,
    on_step: Callable[[Plan, int, dict[str, float]], None] | None = None,
    on_evaluation: Callable[[Plan, int, dict[str, float]], None] | None = None,
) -> SoloResult:
    """Trains `job` to its end in this process. Raises NonFiniteLoss, LossError, JobFileError, and what user code raises."""
    with threadpool_limits(threads):
        return _trained(job, shards, Device(device), on_step, on_evaluation)


def _trained(job: Job, shards: int, device: Device, on_step: Any, on_evaluation: Any) -> SoloResult:
    train, held_out, model, optimizer, scheduler = build(job, device)
    plan = Plan(job, len(train), 0 if held_out is None else len(held_out), shards)
    layout = ParameterLayout(model, optimizer, device)
    shard_step = ShardStep(job, model, layout)
    counts = [0] * len(layout.parameters)
    state: list[dict[str, Any]] = [
        optimizer.new_state(
            device.module,
            (s.stop - s.start,) if optimizer.elementwise else s.shape,
            layout.dtype,
            optimizer.param_groups[s.group],
        )
        for s in layout.parameter_segments
    ]
    integers = layout.integer_buffers()
    history: list[dict[str, float]] = []
    evaluation: dict[str, float] = {}
    for step in range(plan.total_steps):
        leaves: list[Leaf | None] = []
        for v in range(shards):
            rows = plan.shard_rows(step, v)
            leaves.append(shard_step.run(train, step, v, rows, integers) if len(rows) else None)
        present = [leaf for leaf in leaves if leaf is not None]
        names = same_names(present, type(job).__name__)
        total = tree_sum([leaf and leaf.vector for leaf in leaves])
        scalars = tree_sum([leaf and leaf.scalars for leaf in leaves])
        metrics = metrics_of(scalars, names)
        if not math.isfinite(metrics["loss"]):
            raise NonFiniteLoss(f"the loss of step {step + 1} is {metrics['loss']}")
        gradient = total[: layout.buffer_start] / layout.dtype.type(scalars[0])
        if job.clip_grad_norm is not None:
            _, factor = clip_factor(block_sums(device.module, gradient), job.clip_grad_norm)
            gradient *= layout.dtype.type(factor)
        for i, s in enumerate(layout.parameter_segments):
            if any(leaf.used[i] for leaf in present):
                counts[i] += 1
                group = optimizer.param_groups[s.group]
                p, g = layout.flat[s.start : s.stop], gradient[s.start : s.stop]
                if not optimizer.elementwise:
                    p, g = p.reshape(s.shape), g.reshape(s.shape)
                apply_rule(optimizer, p, g, state[i], group, counts[i])
        layout.flat[layout.buffer_start :] = total[layout.buffer_start :] / layout.dtype.type(scalars[2])
        integers = present[0].integers
        layout.write_buffers(integers)
        if scheduler is not None and (job.schedule_every == "step" or plan.ends_epoch(step)):
            scheduler.step()
        history.append(metrics)
        if on_step is not None:
            on_step(plan, step, metrics)
        if plan.ends_epoch(step) and plan.eval_batches:
            evaluation = _evaluated(shard_step, held_out, plan, plan.epoch_of(step))
            if on_evaluation is not None:
                on_evaluation(plan, step, evaluation)
    sha = parameters_sha256(state_arrays(model))
    return SoloResult(sha, plan.total_steps, history[-1], evaluation, model, history)


def _evaluated(shard_step: ShardStep, data: Any, plan: Plan, epoch: int) -> dict[str, float]:
    total: Any = None
    names: tuple[str, ...] = ()
    for batch in range(plan.eval_batches):
        leaves = []
        for v in range(plan.shards):
            rows = plan.eval_rows(batch, v)
            leaves.append(shard_step.evaluate(data, epoch, batch, v, rows) if len(rows) else None)
        names = same_names([leaf for leaf in leaves if leaf is not None], type(shard_step.job).__name__)
        summed = tree_sum([leaf and leaf.scalars for leaf in leaves])
        total = summed if total is None else total + summed
    return metrics_of(total, names)
