"""Variance, standard deviation, covariance, and norms."""

from __future__ import annotations

from typing import Any

from ..dtypes import dtype as DType
from ..dtypes import get_default_dtype
from ..ops import reduction as _rd
from ..ops import statistics as _st
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor
from .arguments import Dims, all_dims, numpy_names, one_dim, tensor_of, truth_of, whole_number
from .arithmetic import clamp, div, mul, where
from .catalogue import public
from .elementary import sqrt
from .shape import reshape

__all__ = ["corrcoef", "cov", "dist", "norm", "renorm", "std", "std_mean", "var", "var_mean"]


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
            from .matrix_functions import matrix_norm_of

            return matrix_norm_of(t, "nuc", range(t.ndim) if dim is None else dim, bool(keepdim), None)
        if p != "fro":
            raise RuntimeError(f"norm: 'fro', 'nuc' or a number is supported as p, got {p!r}")
        p = 2.0
    elif p is None:
        p = 2.0
    elif isinstance(p, bool) or not isinstance(p, (int, float)):
        raise TypeError(f"norm(): argument 'p' must be Number or str, not {type(p).__name__}")
    shape = t._array.shape
    dims = all_dims(dim, len(shape))
    if (p < 0 or p == float("inf")) and any(shape[d] == 0 for d in dims):
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {p} norm on an empty tensor because the operation does not have an identity"
        )
    return apply(_st.VectorNorm, (t,), (float(p), dims, keepdim, shape))


@public()
def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariances of the rows of `input`, whose columns are observations.

    fweights: how often each observation counts (integers). aweights: how much each counts.
    """
    t = tensor_of(input, "cov")
    correction = whole_number(correction, "correction")
    if t.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions but got an input with {t.ndim} dimensions"
        )
    if t._array.dtype.kind == "b":
        raise RuntimeError("cov(): bool dtype is not supported for input")
    rows = reshape(t, (1, -1)) if t.ndim < 2 else t
    n = rows.shape[1]
    w = _observations(fweights, aweights, n)
    total: Any = n if w is None else w.sum()
    if w is not None and (not n or float(total.detach().item()) == 0):
        raise RuntimeError("cov(): weights sum to zero, can't be normalized")
    if not rows.is_floating_point():
        rows = cast_inputs(rows, get_default_dtype())
    if w is None:
        centred = rows - rows.mean(1, True)
        scaled = centred
        freedom: Any = max(n - correction, 0)
    else:
        centred = rows - (rows * w).sum(1, True) / total
        scaled = centred * w
        freedom = (
            total - correction if aweights is None else total - correction * (w * aweights).sum() / total
        )
        freedom = freedom.to(rows.dtype).clamp(0)
    product: Tensor = centred @ scaled.T / freedom
    return product if product._array.size != 1 else reshape(product, ())


def _observations(fweights: Any, aweights: Any, n: int) -> Tensor | None:
    """How much each observation counts, or None where all count alike."""
    w = None
    for given, name, whole in ((fweights, "fweights", True), (aweights, "aweights", False)):
        if given is None:
            continue
        tensor_of(given, "cov", name)
        if given.ndim > 1:
            raise RuntimeError(f"cov(): expected {name} to have one or fewer dimensions but got {given.ndim}")
        if given.is_floating_point() is whole or given._array.dtype.kind == "b":
            kind = "integral" if whole else "floating point"
            raise RuntimeError(
                f"cov(): expected {name} to have {kind} dtype but got {name} with {given.dtype} dtype"
            )
        if given.numel() != n:
            raise RuntimeError(
                f"cov(): expected {name} to have the same numel as there are observations in the input but got "
                f"{given.numel()} != {n}"
            )
        if n and float(given._array.min()) < 0:
            raise RuntimeError(f"cov(): {name} cannot be negative")
        w = given if w is None else w * given
    return w


@public()
def corrcoef(input: Tensor) -> Tensor:
    """The correlations of the rows of `input`, whose columns are observations: from -1 to 1."""
    t = tensor_of(input, "corrcoef")
    if t.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions but got an input with {t.ndim} dimensions"
        )
    c = cov(t)
    if not c.ndim:
        return div(c, c)
    spread = sqrt(c.diagonal())
    return clamp(c / spread.unsqueeze(1) / spread.unsqueeze(0), -1, 1)


@public()
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other."""
    tensor_of(input, "dist")
    tensor_of(other, "dist", "other")
    if isinstance(p, bool) or not isinstance(p, (int, float)):
        raise TypeError(f"dist(): argument 'p' must be Number, not {type(p).__name__}")
    away = input - other
    if not away.is_floating_point():
        raise RuntimeError(
            f"norm(): input dtype should be either floating point or complex. Got {away.dtype} instead."
        )
    shape = away._array.shape
    return apply(_st.VectorNorm, (away,), (float(p), tuple(range(away.ndim)), False, shape))


@public(in_place=True, out=True)
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """The slices along `dim` whose p-norm is above `maxnorm` shortened to it."""
    t = tensor_of(input, "renorm")
    for value, name in ((p, "p"), (maxnorm, "maxnorm")):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TypeError(f"renorm(): argument '{name}' must be Number, not {type(value).__name__}")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if t.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {t.ndim} dimensions")
    d = one_dim(dim, t.ndim)
    if not t.is_floating_point():
        raise RuntimeError(
            f"linalg.vector_norm: Expected a floating point or complex tensor as input. Got {t.dtype}"
        )
    length = norm(t, float(p), tuple(i for i in range(t.ndim) if i != d), True)
    above = (length > maxnorm).detach()
    return mul(t, where(above, maxnorm / (length + 1e-7), 1.0))
