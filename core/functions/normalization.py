"""Normalisation under torch's own names; float16 and bfloat16 are computed in float32, as PyTorch's are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtypes import FLOATS, HALVES, float32, limits
from ..ops import normalization as _norm
from ..ops.reduction import count, total
from ..ops.registry import apply, apply_several, cast_inputs
from ..tensor import Tensor
from .arguments import tensor_of
from .arithmetic import add, div, mul, sub
from .catalogue import public
from .elementary import sqrt
from .shape import reshape

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]

_FLOAT32 = np.dtype(np.float32)


def _with_room_for_sums(x: Tensor) -> Tensor:
    """float16 and bfloat16 as float32: squares of a few hundred are beyond float16's largest number."""
    return cast_inputs(x, float32) if x._array.dtype in HALVES else x


def _floats(name: str, input: Any, **parameters: Any) -> Tensor:
    """`input`, or RuntimeError where it holds no floats or parameters are of another dtype."""
    tensor_of(input, name)
    dtype = input._array.dtype
    if dtype not in FLOATS:
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}; convert with .float() first')
    for given in parameters.values():
        if given is None:
            continue
        own = given._array.dtype
        if own != dtype and not (dtype in HALVES and own == _FLOAT32):
            raise RuntimeError(f"{name}: expected scalar type {input.dtype} but found {given.dtype}")
    return input  # type: ignore[no-any-return]


def _scaled(x: Tensor, weight: Any, bias: Any, shape: tuple[int, ...] | None) -> Tensor:
    """x * weight + bias, which are given in `shape` first where there is one."""
    if weight is not None:
        x = mul(x, weight if shape is None else reshape(weight, shape))
    if bias is not None:
        x = add(x, bias if shape is None else reshape(bias, shape))
    return x


def _check_shapes(input: Tensor, normalized_shape: Sequence[int], **given: Any) -> int:
    n = len(normalized_shape)
    if not n:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got normalized_shape = []"
        )
    for name, parameter in given.items():
        if parameter is not None and tuple(parameter._array.shape) != tuple(normalized_shape):
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape {list(parameter.shape)} "
                f"and normalized_shape = {list(normalized_shape)}"
            )
    if n > input.ndim or input._array.shape[input.ndim - n :] != tuple(normalized_shape):
        raise RuntimeError(
            f"Given normalized_shape={list(normalized_shape)}, expected input with shape [*, {', '.join(map(str, normalized_shape))}], "
            f"but got input of size{list(input.shape)}"
        )
    return n


@public(method=False)
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """(input - mean) / sqrt(var + eps) over the last dimensions, times weight, plus bias. Ba et al., arXiv:1607.06450."""
    x = _floats("layer_norm", input, weight=weight, bias=bias)
    n = _check_shapes(input, normalized_shape, weight=weight, bias=bias)
    x, dims = _with_room_for_sums(x), tuple(range(x.ndim - n, x.ndim))
    if weight is not None and bias is not None and x._array.size:
        out, *_ = _affine(x, weight, bias, dims, eps, weight._array.shape)
    else:
        out = _scaled(apply(_norm.Standardize, (x,), (dims, eps)), weight, bias, None)
    return cast_inputs(out, input.dtype)


