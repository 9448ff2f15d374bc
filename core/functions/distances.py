"""Distances and similarities between vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..ops import indexing as _ix
from ..ops import statistics as _st
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor
from .arguments import common_dtype, one_dim, tensor_of, truth_of
from .arithmetic import clamp
from .catalogue import public
from .joining import broadcast_tensors
from .reduction import sum as _sum

__all__ = ["cosine_similarity", "pairwise_distance", "pdist"]


def _norm(x: Tensor, p: float, dim: int, keepdim: bool) -> Tensor:
    shape = x._array.shape
    if abs(p) == float("inf") and shape and not shape[dim]:
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {p} norm on an empty tensor because the operation does not have an identity"
        )
    return apply(_st.VectorNorm, (x,), (float(p), (dim,) if shape else (), keepdim, shape))


def _common_float(name: str, x1: Any, x2: Any) -> tuple[Tensor, Tensor]:
    to = common_dtype([tensor_of(x1, name, "x1"), tensor_of(x2, name, "x2")])
    if not to.is_floating_point:
        raise RuntimeError(
            f"{name}: expected common dtype to be floating point, yet common dtype is {to}; convert with .float() first"
        )
    return cast_inputs(x1, to), cast_inputs(x2, to)


@public(method=False)
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`; lengths below eps count as eps."""
    a, b = broadcast_tensors(*_common_float("cosine_similarity", x1, x2))
    d = one_dim(dim, a.ndim)
    units = []
    for x in (a, b):
        length = _norm(x, 2.0, d, True)
        plain = length.detach()
        # the gradient passes the limit, as it does in PyTorch
        units.append(x / (length + (clamp(plain, min=eps) - plain)))
    return _sum(units[0] * units[1], d)


@public(method=False)
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension."""
    truth_of(keepdim, "pairwise_distance")
    difference = tensor_of(x1, "pairwise_distance", "x1") - tensor_of(x2, "pairwise_distance", "x2") + eps
    return _norm(difference, p, max(difference.ndim - 1, 0), keepdim)


@public(method=False)
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distances between every two rows, in the order (0, 1), (0, 2), …, (1, 2), …."""
    x = tensor_of(input, "pdist")
    if x.ndim != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {x.ndim}D")
    if not x.is_floating_point():
        raise RuntimeError(f"pdist only supports floating-point dtypes, got {x.dtype}")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    xp = module_of(x._array)
    rows, columns = x._array.shape
    first, second = np.triu_indices(rows, 1)
    if not columns:
        return Tensor._wrap(xp.zeros(first.size, x._array.dtype))
    pair = [apply(_ix.Index, (x,), (xp.asarray(i),)) for i in (first, second)]
    return _norm(pair[0] - pair[1], p, 1, False)
