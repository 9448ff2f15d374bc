"""Between a running rank and a checkpoint: what all ranks own becomes one whole, and each takes its part of it again."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from gradwire.nn import Module
from gradwire.optim import Optimizer
from gradwire.training import ParameterLayout, Reference, Scaling
from gradwire.workers.checkpoint import Checkpoint, CheckpointDamagedError

__all__ = ["packed", "restore", "restore_reference", "scheduled", "take_schedule", "unpacked"]

_LENGTH = struct.Struct("<Q")
_ALIGNMENT = 64


class TakesState(Protocol):
    """Who updates parameters: the owner of a slice, or the reference."""

    def load_state(
        self, arrays: Mapping[str, np.ndarray[Any, Any]], step_counts: Mapping[str, int]
    ) -> None: ...


def restore(checkpoint: Checkpoint, model: Module, layout: ParameterLayout, owner: TakesState) -> None:
    """Puts a checkpoint's state into a freshly built job. Raises CheckpointDamagedError where it is of another job."""
    own = {name: tensor._array for name, tensor in model.state_dict().items()}
    own |= {name: b._array for name, b in model.named_buffers() if name not in own}
    saved = {**checkpoint.model, **checkpoint.buffers}
    xp = layout.device.module
    if own.keys() != saved.keys():
        other = ", ".join(sorted(own.keys() ^ saved.keys())[:5])
        raise CheckpointDamagedError(
            f"the checkpoint of step {checkpoint.step} is of another model: {other} differ"
        )
    for name, array in own.items():
        if (tuple(array.shape), array.dtype) != (saved[name].shape, saved[name].dtype):
            raise CheckpointDamagedError(
                f"the checkpoint of step {checkpoint.step} is of another model: {name} has shape {saved[name].shape} "
                f"and dtype {saved[name].dtype}, expected {tuple(array.shape)} and {array.dtype}"
            )
        array[...] = xp.asarray(saved[name])
    layout.read_buffers(layout.flat)
    owner.load_state(checkpoint.optimizer, checkpoint.step_counts)


def restore_reference(checkpoint: Checkpoint, reference: Reference) -> None:
    """Lets the reference go on from a checkpoint. Raises CheckpointDamagedError where it is of another job."""
    restore(checkpoint, reference.model, reference.layout, reference)
    if checkpoint.scheduler is not None:
        take_schedule(reference.optimizer, reference.scheduler, checkpoint.scheduler)
    scaling = checkpoint.extra.get("scaling")
    chain = bytes.fromhex(checkpoint.extra.get("chain", ""))
    reference.go_on(checkpoint.step, None if scaling is None else Scaling(**scaling), chain)


_GROUPS = "param_groups"  # beside a scheduler's own entries: the groups' options, which schedules go on from and change


def scheduled(optimizer: Optimizer, scheduler: Any) -> dict[str, Any]:
    """A schedule's state and the options of all parameter groups, as JSON values."""
    groups = [_plain({k: v for k, v in g.items() if k != "params"}) for g in optimizer.param_groups]
    own = {} if scheduler is None else _plain(scheduler.state_dict())
    return {**own, _GROUPS: groups}


def take_schedule(optimizer: Optimizer, scheduler: Any, saved: Mapping[str, Any]) -> None:
    """Takes what `scheduled` gave."""
    if scheduler is not None:
        scheduler.load_state_dict({k: v for k, v in saved.items() if k not in (_GROUPS, "history")})
    for group, options in zip(optimizer.param_groups, saved[_GROUPS], strict=True):
        for name, value in options.items():
            group[name] = tuple(value) if isinstance(group.get(name), tuple) else value


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a scheduler's state that JSON can carry; functions among them come from the job file again."""
    plain = {}
    for name, value in state.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            continue
        plain[name] = value
    return plain


def packed(slices: Sequence[tuple[str, int, np.ndarray[Any, Any]]]) -> list[Any]:
    head = json.dumps([(key, offset, array.dtype.str, array.size) for key, offset, array in slices]).encode()
    start = _LENGTH.pack(len(head)) + head
    return [start.ljust(-(-len(start) // _ALIGNMENT) * _ALIGNMENT, b" "), *(array for _, _, array in slices)]


def unpacked(message: memoryview) -> list[tuple[str, int, np.ndarray[Any, Any]]]:
    end = _LENGTH.size + _LENGTH.unpack_from(message)[0]
    at = -(-end // _ALIGNMENT) * _ALIGNMENT
    parts = []
    for key, offset, dtype, size in json.loads(bytes(message[_LENGTH.size : end])):
        array = np.frombuffer(message, np.dtype(dtype), size, at)
        at += array.nbytes
        parts.append((key, offset, array))
    return parts
