"""Functions that reduce dimensions: sums, products, extrema, truth."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import FLOATS, get_default_dtype, int64
from ..dtypes import dtype as DType
from ..grad_mode import state as grad_state
from ..ops import cumulative as _cum
from ..ops import reduction as _rd
from ..ops.order import Pick
from ..ops.registry import apply, cast_inputs
from ..ops.registry import taken as _taken
from ..tensor import Tensor
from .arguments import Dims, all_dims, named, numpy_names, one_dim, pair, tensor_of, truth_of
from .arithmetic import maximum, minimum
from .catalogue import public

__all__ = [
    "sum",
    "nansum",
    "mean",
    "nanmean",
    "prod",
    "amax",
    "amin",
    "aminmax",
    "argmax",
    "argmin",
    "max",
    "min",
    "all",
    "any",
    "count_nonzero",
    "logsumexp",
    "cumsum",
]
_builtin_all = builtins.all


def _reduced(
    op: type[Any], name: str, input: Tensor, dim: Dims, keepdim: bool, dtype: DType | None = None
) -> Tensor:
    if keepdim is not False:
        truth_of(keepdim, name)
    if not isinstance(input, Tensor):
        tensor_of(input, name)
    t = in_dtype(input, dtype, name) if dtype is not None else input
    shape = t._array.shape
    return apply(op, (t,), (all_dims(dim, len(shape)), keepdim, shape))


def _all_of(name: str, keepdim: Any) -> None:
    """Refuses keepdim where no dim is given: PyTorch takes keepdim only with a dim (None among them)."""
    if keepdim is not False:
        raise TypeError(f"{name}(): keepdim is taken with dim only; dim=None stands for all dimensions")


def in_dtype(input: Tensor, dtype: Any, name: str) -> Tensor:
    """`input` in the dtype that is asked for; a gradient that this would lose is refused."""
    if not isinstance(dtype, DType):
        raise TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(dtype).__name__}")
    if input._requires_grad and grad_state.enabled and not dtype.is_floating_point:
        raise RuntimeError(
            f"{name}(): a gradient can't pass {dtype}; detach the tensor first, or take a floating-point dtype"
        )
    return cast_inputs(input, dtype)


def with_dim(named: dict[str, Any], out: Any) -> None:
    """Refuses `out` where no dimension is given, as PyTorch does for functions with a form of their own for that."""
    if named.get("dim", named.get("axis", ...)) is ... and not isinstance(named.get("other"), Tensor):
        raise TypeError("out= is taken with an explicit dim only; write the result with out.copy_()")


def into_dtype(named: dict[str, Any], out: Any) -> None:
    """Where `out` is given without `dtype`, the reduction is made in out's."""
    if isinstance(out, Tensor) and named.get("dtype") is None:
        named["dtype"] = out.dtype


def _with_dim_into_dtype(named: dict[str, Any], out: Any) -> None:
    with_dim(named, out)
    into_dtype(named, out)


@public(out=True, exact=True, prepare=_with_dim_into_dtype)
def sum(
    input: Tensor, dim: Any = ..., keepdim: bool = False, *, dtype: DType | None = None, **other: Any
) -> Tensor:
    """Sum over `dim` (all where None). Integers and bools are summed as int64."""
    if other:
        dim, keepdim = numpy_names("sum", other, dim, keepdim)
    if dim is ...:
        _all_of("sum", keepdim)
        dim = None
    if dtype is None and tensor_of(input, "sum")._array.dtype.kind in "biu":
        dtype = int64
    return _reduced(_rd.SumAll if dim is None else _rd.Sum, "sum", input, dim, keepdim, dtype)


def _nansum_into(named: dict[str, Any], out: Any) -> None:
    t = named["input"]
    whole = isinstance(out, Tensor) and not out.is_floating_point()
    if whole and named.get("dtype") is None and t.is_floating_point() and t.numel():
        raise RuntimeError(f"nansum(): not implemented for {out.dtype} of {t.dtype}; give dtype")
    into_dtype(named, out)


@public(out=True, exact=True, prepare=_nansum_into)
def nansum(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None, **other: Any
) -> Tensor:
    """Sum over `dim` in which NaN counts as 0."""
    if other:
        dim, keepdim = numpy_names("nansum", other, dim, keepdim)
    if tensor_of(input, "nansum")._array.dtype.kind in "biu":
        return sum(input, dim, keepdim, dtype=dtype)
    return _reduced(_rd.Nansum, "nansum", input, dim, keepdim, dtype)


@public(out=True)
def mean(
    input: Tensor, dim: Any = ..., keepdim: bool = False, *, dtype: DType | None = None, **other: Any
) -> Tensor:
    """Mean over `dim` (all where None), of floating-point tensors or in a floating-point `dtype`."""
    if other:
        dim, keepdim = numpy_names("mean", other, dim, keepdim)
    if dim is ...:
        _all_of("mean", keepdim)
        dim = None
    if (tensor_of(input, "mean")._array.dtype if dtype is None else dtype.numpy).kind in "biu":
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {input.dtype if dtype is None else dtype}"
        )
    return _reduced(_rd.MeanAll if dim is None else _rd.Mean, "mean", input, dim, keepdim, dtype)


