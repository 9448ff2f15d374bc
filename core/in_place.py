"""In-place operations: the value is written into the storage, and the tensor gets a new place in the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import versions, views
from .grad_mode import state as grad_state
from .node import KIND_SLOT, next_seq
from .ops.overwriting import Fill, Overwrite
from .ops.registry import apply
from .tensor import Tensor

__all__ = ["check_overlap", "in_place"]


def in_place(t: Tensor, compute: Callable[[Tensor], Tensor], name: str) -> Tensor:
    """The in-place form of an operation: `compute(old)` gives the new value from (a stand-in for) the old tensor.

    Where gradients flow, the old value is kept aside for the graph and `t` becomes the result's place in it.
    """
    check_overlap(t, name)
    array = t._array
    if not grad_state.enabled:
        return t._write(_fitting(t, compute(t), name)._array)
    views.check_writable(t)
    if t._requires_grad:
        old = Tensor._recorded(array.copy(), t._node)
    else:
        old = Tensor._wrap(array)
    before = next_seq()
    new = _fitting(t, compute(old), name)
    if new._requires_grad and (new._node is None or _seq_of(new._node) < before):
        new = new.clone()  # an operand itself, whose place in the graph is not this tensor's
    view = t._view
    wanted = t._requires_grad or new._requires_grad
    if view is not None and not view.recorded and (wanted or view.base._requires_grad):
        raise RuntimeError(
            "A view was created in no_grad mode and is being modified inplace with grad mode enabled. Make the view and "
            f"write to it ({name}) either both inside the no_grad block, or both outside of it."
        )
    if not wanted:
        return t._write(new._array)
    if not new._requires_grad:  # nothing of the new value depends on anything
        new = apply(Overwrite, (old, new))
    elif not t._requires_grad:
        old._array = array.copy()  # what the graph keeps of the old value must not change below
    if view is not None:
        views.check_base(view)
    versions.note_change(array, rewrites=True)
    array[...] = new._array
    views.rebase(t, new._node)
    return t


def _seq_of(place: Any) -> int:
    seq: int = place.node.seq if place.kind == KIND_SLOT else place.seq
    return seq


def check_overlap(t: Tensor, name: str) -> None:
    """Raises RuntimeError for a tensor of which several elements are one in memory: they can't be written."""
    array = t._array
    if array.flags.c_contiguous or not array.size:
        return
    if _overlaps(array):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory location. "
            f"Please clone() the tensor before performing the operation. ({name})"
        )


def _overlaps(array: Any) -> bool:
    """Whether two elements share memory: where no dimension steps over all that the smaller ones reach, all are looked at."""
    reach = array.itemsize - 1
    for step, n in sorted((abs(s), n) for s, n in zip(array.strides, array.shape, strict=True) if n > 1):
        if step <= reach:
            places = np.zeros((), np.int64)
            for s, k in zip(array.strides, array.shape, strict=True):
                places = np.add.outer(places, s * np.arange(k))
            return np.unique(places).size < array.size
        reach += step * (n - 1)
    return False


def _fitting(t: Tensor, new: Tensor, name: str) -> Tensor:
    if new._array.shape != t._array.shape:
        raise RuntimeError(
            f"output with shape {list(t._array.shape)} doesn't match the broadcast shape {list(new._array.shape)} ({name})"
        )
    if new.dtype.category > t.dtype.category:
        raise RuntimeError(
            f"result type {new.dtype} can't be cast to the desired output type {t.dtype} ({name})"
        )
    return new


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """Copies the values of `src` (broadcast, cast, moved to this device) into this tensor."""
    if not isinstance(src, Tensor):
        raise TypeError(f"copy_(): argument 'other' (position 1) must be Tensor, not {type(src).__name__}")

    def overwritten(old: Tensor) -> Tensor:
        here = src.to(self.device, self.dtype)
        if here._array.shape != self._array.shape:
            here = here.expand(self.shape)
        return apply(Overwrite, (old, here)) if old._requires_grad else here

    return in_place(self, overwritten, "copy_")


def fill_(self: Tensor, value: Any) -> Tensor:
    """Puts `value`, a number or a 0-d tensor, everywhere."""
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions."
            )
        if value.requires_grad:
            return self.copy_(value)
        value = value.item()
    return in_place(self, lambda old: apply(Fill, (old,), (value,)), "fill_")


def zero_(self: Tensor) -> Tensor:
    """Puts zero everywhere."""
    return fill_(self, 0)


for _function in (copy_, fill_, zero_):
    setattr(Tensor, _function.__name__, _function)
