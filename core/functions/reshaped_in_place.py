"""In-place forms of functions that change the shape: the tensor itself becomes the view. `t_`, `unsqueeze_` and their kin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import versions, views
from ..grad_mode import state as grad_state
from ..tensor import Tensor
from . import parts, shape
from .catalogue import public

__all__: list[str] = []


def _become(t: Tensor, view: Callable[[Tensor], Tensor]) -> Tensor:
    """`t` itself as what `view` makes of it. A graph that has saved `t` notices; views of it that are written later, too."""
    if grad_state.enabled:
        views.check_writable(t)
    elif t._node is not None:
        raise RuntimeError(
            "a tensor that is part of a graph can't be given another shape in place in no_grad mode, which would lose its place "
            "there; use the form that gives a new tensor"
        )
    new = view(t)
    versions.note_change(t._array)
    t._array, t._node, t._requires_grad = new._array, new._node, t._requires_grad
    t._view = None if t._view is None else new._view
    if t.retains_grad:
        t._retain_here()
    return t


@public(function=False)
def t_(input: Tensor) -> Tensor:
    """t in place."""
    return _become(input, shape.t)


@public(function=False)
def transpose_(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """transpose in place."""
    return _become(input, lambda x: shape.transpose(x, dim0, dim1))


@public(function=False)
def swapaxes_(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """swapaxes in place."""
    return _become(input, lambda x: shape.transpose(x, axis0, axis1))


@public(function=False)
def swapdims_(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """swapdims in place."""
    return _become(input, lambda x: shape.transpose(x, dim0, dim1))


@public(function=False)
def squeeze_(input: Tensor, dim: Any = None) -> Tensor:
    """squeeze in place."""
    return _become(input, lambda x: shape.squeeze(x, dim))


@public(function=False)
def unsqueeze_(input: Tensor, dim: int) -> Tensor:
    """unsqueeze in place."""
    return _become(input, lambda x: shape.unsqueeze(x, dim))


@public(function=False)
def as_strided_(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """as_strided in place."""
    return _become(input, lambda x: parts.as_strided(x, size, stride, storage_offset))
