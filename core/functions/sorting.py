"""Order: sorting, the k-th, the middle and the most frequent, quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..ops import order as _ord
from ..ops.reduction import OneOfAll
from ..ops.registry import apply
from ..ops.registry import taken as _taken
from ..tensor import Tensor
from .arguments import numpy_names, one_dim, pair, tensor_of, truth_of, whole_number
from .arithmetic import where
from .catalogue import public
from .reduction import sum, with_dim
from .shape import expand, movedim, reshape, squeeze, unsqueeze
from .transcendental import lerp

__all__ = [
    "argsort", "kthvalue", "median", "mode", "msort", "nanmedian", "nanquantile", "quantile", "sort", "topk",
]  # fmt: skip


def _picked(t: Tensor, index: Any, d: int, keepdim: bool, name: str, number: int = 0) -> Any:
    """The named result of elements of `t` at `index` along `d` (none of them twice), which keeps `d`."""
    if not keepdim and t.ndim:
        index = index.reshape((*index.shape[:d], *index.shape[d + 1 :]))
    indices = Tensor._wrap(index)
    return indices, apply(_ord.Pick, (t, indices), (d, keepdim, True, f"{name.title()}Backward{number}"))


def _first(t: Tensor, d: int) -> Any:
    """The index 0 of a 0-d tensor, which is its own order."""
    return module_of(t._array).zeros((), np.int64)


@public(out=True, exact=True)
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = False, **other: Any
) -> Any:
    """Values in order along `dim` and where they came from; equal elements keep their order, NaN is the largest."""
    if other:
        dim, _ = numpy_names("sort", other, dim)
    t = tensor_of(input, "sort")
    truth_of(descending, "sort", "descending")
    if stable is not None:
        truth_of(stable, "sort", "stable")
    d = one_dim(dim, t.ndim)
    order = _ord.order_of(t._array, d, descending) if t.ndim else _first(t, d)
    indices, values = _picked(t, order, d, True, "sort")
    return pair("sort", values, indices)


@public()
def argsort(
    input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False, **other: Any
) -> Tensor:
    """The indices that put `input` in order along `dim`; equal elements keep their order."""
    if other:
        dim, _ = numpy_names("argsort", other, dim)
    t = tensor_of(input, "argsort")
    truth_of(descending, "argsort", "descending")
    truth_of(stable, "argsort", "stable")
    d = one_dim(dim, t.ndim)
    return Tensor._wrap(_ord.order_of(t._array, d, descending) if t.ndim else _first(t, d))


@public(out=True, exact=True)
def msort(input: Tensor) -> Tensor:
    """`input` in order along its first dimension."""
    values: Tensor = sort(tensor_of(input, "msort"), 0).values
    return values


@public(out=True, exact=True)
def topk(
    input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, **other: Any
) -> Any:
    """The `k` largest (or smallest) along `dim`, in order, and where they are; of equal ones the first."""
    if other:
        dim, _ = numpy_names("topk", other, dim)
    t = tensor_of(input, "topk")
    k = whole_number(k, "k")
    truth_of(largest, "topk", "largest")
    truth_of(sorted, "topk", "sorted")
    d = one_dim(dim, t.ndim)
    if not 0 <= k <= (t.shape[d] if t.ndim else 1):
        raise RuntimeError("selected index k out of range")
    if t._array.dtype.kind == "b":
        raise RuntimeError("topk does not support bool dtypes; convert with .int() first")
    if t.ndim:
        index = _ord.foremost(t._array, d, k, largest)
    else:
        index = _first(t, d)
    indices, values = _picked(t, index, d, True, "topk")
    return pair("topk", values, indices)


def _no_row_empty(t: Tensor, d: int, dim: int, name: str) -> None:
    if t.ndim and not t.shape[d]:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")


@public(out=True, exact=True)
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False, **other: Any) -> Any:
    """The `k`-th smallest along `dim`, counted from 1, and where it is; of equal ones in their order."""
    if other:
        dim, keepdim = numpy_names("kthvalue", other, dim, keepdim)
    t = tensor_of(input, "kthvalue")
    k = whole_number(k, "k")
    truth_of(keepdim, "kthvalue")
    d = one_dim(dim, t.ndim)
    _no_row_empty(t, d, dim, "kthvalue")
    if t._array.dtype.kind == "b":
        raise NotImplementedError("kthvalue: not implemented for torch.bool; convert with .int() first")
    if not 1 <= k <= (t.shape[d] if t.ndim else 1):
        raise RuntimeError(f"kthvalue(): selected number k out of range for dimension {d}")
    if t.ndim:
        index = _ord.kth(t._array, d, k - 1)
    else:
        index = _first(t, d)
    indices, values = _picked(t, index, d, keepdim, "kthvalue")
    return pair("kthvalue", values, indices)


def _median(input: Tensor, dim: Any, keepdim: Any, other: dict[str, Any], name: str) -> Any:
    if other:
        dim, keepdim = numpy_names(name, other, dim, keepdim)
    t = tensor_of(input, name)
    a = t._array
    if a.dtype.kind == "b":
        raise NotImplementedError(f"{name}: not implemented for torch.bool; convert with .int() first")
    if dim is ...:
        if keepdim is not False:
            raise TypeError(f'{name}() missing 1 required positional arguments: "dim"')
        if not a.size:
            if not t.is_floating_point():
                raise RuntimeError(f"{name}(): there is no median of no integers")
            return Tensor._wrap(module_of(a).full((), float("nan"), a.dtype))
        value, _ = _ord.middle(a.reshape(-1), 0, name == "nanmedian")
        return _taken(OneOfAll, (t,), (name,), value.reshape(()))
    truth_of(keepdim, name)
    d = one_dim(dim, t.ndim)
    _no_row_empty(t, d, dim, name)
    index = _ord.middle(a, d, name == "nanmedian")[1] if t.ndim else _first(t, d)
    indices, values = _picked(t, index, d, keepdim, name, 1)
    return pair(name, values, indices)


@public(out=True, exact=True, prepare=with_dim)
def median(input: Tensor, dim: Any = ..., keepdim: bool = False, **other: Any) -> Any:
    """The lower median of all, or along `dim` with its place; NaN where there is one."""
    return _median(input, dim, keepdim, other, "median")


@public(out=True, exact=True, prepare=with_dim)
def nanmedian(input: Tensor, dim: Any = ..., keepdim: bool = False, **other: Any) -> Any:
    """The lower median of what is not NaN, of all or along `dim` with its place."""
    return _median(input, dim, keepdim, other, "nanmedian")


@public(out=True, exact=True)
def mode(input: Tensor, dim: int = -1, keepdim: bool = False, **other: Any) -> Any:
    """The most frequent value along `dim` (the smallest of several) and its last place; NaN equals nothing."""
    if other:
        dim, keepdim = numpy_names("mode", other, dim, keepdim)
    t = tensor_of(input, "mode")
    truth_of(keepdim, "mode")
    d = one_dim(dim, t.ndim)
    _no_row_empty(t, d, dim, "mode")
    index = _ord.most_frequent(t._array, d) if t.ndim else _first(t, d)
    indices, values = _picked(t, index, d, keepdim, "mode")
    return pair("mode", values, indices)


_WAYS = ("linear", "lower", "higher", "midpoint", "nearest")


def _quantile(
    input: Tensor,
    q: Any,
    dim: int | None,
    keepdim: bool,
    interpolation: str,
    other: dict[str, Any],
    name: str,
) -> Tensor:
    if other:
        dim, keepdim = numpy_names(name, other, dim, keepdim)
    t = tensor_of(input, name)
    truth_of(keepdim, name)
    a = t._array
    if not a.size:
        raise RuntimeError("quantile() input tensor must be non-empty")
    if a.dtype.name not in ("float32", "float64"):
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if interpolation not in _WAYS:
        raise RuntimeError(
            f"quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but got {interpolation}"
        )
    if isinstance(q, Tensor):
        if q.ndim > 1:
            raise RuntimeError("quantile() q must be a scalar or 1D tensor")
        if q.dtype is not t.dtype:
            raise RuntimeError("quantile() q tensor must be same dtype as the input tensor")
        if not bool(((q._array >= 0) & (q._array <= 1)).all()):
            raise RuntimeError("quantile() q values must be in the range [0, 1]")
    elif isinstance(q, (int, float)):
        if not 0 <= q <= 1:
            raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {q}")
        q = Tensor._wrap(module_of(a).asarray(float(q), a.dtype))
    else:
        raise TypeError(f"{name}(): argument 'q' must be Tensor or float, not {type(q).__name__}")
    d = one_dim(dim, t.ndim) if dim is not None else None
    rows = reshape(t, (-1,)) if d is None or not t.ndim else movedim(t, d, -1)
    out = _at_ranks(sort(rows, -1).values, q, interpolation, name == "nanquantile")
    if q.ndim:
        out = movedim(out, -1, 0)
    else:
        out = squeeze(out, -1)
    if not keepdim or not t.ndim:
        return out
    lead = q.ndim
    if d is None:
        return reshape(out, (*out.shape[:lead], *(1,) * t.ndim))
    return unsqueeze(out, lead + d)


def _at_ranks(rows: Tensor, q: Tensor, interpolation: str, skip_nan: bool) -> Tensor:
    """The quantiles `q` of sorted `rows`, in their last dimension."""
    n = rows.shape[-1]
    holes = (rows != rows).detach()
    q = reshape(q, (-1,))
    if skip_nan:
        filled = sum(~holes, -1, True).to(rows.dtype)
        ranks = (q * (filled - 1)).clamp(0)
    else:
        ranks = where(holes.any(-1, True), float(n - 1), expand(q * (n - 1), (*rows.shape[:-1], q.shape[0])))
    if interpolation == "lower":
        ranks = ranks.detach().floor()
    elif interpolation == "higher":
        ranks = ranks.detach().ceil()
    elif interpolation == "nearest":
        ranks = ranks.detach().round()
    below = ranks.detach().floor()
    low: Tensor = rows.gather(-1, below.long())
    if interpolation not in ("linear", "midpoint"):
        return low
    high = rows.gather(-1, ranks.detach().ceil().long())
    weights = (
        ranks - below
        if interpolation == "linear"
        else where(ranks.detach() == below, 0.0, 0.5).to(rows.dtype)
    )
    between: Tensor = lerp(low, high, weights)
    return between


@public(out=True, exact=True)
def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    **other: Any,
) -> Tensor:
    """The quantiles `q` (from 0 to 1) of all or along `dim`; several q are the first dimension. NaN where there is one."""
    return _quantile(input, q, dim, keepdim, interpolation, other, "quantile")


@public(out=True, exact=True)
def nanquantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
    **other: Any,
) -> Tensor:
    """The quantiles of what is not NaN."""
    return _quantile(input, q, dim, keepdim, interpolation, other, "nanquantile")
