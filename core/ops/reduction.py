"""Reductions: sum, mean, product, extrema, logsumexp; and sum_to, which undoes broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .matrix import column_sums
from .order import middle
from .registry import register


@register("sum_to")
class SumTo(Op):
    """sum_to(a, shape): sums over what broadcasting from `shape` had repeated."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, shape: tuple[int, ...]) -> Any:
        lead = a.ndim - len(shape)
        if lead == 1 == len(shape) and a.shape[1] == shape[0] and a.__class__ is np.ndarray:
            return column_sums(a)  # the gradient of a bias
        axes = tuple(range(lead)) + tuple(
            i + lead for i, n in enumerate(shape) if n == 1 and a.shape[i + lead] != 1
        )
        if axes:
            a = total(a, axes, True)
        return a.reshape(shape) if lead else a

    def backward(self, m: Any, g: Any) -> Any:
        return (m.expand(g, self.input_shape()),)


def total(a: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
    """The sum over `dims` in a's dtype."""
    kind = a.dtype.kind
    if kind == "f":
        if a.size > _MANY and a.__class__ is np.ndarray and count(dims, a.shape) > _IN_A_ROW:
            a = _folded(a, dims)
        return a.sum(axis=dims, keepdims=keepdim)
    if kind == "b":  # asked for with dtype=bool only
        return a.any(axis=dims, keepdims=keepdim)
    return a.sum(axis=dims, keepdims=keepdim, dtype=a.dtype)


_MANY = 4096
_FOLDS = 64
_IN_A_ROW = 256


def _folded(a: Any, dims: tuple[int, ...]) -> Any:
    """`a` with its long reduced dimensions shortened, so that no more than 256 numbers are added in a row.

    NumPy adds pairwise along the dimension of smallest stride only, and one by one along all others: the sum of
    1,000,000 x 3 float32 was wrong in the fifth digit. Adding 64 slices as wide rows also takes a 26th of the time.
    """
    if dims[-1:] == (a.ndim - 1,) and len(dims) in (1, a.ndim) and a.flags.c_contiguous:
        return a  # rows, or all
    while True:
        by_stride = sorted([i for i in range(a.ndim) if a.shape[i] > 1], key=lambda i: abs(a.strides[i]))
        left, step = list(dims), None
        for i in by_stride:  # what NumPy joins into one pairwise sum
            if i not in dims or (step is not None and abs(a.strides[i]) != step):
                break
            left.remove(i)
            step = abs(a.strides[i]) * a.shape[i]
        if not left or count(tuple(left), a.shape) <= _IN_A_ROW:
            return a
        d = max(left, key=lambda i: a.shape[i])
        n = a.shape[d]
        if n <= _IN_A_ROW:
            a = a.sum(axis=d, keepdims=True)
            continue
        lead, k = (slice(None),) * d, n // _FOLDS
        main = a[(*lead, slice(0, k * _FOLDS))].reshape(*a.shape[:d], _FOLDS, k, *a.shape[d + 1 :])
        parts = main.sum(axis=d)
        a = np.concatenate((parts, a[(*lead, slice(k * _FOLDS, n))]), axis=d) if n % _FOLDS else parts


def keep(g: Any, m: Any, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...]) -> Any:
    """`g` of a reduction with the reduced dimensions put back as 1."""
    if keepdim:
        return g
    return m.reshape(g, tuple(1 if i in dims else n for i, n in enumerate(shape)))


@register("sum")
class Sum(Op):
    """sum(a, dims, keepdim, shape): dims are all non-negative, shape is a's."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...]) -> Any:
        return total(a, dims, keepdim)

    def backward(self, m: Any, g: Any) -> Any:
        dims, keepdim, shape = self.attrs
        return (m.expand(keep(g, m, dims, keepdim, shape), shape),)

    def name(self) -> str:
        return "SumBackward1"


class SumAll(Sum):
    """The sum of all elements."""

    __slots__ = ()

    def name(self) -> str:
        return "SumBackward0"


@register("nansum")
class Nansum(Op):
    """nansum(a, dims, keepdim, shape): NaN counts as 0."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...]) -> Any:
        a = a.copy()
        a[a != a] = 0
        return total(a, dims, keepdim)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        dims, keepdim, shape = self.attrs
        return (m.cast(a == a, dtype_of(g)) * keep(g, m, dims, keepdim, shape),)


def dtype_of(g: Any) -> Any:
    """The NumPy dtype of a raw array or a tensor."""
    return g.dtype if hasattr(g.dtype, "kind") else g.dtype.numpy