def _affine(
    x: Tensor, weight: Tensor, bias: Tensor, dims: tuple[int, ...], eps: float, shape: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """The standardized x times weight plus bias; three more; its mean and variance."""
    inputs = (x, cast_inputs(weight, x.dtype), cast_inputs(bias, x.dtype))
    return apply_several(_norm.StandardizeAffine, inputs, (dims, eps, shape))


@public(method=False)
def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """input / sqrt(mean(input^2) + eps) over the last dimensions, times weight. Zhang and Sennrich, arXiv:1910.07467.

    eps: the distance from 1 to the next number of the dtype that is computed in, where it is not given.
    """
    tensor_of(input, "rms_norm")
    if input._array.dtype not in FLOATS:
        raise NotImplementedError(
            f'"rms_norm" not implemented for {input.dtype}; convert with .float() first'
        )
    n = _check_shapes(input, normalized_shape, weight=weight)
    x = _with_room_for_sums(input)
    if eps is None:
        eps = float(limits(x._array.dtype).eps)
    out = apply(_norm.RmsScale, (x,), (tuple(range(x.ndim - n, x.ndim)), eps))
    out = _scaled(out, weight, None, None)
    return cast_inputs(out, input.dtype) if x is not input else out


def _check_channels(channels: int, **given: Any) -> None:
    for name, parameter in given.items():
        if parameter is not None and parameter._array.size != channels:
            raise RuntimeError(f"{name} should contain {channels} elements not {parameter._array.size}")


def _follow(running: Tensor, found: Any, momentum: float) -> None:
    a = running._array
    running._write((a * (1 - momentum) + found * momentum).astype(a.dtype, copy=False))


@public(method=False)
def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """nn.functional.batch_norm with the arguments in another order, and all of them."""
    x = _floats(
        "batch_norm", input, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var
    )
    if x.ndim < 2:
        raise RuntimeError(f"batch_norm: expected input of at least 2 dimensions, got {list(x.shape)}")
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError("Expected running_mean and running_var to be defined when training=False")
    shape = x._array.shape
    channel = (1, -1) + (1,) * (x.ndim - 2)
    _check_channels(shape[1], running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    x = _with_room_for_sums(x)
    if not training:
        mean, var = _known(running_mean, x, channel), _known(running_var, x, channel)
        out = mul(sub(x, mean), div(1.0, sqrt(add(var, eps))))
        return cast_inputs(_scaled(out, weight, bias, channel), input.dtype)
    dims, n = (0, *range(2, x.ndim)), count((0, *range(2, x.ndim)), shape)
    if weight is not None and bias is not None and x._array.size:
        wide = (1, shape[1], *channel[2:])
        out, _, _, found_mean, found_var = _affine(x, weight, bias, dims, eps, wide)
        statistics: Any = found_mean._array, found_var._array
    else:
        out = _scaled(apply(_norm.Standardize, (x,), (dims, eps)), weight, bias, channel)
        statistics = None
    if running_mean is not None and running_var is not None:
        with np.errstate(all="ignore"):
            mean_, var_ = statistics or _moments(x._array, dims, n)
            with_bessel = x._array.dtype.type(n / (n - 1) if n > 1 else math.inf)
            _follow(running_mean, mean_.reshape(-1), momentum)
            _follow(running_var, var_.reshape(-1) * with_bessel, momentum)
    return cast_inputs(out, input.dtype)


def _moments(a: Any, dims: tuple[int, ...], n: int) -> tuple[Any, Any]:
    centre = total(a, dims, True) / a.dtype.type(n)
    away = a - centre
    return centre, total(away * away, dims, True) / a.dtype.type(n)


def _known(running: Any, x: Tensor, channel: tuple[int, ...]) -> Tensor:
    """Statistics as constants, in x's dtype and shaped to broadcast."""
    return cast_inputs(reshape(running.detach(), channel), x.dtype)


@public(method=False)
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Each example's groups of channels normalised. Wu and He, arXiv:1803.08494."""
    x = _floats("group_norm", input, weight=weight, bias=bias)
    if x.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {x.ndim}")
    shape = x._array.shape
    if num_groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if shape[1] % num_groups:
        raise RuntimeError(
            f"Expected number of channels in input to be divisible by num_groups, but got input of shape {list(shape)} and "
            f"num_groups={num_groups}"
        )
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and (given.ndim != 1 or given._array.size != shape[1]):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, but got {name} of shape "
                f"{list(given.shape)} and input of shape {list(shape)}"
            )
    x = _with_room_for_sums(x)
    rest = x._array.size // (shape[0] * num_groups) if x._array.size else 0
    grouped = reshape(x, (shape[0], num_groups, rest))
    out = reshape(apply(_norm.Standardize, (grouped,), ((2,), eps)), shape)
    return cast_inputs(_scaled(out, weight, bias, (1, -1) + (1,) * (x.ndim - 2)), input.dtype)


@public(method=False)
def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """nn.functional.instance_norm with the arguments in another order, and all of them."""
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "Expected running_mean and running_var to be defined when use_input_stats is false"
            )
        return batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps)
    x = _floats(
        "instance_norm", input, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var
    )
    if x.ndim < 2:
        raise RuntimeError(f"instance_norm: expected input of at least 2 dimensions, got {list(x.shape)}")
    shape = x._array.shape
    _check_channels(shape[1], running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    x = _with_room_for_sums(x)
    dims = tuple(range(2, x.ndim))
    if running_mean is not None and running_var is not None:
        with np.errstate(all="ignore"):
            a, n = x._array, count(dims, shape)
            centre = total(a, dims, True) / a.dtype.type(n)
            away = a - centre
            spread = total(away * away, dims, False) / a.dtype.type(max(n - 1, 0))
            each = a.dtype.type(shape[0])
            _follow(running_mean, total(centre.reshape(shape[:2]), (0,), False) / each, momentum)
            _follow(running_var, total(spread, (0,), False) / each, momentum)
    out = apply(_norm.Standardize, (x,), (dims, eps))
    return cast_inputs(_scaled(out, weight, bias, (1, -1) + (1,) * (x.ndim - 2)), input.dtype)