@public(out=True)
def nanmean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None, **other: Any
) -> Tensor:
    """Mean over `dim` of what is not NaN; NaN where there is nothing else."""
    if other:
        dim, keepdim = numpy_names("nanmean", other, dim, keepdim)
    if not tensor_of(input, "nanmean").is_floating_point():
        raise RuntimeError(f"nanmean(): expected input to have floating point dtype but got {input.dtype}")
    there = sum(Tensor._wrap(input._array == input._array), dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / there


@public(out=True, exact=True, prepare=_with_dim_into_dtype)
def prod(
    input: Tensor, dim: Any = ..., keepdim: bool = False, *, dtype: DType | None = None, **other: Any
) -> Tensor:
    """Product of all elements, or along one `dim`. Integers and bools are multiplied as int64."""
    if other:
        dim, keepdim = numpy_names("prod", other, dim, keepdim)
    truth_of(keepdim, "prod")
    if dtype is None and tensor_of(input, "prod")._array.dtype.kind in "biu":
        dtype = int64
    t = in_dtype(input, dtype, "prod") if dtype is not None else input
    if dim is ...:
        _all_of("prod", keepdim)
        return apply(_rd.Prod, (t,), (None, keepdim))
    d = one_dim(dim, t.ndim)  # a 0-d tensor has dimension 0 in arguments only
    return apply(_rd.Prod, (t,), (d if t.ndim else None, keepdim))


@public(out=True, exact=True)
def amax(input: Tensor, dim: Dims = (), keepdim: bool = False, **other: Any) -> Tensor:
    """Largest element over `dim`; equal ones share the gradient evenly."""
    if other:
        dim, keepdim = numpy_names("amax", other, dim, keepdim)
    _not_empty(tensor_of(input, "amax")._array.shape, dim, "amax")
    return _reduced(_rd.Amax, "amax", input, dim, keepdim)


@public(out=True, exact=True)
def amin(input: Tensor, dim: Dims = (), keepdim: bool = False, **other: Any) -> Tensor:
    """Smallest element over `dim`; equal ones share the gradient evenly."""
    if other:
        dim, keepdim = numpy_names("amin", other, dim, keepdim)
    _not_empty(tensor_of(input, "amin")._array.shape, dim, "amin")
    return _reduced(_rd.Amin, "amin", input, dim, keepdim)


def _not_empty(shape: tuple[int, ...], dim: Any, name: str, whole: type[Exception] = RuntimeError) -> None:
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
    _not_empty(input._array.shape, dim, "aminmax")
    return named("aminmax", min=amin(input, dim, keepdim), max=amax(input, dim, keepdim))


def _position(input: Tensor, dim: int | None, keepdim: bool, name: str) -> Tensor:
    a = tensor_of(input, name)._array
    truth_of(keepdim, name)
    _not_empty(a.shape, dim, name, IndexError)
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
        _all_of(name, keepdim)
        _not_empty(a.shape, None, name)
        value = a.max() if name == "max" else a.min()
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
    out = a.max(axis=d, keepdims=keepdim) if name == "max" else a.min(axis=d, keepdims=keepdim)
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


@public(out=True, exact=True)
def all(input: Tensor, dim: Dims = None, keepdim: bool = False, **other: Any) -> Tensor:
    """Whether all elements over `dim` are true."""
    if other:
        dim, keepdim = numpy_names("all", other, dim, keepdim)
    return _truth(input, dim, keepdim, "all")


@public(out=True, exact=True)
def any(input: Tensor, dim: Dims = None, keepdim: bool = False, **other: Any) -> Tensor:
    """Whether any element over `dim` is true."""
    if other:
        dim, keepdim = numpy_names("any", other, dim, keepdim)
    return _truth(input, dim, keepdim, "any")


def _truth(input: Tensor, dim: Dims, keepdim: bool, name: str) -> Tensor:
    """all and any of bytes are bytes in PyTorch, of everything else bools."""
    truth_of(keepdim, name)
    a = tensor_of(input, name)._array
    found = a if a.dtype.kind == "b" else a != 0
    if dim is None or isinstance(dim, int) or len(dim):  # over no dimensions, each element is an answer
        axes = all_dims(dim, a.ndim)
        found = (found.all if name == "all" else found.any)(axis=axes, keepdims=keepdim)
    elif found is a:
        found = a.copy()
    return Tensor._wrap(found.astype(np.uint8) if a.dtype == np.uint8 else found)


@public()
def count_nonzero(input: Tensor, dim: Dims = None) -> Tensor:
    """How many elements over `dim` are not zero, as int64."""
    return sum(Tensor._wrap(tensor_of(input, "count_nonzero")._array != 0), dim)


@public(out=True)
def logsumexp(input: Tensor, dim: Any, keepdim: bool = False, **other: Any) -> Tensor:
    """log(sum(exp(input))) over `dim`, without overflow."""
    if other:
        dim, keepdim = numpy_names("logsumexp", other, dim, keepdim)
    if not tensor_of(input, "logsumexp").is_floating_point():
        input = cast_inputs(input, get_default_dtype())
    if not isinstance(dim, int) and not len(dim) and input.ndim:
        raise RuntimeError("logsumexp(): expected at least one dimension")
    return _reduced(_rd.Logsumexp, "logsumexp", input, dim, keepdim)


@public(in_place=True, out=True)
def cumsum(input: Tensor, dim: int) -> Tensor:
    x = input if input._array.dtype in FLOATS else cast_inputs(input, int64)
    return apply(_cum.Cumsum, (x,), (one_dim(dim, input.ndim),))
