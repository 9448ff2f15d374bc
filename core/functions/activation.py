"""Softmax and the activations that torch itself has."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import random
from ..autocast import runs_in_float32
from ..backends import to_device
from ..dtypes import FLOATS
from ..dtypes import dtype as DType
from ..in_place import in_place
from ..ops import activation as _act
from ..ops import piecewise as _piece
from ..ops.registry import apply
from ..tensor import Tensor
from .arguments import one_dim, tensor_of
from .catalogue import public
from .elementary import exp
from .reduction import in_dtype, into_dtype

__all__ = [
    "celu", "celu_", "hardshrink", "log_softmax", "prelu", "rrelu", "rrelu_", "selu", "selu_", "softmax", "threshold",
    "threshold_",
]  # fmt: skip

_ALPHA, _SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


def floating_input(input: Any, name: str) -> Tensor:
    """`input`, or an error where it is no tensor of a floating-point dtype."""
    if not isinstance(input, Tensor):
        tensor_of(input, name)
    if input._array.dtype not in FLOATS:
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}; convert with .float() first')
    return input


def _in_dtype(name: str, input: Tensor, dtype: Any) -> Tensor:
    return floating_input(in_dtype(input, dtype, name) if dtype is not None else input, name)


@public(out=True, exact=True, prepare=into_dtype)
@runs_in_float32("cuda")
def softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """exp(input) over its sum along `dim`, without overflow; computed in `dtype` where given."""
    x = _in_dtype("softmax", input, dtype)
    dim = one_dim(dim, x.ndim)
    return apply(_act.Softmax, (x,), (dim,)) if x.ndim else exp(x - x)


@public(out=True, exact=True, prepare=into_dtype)
@runs_in_float32("cuda")
def log_softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """The logarithm of softmax, without loss of digits."""
    x = _in_dtype("log_softmax", input, dtype)
    dim = one_dim(dim, x.ndim)
    if x.ndim:
        return apply(_act.LogSoftmax, (x,), (dim,))
    zero: Tensor = x - x
    return zero


@public(method=False)
def selu(input: Tensor) -> Tensor:
    """elu scaled so that mean and variance settle. Klambauer et al., arXiv:1706.02515."""
    return apply(_piece.Elu, (floating_input(input, "selu"),), (_ALPHA, _SCALE, 1.0))


@public(method=False)
def selu_(input: Tensor) -> Tensor:
    return in_place(input, selu, "selu_")


@public(method=False)
def celu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """elu with a continuous slope at 0. Barron, arXiv:1704.07483."""
    x = floating_input(input, "celu")
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return apply(_piece.Elu, (x,), (alpha, 1.0, 1.0 / alpha))


@public(method=False)
def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    return in_place(input, lambda old: celu(old, alpha), "celu_")


@public()
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """input where positive, else times weight: one number, or one for each channel (dimension 1)."""
    x = floating_input(input, "prelu")
    if not isinstance(weight, Tensor):
        raise TypeError(
            f"prelu(): argument 'weight' (position 2) must be Tensor, not {type(weight).__name__}"
        )
    if x._array.dtype != weight._array.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {x.dtype} and {weight.dtype}")
    if weight._array.size != 1:
        if not x.ndim:
            raise RuntimeError("Not allow zero-dim input tensor.")
        channels = x._array.shape[1] if x.ndim > 1 else 1
        if weight._array.size != channels:
            raise RuntimeError(
                "Mismatch of parameter numbers and input channel size. "
                f"Found parameter numbers = {weight._array.size} and channel size = {channels}."
            )
    if weight.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}"
        )
    if weight.ndim and x.ndim > 1:
        weight = weight.reshape((1, -1) + (1,) * (x.ndim - 2))
    elif weight.ndim and not x.ndim:
        weight = weight.reshape(())
    return apply(_piece.Prelu, (x, weight))


@public(method=False)
def threshold(input: Tensor, threshold: float, value: float) -> Tensor:
    """input where it is above the threshold, else value."""
    if tensor_of(input, "threshold")._array.dtype.kind == "b":
        raise RuntimeError("threshold: bool tensors are not supported; convert with .int() or .float() first")
    if input._array.dtype not in FLOATS:
        threshold, value = int(threshold), int(value)
    return apply(_piece.Threshold, (input,), (threshold, value))


@public(method=False)
def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    return in_place(input, lambda old: _threshold(old, threshold, value), "threshold_")


_threshold = threshold


@public(out=True)
def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 where |input| is at most lambd, else input."""
    x = floating_input(input, "hardshrink")
    return apply(_piece.Hardshrink, (x,), (float(x._array.dtype.type(lambd)),))


@public(method=False)
def rrelu(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    """leaky_relu with slopes drawn from [lower, upper) in training, their mean otherwise. Xu et al., arXiv:1505.00853."""
    x = floating_input(input, "rrelu")
    if not lower <= upper:
        raise RuntimeError(f"Lower bound should be less than or equal to the upper bound: {lower}, {upper}")
    if not training:
        return apply(_piece.LeakyRelu, (x,), ((lower + upper) / 2,))
    dtype = np.float64 if x._array.dtype == np.float64 else np.float32
    drawn = random.current().numpy.random(x._array.shape, dtype) * dtype(upper - lower) + dtype(lower)
    slopes = Tensor._wrap(to_device(np.asarray(drawn).astype(x._array.dtype), x.device))
    return apply(_piece.Prelu, (x, slopes.detach()))


@public(method=False)
def rrelu_(input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False) -> Tensor:
    return in_place(input, lambda old: rrelu(old, lower, upper, training), "rrelu_")
