"""Softmax and the activations that torch itself has."""

from __future__ import annotations

from typing import Any

from ..dtypes import dtype as DType
from ..ops import activation as _act
from ..ops.registry import apply
from ..tensor import Tensor
from .arguments import one_dim, tensor_of
from .catalogue import public
from .elementary import exp
from .reduction import in_dtype, into_dtype

__all__ = ["softmax", "log_softmax"]


def _in_dtype(name: str, input: Tensor, dtype: Any) -> Tensor:
    x = in_dtype(input, dtype, name) if dtype is not None else tensor_of(input, name)
    if not x.is_floating_point():
        raise NotImplementedError(f"{name}: not implemented for {x.dtype}; convert with .float() first")
    return x


@public(out=True, exact=True, prepare=into_dtype)
def softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """exp(input) over its sum along `dim`, without overflow; computed in `dtype` where given."""
    x = _in_dtype("softmax", input, dtype)
    dim = one_dim(dim, x.ndim)
    return apply(_act.Softmax, (x,), (dim,)) if x.ndim else exp(x - x)


@public(out=True, exact=True, prepare=into_dtype)
def log_softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    """The logarithm of softmax, without loss of digits."""
    x = _in_dtype("log_softmax", input, dtype)
    dim = one_dim(dim, x.ndim)
    if x.ndim:
        return apply(_act.LogSoftmax, (x,), (dim,))
    zero: Tensor = x - x
    return zero