@register("mean")
class Mean(Op):
    """mean(a, dims, keepdim, shape)."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...]) -> Any:
        n = count(dims, shape)
        out = total(a, dims, keepdim)
        return out / out.dtype.type(n)  # of nothing: NaN

    def backward(self, m: Any, g: Any) -> Any:
        dims, keepdim, shape = self.attrs
        return (m.expand(keep(g / max(count(dims, shape), 1), m, dims, keepdim, shape), shape),)

    def name(self) -> str:
        return "MeanBackward1"


class MeanAll(Mean):
    """The mean of all elements."""

    __slots__ = ()

    def name(self) -> str:
        return "MeanBackward0"


def count(dims: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """How many elements a reduction over `dims` takes together."""
    n = 1
    for d in dims:
        n *= shape[d]
    return n


@register("prod")
class Prod(Op):
    """prod(a, dim, keepdim): dim is non-negative, or None for all."""

    __slots__ = ()
    save = (0, "out")

    @staticmethod
    def forward(a: Any, dim: int | None, keepdim: bool) -> Any:
        if dim is None and a.ndim == 1:
            dim = 0
        if dim is not None and a.__class__ is np.ndarray and a.strides[dim] == a.itemsize:
            a = _halved(a, dim)
        return a.prod(axis=dim, keepdims=keepdim, dtype=a.dtype)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        dim, keepdim = self.attrs
        shape = self.input_shape()
        if dim is None:
            dim = 0
            a = m.reshape(a, (-1,))
        elif shape:
            g = keep(g, m, (dim,), keepdim, shape)
            out = keep(out, m, (dim,), keepdim, shape)
        raw = getattr(a, "_array", a)
        if not bool((raw == 0).any()):
            return (m.reshape(g * out / a, shape),)
        return (m.reshape(g * _product_of_others(m, a, dim), shape),)

    def name(self) -> str:
        return "ProdBackward0" if self.attrs[0] is None else "ProdBackward1"


def _halved(a: Any, dim: int) -> Any:
    """`a` with one half of the long dimension `dim` multiplied into the other, until it is short.

    NumPy multiplies row by row, but takes the numbers of one row one by one: a third to an eighth of its time.
    """
    lead, n = (slice(None),) * dim, a.shape[dim]
    while n > 16:
        half = n // 2
        product = a[(*lead, slice(0, half))] * a[(*lead, slice(half, 2 * half))]
        if n % 2:
            product[(*lead, 0)] *= a[(*lead, n - 1)]
        a, n = product, half
    return a


def _product_of_others(m: Any, a: Any, dim: int) -> Any:
    """For each element the product of all others along `dim`, which zeros do not spoil."""
    before = m.cumprod(shifted(m, a, dim), dim)
    back = m.getitem(a, reverse(dim))
    return before * m.getitem(m.cumprod(shifted(m, back, dim), dim), reverse(dim))


def reverse(dim: int) -> tuple[Any, ...]:
    """The index that turns dimension `dim` round."""
    return (*(slice(None),) * dim, slice(None, None, -1))


def shifted(m: Any, a: Any, dim: int, zero: bool = False) -> Any:
    """`a` moved up by one along `dim`, with a one (or zero) at its start and without its last element."""
    lead = (slice(None),) * dim
    first = (m.zeros_like if zero else m.ones_like)(m.getitem(a, (*lead, slice(0, 1))))
    rest = m.getitem(a, (*lead, slice(0, -1)))
    return m.cat(first, rest, (dim, (first.shape[dim], rest.shape[dim])))


@register("amax")
class Amax(Op):
    """amax(a, dims, keepdim, shape): ties share the gradient evenly."""

    __slots__ = ()
    exact = True
    save = (0, "out")

    @staticmethod
    def forward(a: Any, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...]) -> Any:
        return a.max(axis=dims, keepdims=keepdim)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        return (_to_ties(self.attrs, m, g, a, out),)


@register("amin")
class Amin(Op):
    """amin(a, dims, keepdim, shape): ties share the gradient evenly."""

    __slots__ = ()
    exact = True
    save = (0, "out")

    @staticmethod
    def forward(a: Any, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...]) -> Any:
        return a.min(axis=dims, keepdims=keepdim)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        return (_to_ties(self.attrs, m, g, a, out),)


def _to_ties(attrs: Any, m: Any, g: Any, a: Any, out: Any) -> Any:
    dims, keepdim, shape = attrs
    ties = m.cast(a == keep(out, m, dims, keepdim, shape), dtype_of(g))
    return ties * (keep(g, m, dims, keepdim, shape) / m.sum(ties, dims, True, shape))


@register("one_of_all")
class OneOfAll(Op):
    """one_of_all(a, which): the "max", "min", "median" or "nanmedian" of all; equal ones share the gradient."""

    __slots__ = ()
    exact = True
    save = (0, "out")

    @staticmethod
    def forward(a: Any, which: str) -> Any:
        if which == "max":
            return a.max()
        return a.min() if which == "min" else middle(a.reshape(-1), 0, which == "nanmedian")[0].reshape(())

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        raw, found = getattr(a, "_array", a), getattr(out, "_array", out)
        equal = (raw == found) | ((raw != raw) & (found != found))
        ties = _like(m, equal, g)
        return (ties * (g / m.sum(ties, tuple(range(raw.ndim)), False, raw.shape)),)

    def name(self) -> str:
        which: str = self.attrs[0]
        return f"{which.title()}Backward{1 if which in ('max', 'min') else 0}"


def _like(m: Any, mask: Any, g: Any) -> Any:
    """A raw mask as numbers of g's dtype: an array or a tensor, as g is."""
    numbers = mask.astype(dtype_of(g))
    return type(g)._wrap(numbers) if hasattr(g, "_array") else numbers


@register("logsumexp")
class Logsumexp(Op):
    """logsumexp(a, dims, keepdim, shape): log(sum(exp(a))) without overflow."""

    __slots__ = ()
    save = (0, "out")

    @staticmethod
    def forward(a: Any, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...]) -> Any:
        xp = module_of(a)
        if not count(dims, shape):  # of nothing: the logarithm of 0
            return xp.log(a.sum(axis=dims, keepdims=keepdim))
        top = a.max(axis=dims, keepdims=True)
        top = xp.where(xp.isfinite(top), top, top.dtype.type(0))
        out = xp.log(total(xp.exp(a - top), dims, True)) + top
        if not keepdim:
            out = out.reshape(tuple(n for i, n in enumerate(shape) if i not in dims))
        return out

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        dims, keepdim, shape = self.attrs
        return (keep(g, m, dims, keepdim, shape) * m.exp(a - keep(out, m, dims, keepdim, shape)),)
