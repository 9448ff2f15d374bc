"""Softmax and the activations that torch itself has."""

from __future__ import annotations

from ..dtypes import dtype as DType
from ..ops import activation as _act
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor
from .arguments import needs_float, one_dim
from .catalogue import public
from .elementary import exp

__all__ = ["softmax", "log_softmax"]


@public()
def softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    x = cast_inputs(input, dtype) if dtype else input
    needs_float(x, "softmax")
    dim = one_dim(dim, x.ndim)
    return apply(_act.Softmax, (x,), (dim,)) if x.ndim else exp(x - x)


@public()
def log_softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    x = cast_inputs(input, dtype) if dtype else input
    needs_float(x, "log_softmax")
    dim = one_dim(dim, x.ndim)
    return apply(_act.LogSoftmax, (x,), (dim,)) if x.ndim else x - x
