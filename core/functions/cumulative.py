"""Running sums, products and extremes, differences, and integrals and slopes made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import bool as boolean
from ..dtypes import dtype as DType
from ..dtypes import get_default_dtype, int64
from ..grad_mode import state as grad_state
from ..ops import cumulative as _cum
from ..ops.order import Pick
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor
from .arguments import all_dims, one_dim, pair, tensor_of, whole_number
from .arithmetic import logical_xor
from .catalogue import public
from .joining import cat
from .parts import narrow
from .reduction import in_dtype, into_dtype, sum
from .shape import reshape

__all__ = [
    "cummax", "cummin", "cumprod", "cumsum", "cumulative_trapezoid", "diff", "gradient", "logcumsumexp", "trapezoid",
    "trapz",
]  # fmt: skip


def _running(
    op: type[Any], name: str, input: Tensor, dim: int, dtype: DType | None, other: dict[str, Any]
) -> Tensor:
    for key in other:
        raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
    t = tensor_of(input, name)
    d = one_dim(dim, t.ndim)
    if dtype is None and not t.is_floating_point():
        dtype = int64
    if dtype is boolean:
        raise NotImplementedError(f"{name}: not implemented for torch.bool; take int64")
    return apply(op, (t if dtype is None else in_dtype(t, dtype, name),), (d,))


def _axis(name: str, dim: Any, other: dict[str, Any]) -> Any:
    if dim is not ...:
        return dim
    if "axis" not in other:
        raise TypeError(f'{name}() missing 1 required positional arguments: "dim"')
    return other.pop("axis")


@public(in_place=True, out=True, exact=True, prepare=into_dtype)
def cumsum(input: Tensor, dim: int = ..., *, dtype: DType | None = None, **other: Any) -> Tensor:  # type: ignore[assignment]
    """Running sums along `dim`. Integers and bools are summed as int64."""
    return _running(_cum.Cumsum, "cumsum", input, _axis("cumsum", dim, other), dtype, other)


@public(in_place=True, out=True, exact=True, prepare=into_dtype)
def cumprod(input: Tensor, dim: int = ..., *, dtype: DType | None = None, **other: Any) -> Tensor:  # type: ignore[assignment]
    """Running products along `dim`. Integers and bools are multiplied as int64."""
    return _running(_cum.Cumprod, "cumprod", input, _axis("cumprod", dim, other), dtype, other)


@public(out=True)
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """Logarithms of the running sums of exp(input) along `dim`, without overflow."""
    t = tensor_of(input, "logcumsumexp")
    d = one_dim(dim, t.ndim)
    if not t.is_floating_point():
        raise NotImplementedError(f"logcumsumexp: not implemented for {t.dtype}; convert with .float() first")
    return apply(_cum.Logcumsumexp, (t,), (d,))


def _running_extreme(input: Tensor, dim: int, name: str) -> Any:
    t = tensor_of(input, name)
    d = one_dim(dim, t.ndim)
    a = t._array
    if a.ndim:
        index = grad_state.quiet(_cum.running_extreme, a, d, name == "cummax")
    else:
        index = module_of(a).zeros((), np.int64)
    indices = Tensor._wrap(index)
    return pair(name, apply(Pick, (t, indices), (d, True, False, f"{name.title()}Backward0")), indices)


@public(out=True, exact=True)
def cummax(input: Tensor, dim: int) -> Any:
    """Running maxima along `dim` and where they are (the last of equal ones); NaN from where one appears."""
    return _running_extreme(input, dim, "cummax")


@public(out=True, exact=True)
def cummin(input: Tensor, dim: int) -> Any:
    """Running minima along `dim` and where they are (the last of equal ones); NaN from where one appears."""
    return _running_extreme(input, dim, "cummin")


@public(out=True)
def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The `n`-th differences of neighbours along `dim`, of bools whether they differ."""
    t = tensor_of(input, "diff")
    n = whole_number(n, "n")
    if not t.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    d = one_dim(dim, t.ndim)
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    beside = [x for x in (prepend, append) if x is not None]
    for x, argument in ((prepend, "prepend"), (append, "append")):
        if x is not None and tensor_of(x, "diff", argument).ndim != t.ndim:
            raise RuntimeError("diff expects prepend or append to be the same dimension as input")
    if beside:
        t = cat([x for x in (prepend, t, append) if x is not None], d)
    if not n:
        return t.clone()
    for _ in range(min(n, t.shape[d])):
        later, earlier = narrow(t, d, 1, t.shape[d] - 1), narrow(t, d, 0, t.shape[d] - 1)
        t = logical_xor(later, earlier) if t._array.dtype.kind == "b" else later - earlier
    return t


