"""Reductions: sum, mean, extrema, variance; and sum_to, which undoes broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..node import Op
from .matrix import column_sums
from .registry import register


@register("sum_to")
class SumTo(Op):
    """sum_to(a, shape): sums over what broadcasting from `shape` had repeated."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, shape: tuple[int, ...]) -> Any:
        lead = a.ndim - len(shape)
        if lead == 1 == len(shape) and a.shape[1] == shape[0]:
            return column_sums(a)  # the gradient of a bias
        axes = tuple(range(lead)) + tuple(
            i + lead for i, n in enumerate(shape) if n == 1 and a.shape[i + lead] != 1
        )
        if axes:
            a = a.sum(axis=axes, keepdims=True)
        return a.reshape(shape) if lead else a

    def backward(self, m: Any, g: Any) -> Any:
        return (m.expand(g, self.input_shape()),)


def _keep(g: Any, m: Any, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...]) -> Any:
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
        return a.sum(axis=dims, keepdims=keepdim)

    def backward(self, m: Any, g: Any) -> Any:
        dims, keepdim, shape = self.attrs
        return (m.expand(_keep(g, m, dims, keepdim, shape), shape),)


@register("mean")
class Mean(Op):
    """mean(a, dims, keepdim, shape)."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...]) -> Any:
        n = _count(dims, shape)
        if a.dtype == np.float16:  # sums and counts soon pass 65504, the largest float16
            return (a.sum(axis=dims, keepdims=keepdim, dtype=np.float32) / np.float32(n)).astype(np.float16)
        total = a.sum(axis=dims, keepdims=keepdim)
        return total / total.dtype.type(n)  # of nothing: NaN

    def backward(self, m: Any, g: Any) -> Any:
        dims, keepdim, shape = self.attrs
        return (m.expand(_keep(g / max(_count(dims, shape), 1), m, dims, keepdim, shape), shape),)


def _count(dims: tuple[int, ...], shape: tuple[int, ...]) -> int:
    n = 1
    for d in dims:
        n *= shape[d]
    return n


@register("cumsum")
class Cumsum(Op):
    """cumsum(a, dim): running sums; dim is non-negative."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, dim: int) -> Any:
        return a.cumsum(axis=dim, dtype=a.dtype).reshape(a.shape)

    def backward(self, m: Any, g: Any) -> Any:
        (dim,) = self.attrs
        if not g.shape:
            return (g,)
        turned = (*(slice(None),) * dim, slice(None, None, -1))
        return (m.getitem(m.cumsum(m.getitem(g, turned), dim), turned),)


@register("amax")
class Amax(Op):
    """amax(a, dims, keepdim, shape): ties share the gradient evenly."""

    __slots__ = ()
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
    save = (0, "out")

    @staticmethod
    def forward(a: Any, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...]) -> Any:
        return a.min(axis=dims, keepdims=keepdim)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        return (_to_ties(self.attrs, m, g, a, out),)


def _to_ties(attrs: Any, m: Any, g: Any, a: Any, out: Any) -> Any:
    dims, keepdim, shape = attrs
    ties = m.cast(
        a == _keep(out, m, dims, keepdim, shape), g.dtype if hasattr(g.dtype, "kind") else g.dtype.numpy
    )
    return ties * (_keep(g, m, dims, keepdim, shape) / m.sum(ties, dims, True, shape))
