"""The parts of a job, made from its seed and checked: data, model, optimizer, schedule. Every way of running begins here."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import Device, to_numpy
from ..nn import Module
from ..optim import LBFGS, Optimizer
from ..optim.lr_scheduler import ReduceLROnPlateau
from .job import Job, JobFileError
from .shard import seeded

__all__ = ["build", "state_arrays"]


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
