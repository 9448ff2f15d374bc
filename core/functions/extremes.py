"""The largest, the smallest, and where they are."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import int64
from ..grad_mode import state as grad_state
from ..ops import reduction as _rd
from ..ops.order import Pick
from ..ops.registry import apply
from ..ops.registry import taken as _taken
from ..tensor import Tensor
from .arguments import Dims, all_dims, named, numpy_names, one_dim, pair, tensor_of, truth_of
from .arithmetic import maximum, minimum
from .catalogue import public
from .reduction import all_of, reduced

__all__ = ["amax", "amin", "aminmax", "argmax", "argmin", "max", "min"]
_builtin_all = builtins.all


@public(out=True, exact=True)
def amax(input: Tensor, dim: Dims = (), keepdim: bool = False, **other: Any) -> Tensor:
    """Largest element over `dim`; equal ones share the gradient evenly."""
    if other:
        dim, keepdim = numpy_names("amax", other, dim, keepdim)
    not_empty(tensor_of(input, "amax")._array.shape, dim, "amax")
    return reduced(_rd.Amax, "amax", input, dim, keepdim)


@public(out=True, exact=True)
def amin(input: Tensor, dim: Dims = (), keepdim: bool = False, **other: Any) -> Tensor:
    """Smallest element over `dim`; equal ones share the gradient evenly."""
    if other:
        dim, keepdim = numpy_names("amin", other, dim, keepdim)
    not_empty(tensor_of(input, "amin")._array.shape, dim, "amin")
    return reduced(_rd.Amin, "amin", input, dim, keepdim)


def not_empty(shape: tuple[int, ...], dim: Any, name: str, whole: type[Exception] = RuntimeError) -> None:
    if 0 not in shape or _builtin_all(shape[d] for d in all_dims(dim, len(shape))):
        return
    if dim is None or dim == ():
        raise whole(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. "
            "Specify the reduction dim with the 'dim' argument."
        )
    raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")


@public(out=True, exact=True)
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Any:
    """The smallest and the largest element, of all or along `dim`, as a pair (min, max)."""
    if dim is None:
        if not input._array.size:
            raise RuntimeError(
                "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity."
            )
        return named("aminmax", min=amin(input, (), keepdim), max=amax(input, (), keepdim))
    one_dim(dim, input.ndim)
    not_empty(input._array.shape, dim, "aminmax")
    return named("aminmax", min=amin(input, dim, keepdim), max=amax(input, dim, keepdim))


def _position(input: Tensor, dim: int | None, keepdim: bool, name: str) -> Tensor:
    a = tensor_of(input, name)._array
    truth_of(keepdim, name)
    not_empty(a.shape, dim, name, IndexError)
    if a.dtype.kind == "b":
        raise RuntimeError(f"{name}(): does not support bool input")
    if dim is None or not a.ndim:
        if dim is not None:
            one_dim(dim, 0)
        row, d, kept = a.reshape(-1), 0, (1,) * a.ndim
    else:
        row, d = a, one_dim(dim, a.ndim)
        kept = (*a.shape[:d], 1, *a.shape[d + 1 :])
    return Tensor._wrap(_index_of_extreme(row, d, name, kept if keepdim else None))


def _index_of_extreme(row: Any, d: int, name: str, shape: tuple[int, ...] | None) -> Any:
    out = row.argmax(axis=d) if name in ("argmax", "max") else row.argmin(axis=d)
    if out.dtype != np.int64:
        out = out.astype(np.int64)
    return out if shape is None else out.reshape(shape)


@public(out=True, exact=True)
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False, **other: Any) -> Tensor:
    """Index of the first maximum; without `dim`, in the flattened tensor. NaN is larger than all."""
    if other:
        dim, keepdim = numpy_names("argmax", other, dim, keepdim)
    return _position(input, dim, keepdim, "argmax")


@public(out=True, exact=True)
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False, **other: Any) -> Tensor:
    """Index of the first minimum; without `dim`, in the flattened tensor. NaN is smaller than all."""
    if other:
        dim, keepdim = numpy_names("argmin", other, dim, keepdim)
    return _position(input, dim, keepdim, "argmin")


def _extreme(input: Tensor, dim: Any, keepdim: bool, other: dict[str, Any], name: str) -> Any:
    if "other" in other:
        dim = other.pop("other")
    if other:
        dim, keepdim = numpy_names(name, other, dim, keepdim)
    a = tensor_of(input, name)._array
    if isinstance(dim, Tensor):
        return (maximum if name == "max" else minimum)(input, dim)
    if dim is ...:
        all_of(name, keepdim)
        not_empty(a.shape, None, name)
        value = grad_state.quiet(a.max if name == "max" else a.min)
        return _taken(_rd.OneOfAll, (input,), (name,), value)
    if not isinstance(dim, int):
        raise TypeError(f"{name}(): argument 'dim' must be int or Tensor, not {type(dim).__name__}")
    truth_of(keepdim, name)
    d = one_dim(dim, a.ndim)
    if not a.ndim:
        zero = Tensor._wrap(module_of(a).zeros((), np.int64))
        value = apply(Pick, (input, zero), (0, True, True, f"{name.title()}Backward0"))
        return pair(name, value, zero)
    if not a.shape[d]:
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")
    kept = (*a.shape[:d], 1, *a.shape[d + 1 :]) if keepdim else None
    indices = Tensor._wrap(_index_of_extreme(a, d, name, kept))
    out = grad_state.quiet(a.max if name == "max" else a.min, axis=d, keepdims=keepdim)
    values = _taken(Pick, (input, indices), (d, keepdim, True, f"{name.title()}Backward0"), out)
    return pair(name, values, indices)


def _of_its_dtype(named: dict[str, Any], out: Any) -> None:
    """Values and indices go into tensors of their own dtypes; the extreme of all, or of two tensors, into any."""
    if isinstance(out, (tuple, list)):
        for target, dtype in zip(out, (named["input"].dtype, int64), strict=False):
            if isinstance(target, Tensor) and target.dtype is not dtype:
                raise RuntimeError(
                    f"Expected out tensor to have dtype {dtype}, but got {target.dtype} instead"
                )


@public(out=True, prepare=_of_its_dtype)
def max(input: Tensor, dim: Any = ..., keepdim: bool = False, **other: Any) -> Any:
    """max(t) is the largest element; max(t, dim) a pair (values, indices); max(t, other) elementwise."""
    return _extreme(input, dim, keepdim, other, "max")


@public(out=True, prepare=_of_its_dtype)
def min(input: Tensor, dim: Any = ..., keepdim: bool = False, **other: Any) -> Any:
    """min(t) is the smallest element; min(t, dim) a pair (values, indices); min(t, other) elementwise."""
    return _extreme(input, dim, keepdim, other, "min")
