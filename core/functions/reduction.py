"""Functions that reduce dimensions, and running ones."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import dtype as DType
from ..dtypes import int64
from ..ops import reduction as _rd
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor
from .arguments import Dims, all_dims, needs_float, one_dim, pair
from .arithmetic import isfinite, maximum, minimum, where
from .catalogue import public
from .elementary import abs, exp, log, sqrt
from .indexing import gather
from .shape import squeeze

__all__ = [
    "sum",
    "mean",
    "var",
    "std",
    "amax",
    "amin",
    "argmax",
    "argmin",
    "max",
    "min",
    "all",
    "any",
    "logsumexp",
    "norm",
    "cumsum",
]
_builtin_all = builtins.all


def _reduced(op: type[Any], input: Tensor, dim: Dims, keepdim: bool, dtype: DType | None = None) -> Tensor:
    t = cast_inputs(input, dtype) if dtype is not None else input
    shape = t._array.shape
    return apply(op, (t,), (all_dims(dim, len(shape)), keepdim, shape))


@public(out=True)
def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """Sum over `dim` (all where None). Integers and bools are summed as int64."""
    if dtype is None and input._array.dtype.kind != "f":
        dtype = int64
    return _reduced(_rd.Sum, input, dim, keepdim, dtype)


@public(out=True)
def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    if dtype is None and input._array.dtype.kind != "f":
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {input.dtype}"
        )
    return _reduced(_rd.Mean, input, dim, keepdim, dtype)


@public(out=True)
def var(
    input: Tensor,
    dim: Dims = None,
    *,
    correction: int = 1,
    unbiased: bool | None = None,
    keepdim: bool = False,
) -> Tensor:
    """Variance over `dim`, divided by N - correction."""
    if unbiased is not None:
        correction = int(unbiased)
    dims = all_dims(dim, input.ndim)
    n = 1
    for d in dims:
        n *= input._array.shape[d]
    centered = input - mean(input, dim, True)
    total = sum(centered * centered, dim, keepdim)
    return total / (n - correction) if n > correction else total * float("nan")


@public(out=True)
def std(
    input: Tensor,
    dim: Dims = None,
    *,
    correction: int = 1,
    unbiased: bool | None = None,
    keepdim: bool = False,
) -> Tensor:
    return root(var(input, dim, correction=correction, unbiased=unbiased, keepdim=keepdim), 0.5)


def root(x: Tensor, exponent: float) -> Tensor:
    """x ** exponent, with gradient 0 where x is 0: what PyTorch's norm and std have there instead of NaN."""
    if not x._requires_grad:
        return sqrt(x) if exponent == 0.5 else x**exponent
    zero = x == 0
    safe = where(zero, 1.0, x)
    return where(zero, 0.0, sqrt(safe) if exponent == 0.5 else safe**exponent)


@public(out=True)
def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    _not_empty(input, dim, "amax")
    return _reduced(_rd.Amax, input, dim, keepdim)


@public(out=True)
def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    _not_empty(input, dim, "amin")
    return _reduced(_rd.Amin, input, dim, keepdim)


def _not_empty(input: Tensor, dim: Dims, name: str) -> None:
    shape = input._array.shape
    if not _builtin_all(shape[d] for d in all_dims(dim, len(shape))):
        if dim is None or dim == ():
            raise RuntimeError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")


def _position(input: Tensor, dim: int | None, keepdim: bool, name: str) -> Tensor:
    _not_empty(input, dim, name)
    a = input._array
    if a.dtype.kind == "b":
        raise RuntimeError(f"{name}(): does not support bool input")
    flat = dim is None or not a.ndim
    d = 0 if flat else one_dim(dim, a.ndim)  # type: ignore[arg-type]
    row = a.reshape(-1) if flat else a
    out = row.argmax(axis=d) if name == "argmax" else row.argmin(axis=d)
    out = module_of(a).asarray(out)
    if keepdim:
        out = out.reshape((1,) * a.ndim if flat else (*a.shape[:d], 1, *a.shape[d + 1 :]))
    return Tensor._wrap(out.astype(np.int64))


@public(out=True)
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the first maximum; without `dim`, in the flattened tensor."""
    return _position(input, dim, keepdim, "argmax")


@public(out=True)
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the first minimum; without `dim`, in the flattened tensor."""
    return _position(input, dim, keepdim, "argmin")


def _extreme(input: Tensor, dim: Any, keepdim: bool, name: str) -> Any:
    pick, pairwise = (argmax, maximum) if name == "max" else (argmin, minimum)
    if isinstance(dim, Tensor):
        return pairwise(input, dim)
    if dim is None:
        return (amax if name == "max" else amin)(input)
    indices = pick(input, dim, True)
    values = gather(input, dim, indices)
    if not keepdim:
        indices, values = squeeze(indices, dim), squeeze(values, dim)
    return pair(name, values, indices)


@public(out=True)
def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """max(t) is the largest element; max(t, dim) a pair (values, indices); max(t, other) elementwise."""
    return _extreme(input, dim, keepdim, "max")


@public(out=True)
def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """min(t) is the smallest element; min(t, dim) a pair (values, indices); min(t, other) elementwise."""
    return _extreme(input, dim, keepdim, "min")


@public(out=True)
def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    return _truth(input, (input._array != 0).all(axis=all_dims(dim, input.ndim), keepdims=keepdim))


@public(out=True)
def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    return _truth(input, (input._array != 0).any(axis=all_dims(dim, input.ndim), keepdims=keepdim))


def _truth(input: Tensor, found: Any) -> Tensor:
    """all and any of bytes are bytes in PyTorch, of everything else bools."""
    return Tensor._wrap(found.astype(np.uint8) if input._array.dtype == np.uint8 else found)


@public(out=True)
def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    top = amax(input, dim, True).detach()
    top = where(isfinite(top), top, 0.0)
    result = log(sum(exp(input - top), dim, True)) + top
    return result if keepdim else squeeze(result, dim)


@public(out=True)
def norm(input: Tensor, p: Any = 2, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The p-norm of the elements (p > 0 or inf; "fro" is 2)."""
    needs_float(input, "norm")
    if p in ("fro", 2):
        return root(sum(input * input, dim, keepdim), 0.5)
    if p == float("inf"):
        return amax(abs(input), () if dim is None else dim, keepdim)
    if isinstance(p, (int, float)) and p > 0:
        return sum(abs(input), dim, keepdim) if p == 1 else root(sum(abs(input) ** p, dim, keepdim), 1.0 / p)
    raise RuntimeError(f"norm: p > 0, inf or 'fro' is supported, got {p!r}")


@public(in_place=True, out=True)
def cumsum(input: Tensor, dim: int) -> Tensor:
    x = input if input._array.dtype.kind == "f" else cast_inputs(input, int64)
    return apply(_rd.Cumsum, (x,), (one_dim(dim, input.ndim),))
