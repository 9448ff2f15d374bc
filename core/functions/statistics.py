"""Variance and standard deviation, with or without the mean, and the p-norm."""

from __future__ import annotations

from typing import Any

from ..dtypes import dtype as DType
from ..ops import reduction as _rd
from ..ops import statistics as _st
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor
from .arguments import Dims, all_dims, numpy_names, tensor_of, truth_of
from .catalogue import public

__all__ = ["norm", "std", "std_mean", "var", "var_mean"]


def _spread(
    name: str, input: Tensor, dim: Any, unbiased: Any, keepdim: Any, correction: Any, other: dict[str, Any]
) -> tuple[Tensor, tuple[int, ...], float, bool]:
    """The input, the dimensions, the correction and keepdim after var(t, unbiased), var(t, dim, unbiased, keepdim) and
    var(t, dim, correction=…, keepdim=…)."""
    if other:
        dim, keepdim = numpy_names(name, other, dim, keepdim)
    shape = tensor_of(input, name)._array.shape
    if dim is True or dim is False:
        if unbiased is not None:
            raise TypeError(f"{name}(): argument 'dim' must be tuple of ints, not bool")
        dim, unbiased = None, dim
    elif dim is ...:
        dim = None
    if unbiased is not None:
        if correction is not None:
            raise TypeError(f"{name}(): takes unbiased or correction, not both")
        correction = int(truth_of(unbiased, name, "unbiased"))
    elif correction is None:
        correction = 1
    elif isinstance(correction, bool) or not isinstance(correction, (int, float)):
        raise TypeError(f"{name}(): argument 'correction' must be Number, not {type(correction).__name__}")
    truth_of(keepdim, name)
    dims = all_dims(dim, len(shape))
    if not input.is_floating_point():
        raise RuntimeError(f"{name}(): only floating point tensors have a spread, got {input.dtype}")
    return input, dims, correction, keepdim


def _with_dim(named: dict[str, Any], out: Any) -> None:
    if isinstance(named.get("dim"), bool) or ("unbiased" in named and not {"dim", "axis"} & set(named)):
        raise TypeError("out= is taken with an explicit dim only; write the result with out.copy_()")


@public(out=True, prepare=_with_dim)
def var(
    input: Tensor, dim: Any = ..., unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None, **other: Any
) -> Tensor:  # fmt: skip
    """Variance over `dim` (all where None), divided by N - correction (1 unless given; `unbiased` is 1 or 0)."""
    t, dims, by, keepdim = _spread("var", input, dim, unbiased, keepdim, correction, other)
    return apply(_st.Var, (t,), (dims, by, keepdim, t._array.shape))


@public(out=True, prepare=_with_dim)
def std(
    input: Tensor, dim: Any = ..., unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None, **other: Any
) -> Tensor:  # fmt: skip
    """Standard deviation over `dim`: the root of var."""
    t, dims, by, keepdim = _spread("std", input, dim, unbiased, keepdim, correction, other)
    return apply(_st.Std, (t,), (dims, by, keepdim, t._array.shape))


@public(method=False)
def var_mean(
    input: Tensor, dim: Any = ..., unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None, **other: Any
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Variance and mean over `dim`."""
    t, dims, by, keepdim = _spread("var_mean", input, dim, unbiased, keepdim, correction, other)
    shape = t._array.shape
    return apply(_st.Var, (t,), (dims, by, keepdim, shape)), apply(_rd.Mean, (t,), (dims, keepdim, shape))


@public(method=False)
def std_mean(
    input: Tensor, dim: Any = ..., unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None, **other: Any
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Standard deviation and mean over `dim`."""
    t, dims, by, keepdim = _spread("std_mean", input, dim, unbiased, keepdim, correction, other)
    shape = t._array.shape
    return apply(_st.Std, (t,), (dims, by, keepdim, shape)), apply(_rd.Mean, (t,), (dims, keepdim, shape))


@public(out=True)
def norm(
    input: Tensor, p: Any = "fro", dim: Dims = None, keepdim: bool = False, dtype: DType | None = None
) -> Tensor:
    """The p-norm of the elements over `dim` (all where None); "fro" is 2, "nuc" the sum of the singular values."""
    t = tensor_of(input, "norm")
    truth_of(keepdim, "norm")
    if dtype is not None:
        if not dtype.is_floating_point:
            raise RuntimeError(f"linalg.vector_norm: dtype should be floating point, but got {dtype}")
        t = cast_inputs(t, dtype)
    if not t.is_floating_point():
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {t.dtype}"
        )
    if isinstance(p, str):
        if p == "nuc":
            raise RuntimeError(
                "norm: the nuclear norm is not here; torch.linalg.svdvals(t).sum() is the same"
            )
        if p != "fro":
            raise RuntimeError(f"norm: 'fro', 'nuc' or a number is supported as p, got {p!r}")
        p = 2.0
    elif p is None:
        p = 2.0
    elif isinstance(p, bool) or not isinstance(p, (int, float)):
        raise TypeError(f"norm(): argument 'p' must be Number or str, not {type(p).__name__}")
    shape = t._array.shape
    dims = all_dims(dim, len(shape))
    if p in (float("inf"), float("-inf")) and any(shape[d] == 0 for d in dims):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {p} norm on an empty tensor because the operation does not have an identity"
        )
    return apply(_st.VectorNorm, (t,), (float(p), dims, keepdim, shape))
