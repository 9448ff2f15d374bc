"""Variance, standard deviation and the p-norm of vectors, with PyTorch's gradients where these are not smooth."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..node import Op
from .reduction import count, dtype_of, keep, total
from .registry import register


@register("var")
class Var(Op):
    """var(a, dims, correction, keepdim, shape): squared distances from the mean, over N - correction (at least 0)."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(
        a: Any, dims: tuple[int, ...], correction: float, keepdim: bool, shape: tuple[int, ...]
    ) -> Any:
        return _variance(a, dims, correction, keepdim, shape)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        dims, correction, keepdim, shape = self.attrs
        return (keep(g, m, dims, keepdim, shape) * _slope(m, a, dims, correction, shape),)


def _variance(a: Any, dims: tuple[int, ...], correction: float, keepdim: bool, shape: tuple[int, ...]) -> Any:
    number = a.dtype.type
    n = count(dims, shape)
    away = a - total(a, dims, True) / number(n)
    return total(away * away, dims, keepdim) / number(max(n - correction, 0))


def _slope(m: Any, a: Any, dims: tuple[int, ...], correction: float, shape: tuple[int, ...]) -> Any:
    """The derivative of the variance. Without degrees of freedom NaN at the mean, infinite elsewhere."""
    away = a - m.mean(a, dims, True, shape)
    left = count(dims, shape) - correction
    return away * (2.0 / left) if left > 0 else m.abs(away) / 0.0


@register("std")
class Std(Op):
    """std(a, dims, correction, keepdim, shape): the root of var; where it is 0, so is the gradient."""

    __slots__ = ()
    save = (0, "out")

    @staticmethod
    def forward(
        a: Any, dims: tuple[int, ...], correction: float, keepdim: bool, shape: tuple[int, ...]
    ) -> Any:
        return module_of(a).sqrt(_variance(a, dims, correction, keepdim, shape))

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        dims, correction, keepdim, shape = self.attrs
        g, out = keep(g, m, dims, keepdim, shape), keep(out, m, dims, keepdim, shape)
        zero = out == 0
        half = m.where(zero, m.zeros_like(g), g / (m.where(zero, m.ones_like(out), out) * 2))
        return (half * _slope(m, a, dims, correction, shape),)


@register("vector_norm")
class VectorNorm(Op):
    """vector_norm(a, p, dims, keepdim, shape): any p; 0 counts what is not 0, inf and -inf are the extremes."""

    __slots__ = ()
    save = (0, "out")

    @staticmethod
    def forward(a: Any, p: float, dims: tuple[int, ...], keepdim: bool, shape: tuple[int, ...]) -> Any:
        if p == 0:
            return (a != 0).sum(axis=dims, keepdims=keepdim).astype(a.dtype)
        xp = module_of(a)
        if p == 2:
            return xp.sqrt(total(a * a, dims, keepdim))
        size = abs(a)
        if p == float("inf"):
            return size.max(axis=dims, keepdims=keepdim)
        if p == float("-inf"):
            return size.min(axis=dims, keepdims=keepdim)
        return total(size, dims, keepdim) if p == 1 else total(size**p, dims, keepdim) ** (1.0 / p)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        p, dims, keepdim, shape = self.attrs
        g, out = keep(g, m, dims, keepdim, shape), keep(out, m, dims, keepdim, shape)
        if p == 0:
            return (m.zeros_like(a) * g,)
        if p == 1:
            return (m.sign(a) * g,)
        if p in (float("inf"), float("-inf")):
            largest = m.abs(a) == out
            ties = m.cast(largest, dtype_of(g))
            share = g / m.clamp(m.sum(ties, dims, True, shape), 1, None)
            return (m.where(largest, m.sign(a) * share, m.zeros_like(a)),)
        none = out == 0
        safe = m.where(none, m.ones_like(out), out)
        if p == 2:
            return (a / safe * g,)
        zero = a == 0
        size = m.where(zero, m.ones_like(a), m.abs(a))
        slope = m.sign(a) * size ** (p - 1)
        scale = m.where(none, m.zeros_like(g), g * safe ** (1 - p))
        return (slope * scale,)

    def name(self) -> str:
        return "LinalgVectorNormBackward0"