def _trapezoids(y: Tensor, x: Any, dx: Any, dim: int, name: str) -> tuple[Tensor, int]:
    """The areas between neighbours along `dim`, times 2."""
    tensor_of(y, name, "y")
    if y._array.dtype.kind == "b":
        raise RuntimeError(f"{name}: received a bool input for `y`, but bool is not supported; use .int()")
    if not y.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    d = one_dim(dim, y.ndim)
    n = y.shape[d]
    if x is None:
        if isinstance(dx, bool):
            raise RuntimeError(f"{name}: Currently, we only support dx as a real number.")
        if not isinstance(dx, (int, float)):
            raise TypeError(f"{name}(): argument 'dx' must be Number, not {type(dx).__name__}")
        width: Any = dx
    else:
        if dx is not None:
            raise TypeError(f"{name}(): takes x or dx, not both")
        tensor_of(x, name, "x")
        if x._array.dtype.kind == "b":
            raise RuntimeError(
                f"{name}: received a bool input for `x`, but bool is not supported; use .int()"
            )
        if x.ndim == 1:
            if x.shape[0] != n:
                raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
            x = reshape(x, (n, *(1,) * (y.ndim - 1 - d)))
            width = diff(x, dim=0)
        elif not x.ndim:
            raise RuntimeError(f"{name}: `x` must have at least one dimension; a number goes as dx=")
        else:
            width = diff(x, dim=x.ndim - (y.ndim - d)) if x.ndim >= y.ndim - d else diff(x, dim=dim)
    if not n:
        return y, d
    pairs = narrow(y, d, 0, n - 1) + narrow(y, d, 1, n - 1)
    return pairs * width, d


@public(method=False)
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral of `y` along `dim` by trapezoids, at points `x` or at distances `dx` (1)."""
    areas, d = _trapezoids(y, x, 1 if dx is None and x is None else dx, dim, "trapezoid")
    return sum(areas, d) / 2.0 if y.shape[d] else sum(areas, d, dtype=y.dtype)


@public(method=False)
def trapz(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """Another name for trapezoid."""
    return trapezoid(y, x, dx=dx, dim=dim)


@public(method=False)
def cumulative_trapezoid(
    y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1
) -> Tensor:
    """The running integrals of `y` along `dim` by trapezoids: one fewer than there are points."""
    areas, d = _trapezoids(y, x, 1 if dx is None and x is None else dx, dim, "cumulative_trapezoid")
    return cumsum(areas, d) / 2.0


def _spacings(input: Tensor, spacing: Any, dims: tuple[int, ...], given: bool) -> list[Any]:
    """For each dimension the distance of neighbours, or a tensor of places."""
    if isinstance(spacing, Tensor):
        if spacing.ndim:
            raise TypeError(
                "gradient(): argument 'spacing' must be a number or a sequence, not a tensor of places"
            )
        spacing = spacing.item()
    if isinstance(spacing, (int, float)) and not isinstance(spacing, bool):
        return [spacing] * len(dims)
    if not isinstance(spacing, Sequence) or isinstance(spacing, str):
        raise TypeError(
            f"gradient(): argument 'spacing' must be Number or a sequence, not {type(spacing).__name__}"
        )
    if len(spacing) != len(dims):
        wanted = (
            "a list of length equal to the number of dims given"
            if given
            else f"unspecified, a scalar, or a list of length equal to 'self.dim() = {input.ndim}', since dim argument was not given"
        )
        raise RuntimeError(f"torch.gradient expected spacing to be {wanted}, but got {len(spacing)}")
    return list(spacing)


@public(method=False)
def gradient(input: Tensor, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """The slopes of `input` along each `dim` (all where None), by second-order differences.

    spacing: the distance of neighbours, one for all or for each, or for each a 1-D tensor of places. edge_order: 1 or 2,
    how many neighbours the slopes at the edges look at.
    """
    t = tensor_of(input, "gradient")
    dims = all_dims(dim, t.ndim) if dim != () else ()
    if dim is not None and dim != () and not t.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if t._array.dtype == np.uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    steps = _spacings(t, spacing, dims, dim is not None)
    for d in dims:
        if t.shape[d] < edge_order + 1:
            raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    if not t.is_floating_point():
        if t._array.dtype.kind == "b":
            raise RuntimeError("torch.gradient does not support bool input; use .int()")
        t = cast_inputs(t, get_default_dtype())
    return tuple([_slopes(t, d, step, edge_order) for d, step in zip(dims, steps, strict=True)])


def _slopes(t: Tensor, d: int, step: Any, edge_order: int) -> Tensor:
    n = t.shape[d]
    share: list[Any]
    if isinstance(step, Tensor):
        if step.ndim != 1 or step.shape[0] != n:
            raise RuntimeError(
                f"torch.gradient expected the places of dimension {d} as a 1-D tensor of {n} elements, got {list(step.shape)}"
            )
        places = cast_inputs(step, t.dtype) if not step.is_floating_point() else step
        widths = reshape(diff(places), (n - 1, *(1,) * (t.ndim - 1 - d)))
        rise = diff(t, dim=d) / widths
        left, right = narrow(widths, 0, 0, n - 2), narrow(widths, 0, 1, n - 2)
        inner = (narrow(rise, d, 0, n - 2) * right + narrow(rise, d, 1, n - 2) * left) / (left + right)
        share = [_share(widths, 0, 1), _share(widths, n - 2, n - 3)] if edge_order == 2 else []
    else:
        rise = diff(t, dim=d) / step
        inner = (narrow(t, d, 2, n - 2) - narrow(t, d, 0, n - 2)) / (2 * step)
        share = [0.5, 0.5]
    first, last = narrow(rise, d, 0, 1), narrow(rise, d, n - 2, 1)
    if edge_order == 2:
        first = first + (first - narrow(rise, d, 1, 1)) * share[0]
        last = last + (last - narrow(rise, d, n - 3, 1)) * share[1]
    return cat([first, inner, last], d)


def _share(widths: Tensor, edge: int, next_to_it: int) -> Tensor:
    """Which part of the change of slope from the edge's interval to the next is added at the edge."""
    near, far = narrow(widths, 0, edge, 1), narrow(widths, 0, next_to_it, 1)
    return near / (near + far)
