"""Functions that reduce dimensions: sums, products, extrema, truth."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..autocast import runs_in_float32
from ..dtypes import FLOATS, get_default_dtype, int64
from ..dtypes import dtype as DType
from ..grad_mode import state as grad_state
from ..ops import reduction as _rd
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor
from .arguments import Dims, all_dims, numpy_names, one_dim, shape_args, tensor_of, truth_of
from .catalogue import public

__all__ = [
    "sum",
    "nansum",
    "mean",
    "nanmean",
    "prod",
    "all",
    "any",
    "count_nonzero",
    "logsumexp",
]
_builtin_any = builtins.any


def reduced(
    op: type[Any], name: str, input: Tensor, dim: Dims, keepdim: bool, dtype: DType | None = None
) -> Tensor:
    if keepdim is not False:
        truth_of(keepdim, name)
    if not isinstance(input, Tensor):
        tensor_of(input, name)
    t = in_dtype(input, dtype, name) if dtype is not None else input
    shape = t._array.shape
    return apply(op, (t,), (all_dims(dim, len(shape)), keepdim, shape))


def all_of(name: str, keepdim: Any) -> None:
    """Refuses keepdim where no dim is given: PyTorch takes keepdim only with a dim (None among them)."""
    if keepdim is not False:
        raise TypeError(f"{name}(): keepdim is taken with dim only; dim=None stands for all dimensions")


def in_dtype(input: Tensor, dtype: Any, name: str) -> Tensor:
    """`input` in the dtype that is asked for; a gradient that this would lose is refused."""
    tensor_of(input, name)
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
    if dim is ... and dtype is None and keepdim is False and not other and isinstance(input, Tensor):
        shape = input._array.shape  # the ordinary case, spelled out: a fifth less time
        if input._array.dtype in FLOATS:
            return apply(_rd.SumAll, (input,), (tuple(range(len(shape))), False, shape))
    if other:
        dim, keepdim = numpy_names("sum", other, dim, keepdim)
    if dim is ...:
        all_of("sum", keepdim)
        dim = None
    if dtype is None and tensor_of(input, "sum")._array.dtype.kind in "biu":
        dtype = int64
    return reduced(_rd.SumAll if dim is None else _rd.Sum, "sum", input, dim, keepdim, dtype)


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
    return reduced(_rd.Nansum, "nansum", input, dim, keepdim, dtype)


@public(out=True)
def mean(
    input: Tensor, dim: Any = ..., keepdim: bool = False, *, dtype: DType | None = None, **other: Any
) -> Tensor:
    """Mean over `dim` (all where None), of floating-point tensors or in a floating-point `dtype`."""
    if dim is ... and dtype is None and keepdim is False and not other and isinstance(input, Tensor):
        shape = input._array.shape  # the ordinary case, spelled out: a fifth less time
        if input._array.dtype in FLOATS:
            return apply(_rd.MeanAll, (input,), (tuple(range(len(shape))), False, shape))
    if other:
        dim, keepdim = numpy_names("mean", other, dim, keepdim)
    if dim is ...:
        all_of("mean", keepdim)
        dim = None
    if (tensor_of(input, "mean")._array.dtype if dtype is None else dtype.numpy).kind in "biu":
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {input.dtype if dtype is None else dtype}"
        )
    return reduced(_rd.MeanAll if dim is None else _rd.Mean, "mean", input, dim, keepdim, dtype)


@public(out=True)
def nanmean(
    input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None, **other: Any
) -> Tensor:
    """Mean over `dim` of what is not NaN; NaN where there is nothing else."""
    if other:
        dim, keepdim = numpy_names("nanmean", other, dim, keepdim)
    if not tensor_of(input, "nanmean").is_floating_point():
        raise RuntimeError(f"nanmean(): expected input to have floating point dtype but got {input.dtype}")
    if dtype is not None and not dtype.is_floating_point:
        raise RuntimeError(
            "nanmean(): could not infer output dtype. Optional dtype must be either a floating point or complex dtype. "
            f"Got: {dtype}"
        )
    there = sum(Tensor._wrap(input._array == input._array), dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / there


@public(out=True, exact=True, prepare=_with_dim_into_dtype)
@runs_in_float32("cpu", "cuda")
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
        all_of("prod", keepdim)
        return apply(_rd.Prod, (t,), (None, keepdim))
    d = one_dim(dim, t.ndim)  # a 0-d tensor has dimension 0 in arguments only
    return apply(_rd.Prod, (t,), (d if t.ndim else None, keepdim))


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
    if isinstance(dim, (tuple, list)) and not dim and input.ndim and not keepdim:
        raise RuntimeError(
            "logsumexp(): expected at least one dimension; dim=tuple(range(t.ndim)) stands for all"
        )
    if dim is None:
        raise TypeError("logsumexp(): argument 'dim' must be tuple of ints, not NoneType")
    return reduced(_rd.Logsumexp, "logsumexp", input, dim, keepdim)


@public(function=False)
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """`input` summed over what broadcasting from `size` would have repeated."""
    t = tensor_of(input, "sum_to_size")
    if not size:
        raise TypeError('sum_to_size() missing 1 required positional arguments: "size"')
    shape = shape_args(size)
    own = t._array.shape
    lead = len(own) - len(shape)
    if lead < 0 or _builtin_any(n not in (1, m) for n, m in zip(shape, own[lead:], strict=True)):
        raise RuntimeError(f"size {{{list(shape)}}} is not expandable to size {{{list(own)}}}.")
    if not shape:
        return sum(t)
    if shape == own:
        return t
    if not t.is_floating_point():
        t = cast_inputs(t, int64)
    return apply(_rd.SumTo, (t,), (shape,))
