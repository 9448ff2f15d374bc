"""Normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...dtypes import HALVES, float32
from ...functions import (
    reshape,
    sqrt,
)
from ...ops import normalization as _norm
from ...ops.registry import apply, cast_inputs
from ...tensor import Tensor

__all__ = ["batch_norm", "layer_norm"]


def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    n = len(normalized_shape)
    if tuple(input._array.shape[input.ndim - n :]) != tuple(normalized_shape) or n > input.ndim:
        raise RuntimeError(
            f"Given normalized_shape={list(normalized_shape)}, expected input with shape [*, {', '.join(map(str, normalized_shape))}], "
            f"but got input of size{list(input.shape)}"
        )
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and tuple(given._array.shape) != tuple(normalized_shape):
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(given.shape)} "
                f"and normalized_shape = {list(normalized_shape)}"
            )
    x = _with_room_for_sums(input)
    out = apply(_norm.Standardize, (x,), (tuple(range(input.ndim - n, input.ndim)), eps))
    out = out if weight is None else out * weight
    out = out if bias is None else out + bias
    return out if x is input else cast_inputs(out, input.dtype)


def _with_room_for_sums(x: Tensor) -> Tensor:
    """float16 and bfloat16 as float32: squares of a few hundred are beyond its largest number."""
    return cast_inputs(x, float32) if x._array.dtype in HALVES else x


def batch_norm(
    input: Tensor, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """Normalises each channel (dimension 1) over all others; in training also updates the running statistics."""
    shape = input._array.shape
    channel = (1, -1) + (1,) * (input.ndim - 2)
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
    named = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    for name, given in named.items():
        if given is not None and given._array.size != shape[1]:
            raise RuntimeError(f"{name} should contain {shape[1]} elements not {given._array.size}")
    original, input = input, _with_room_for_sums(input)
    if training:
        dims = (0, *range(2, input.ndim))
        count = input._array.size // shape[1]
        if count <= 1:
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {input.shape}"
            )
        if running_mean is not None:
            a = input._array
            centre = a.mean(axis=dims)
            spread = ((a - centre.reshape(channel)) ** 2).sum(axis=dims) / a.dtype.type(count - 1)
            running_mean._write(running_mean._array * (1 - momentum) + centre * momentum)
            running_var._write(running_var._array * (1 - momentum) + spread * momentum)
        out = apply(_norm.Standardize, (input,), (dims, eps))
    else:
        out = (input - reshape(running_mean, channel)) * (1.0 / sqrt(reshape(running_var, channel) + eps))
    out = out if weight is None else out * reshape(weight, channel)
    out = out if bias is None else out + reshape(bias, channel)
    return out if input is original else cast_inputs(out, original.dtype)
