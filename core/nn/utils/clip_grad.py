"""Norms of gradients, and gradients kept within bounds."""

from __future__ import annotations

import math
from typing import Any

from ...creation import tensor
from ...functions import clamp, stack
from ...grad_mode import no_grad
from ...tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _as_list(tensors: Any) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Any) -> list[Tensor]:
    return [p.grad for p in _as_list(parameters) if p.grad is not None]


def _norm(t: Tensor, norm_type: float) -> Tensor:
    """The p-norm of all elements."""
    size = t.abs()
    if norm_type == math.inf:
        return size.amax() if t.numel() else size.sum()
    if norm_type == -math.inf:
        return size.amin()
    if norm_type == 0:
        return (size != 0).to(t.dtype).sum()
    if norm_type == 2:
        return (t * t).sum().sqrt()
    if norm_type == 1:
        return size.sum()
    return (size**norm_type).sum() ** (1.0 / norm_type)


@no_grad()
def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Tensor:
    """The norm of the norms of `tensors`, as if all were one vector.

    Added in the order of the tensors. error_if_nonfinite: RuntimeError for a norm that is inf or NaN.
    """
    norm_type, found = float(norm_type), _as_list(tensors)
    if not found:
        return tensor(0.0)
    device = found[0].device
    total = _norm(stack([_norm(t, norm_type).to(device) for t in found]), norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it cannot be clipped. "
            "To disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


@no_grad()
def clip_grads_with_norm_(
    parameters: Any, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scales gradients in place by max_norm / total_norm where that is below 1."""
    factor = clamp(float(max_norm) / (total_norm + 1e-6), max=1.0)
    for g in _gradients(parameters):
        g.mul_(factor.to(g.device))


def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales gradients in place so that their norm together is at most max_norm; returns what it was."""
    found = _as_list(parameters)
    total = get_total_norm(_gradients(found), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(found, max_norm, total)
    return total


@no_grad()
def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Puts every element of the gradients within [-clip_value, clip_value], in place."""
    for g in _gradients(parameters):
        g.clamp_(min=-float(clip_value), max=float(clip_value))
