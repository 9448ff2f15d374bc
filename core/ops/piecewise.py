"""Activations made of pieces: linear ones, constants, an exponential. The gradient at a kink is PyTorch's."""

from __future__ import annotations

import math
from typing import Any

from ..backends import module_of
from ..node import Op
from .blocks import backward_in_blocks, in_blocks
from .registry import register


@register("leaky_relu")
class LeakyRelu(Op):
    """leaky_relu(a, slope): a where it is positive, else a * slope."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    @in_blocks
    def forward(a: Any, slope: float) -> Any:
        if 0 < slope <= 1:  # where the signs are mixed, a `where` takes five times as long
            return module_of(a).maximum(a, a * slope)
        return module_of(a).where(a > 0, a, a * slope)

    @backward_in_blocks
    def backward(self, m: Any, g: Any, a: Any) -> Any:
        (slope,) = self.attrs
        if 0 < slope <= 1 and not hasattr(g, "_array"):
            return (g * module_of(a).maximum((a > 0).astype(a.dtype), a.dtype.type(slope)),)
        return (m.where(a > 0, g, g * slope),)


@register("prelu", inputs=2)
class Prelu(Op):
    """prelu(a, slope): leaky_relu with learnt slopes, which broadcast to a."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, slope: Any) -> Any:
        return module_of(a).where(a > 0, a, a * slope)

    def backward(self, m: Any, g: Any, a: Any, slope: Any) -> Any:
        ea, es = self.edges
        return (
            m.where(a > 0, g, g * slope) if ea is not None else None,
            m.where(a >= 0, m.zeros_like(a), a) * g if es is not None else None,
        )

    def name(self) -> str:
        return "PreluKernelBackward0"


@register("elu")
class Elu(Op):
    """elu(a, alpha, scale, input_scale): a * scale where a is positive, else (exp(a * input_scale) - 1) * alpha * scale."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    @in_blocks
    def forward(a: Any, alpha: float, scale: float, input_scale: float) -> Any:
        xp = module_of(a)
        low = xp.expm1(xp.minimum(a, a.dtype.type(0)) * input_scale) * (alpha * scale)
        return xp.where(a <= 0, low, a * scale)

    @backward_in_blocks
    def backward(self, m: Any, g: Any, a: Any) -> Any:
        alpha, scale, input_scale = self.attrs
        # limited, for else an infinite exponential of what is not selected spoils the second derivative
        slope = m.exp(m.hardtanh(a, -math.inf, 0.0) * input_scale) * (alpha * scale * input_scale)
        return (m.where(a <= 0, g * slope, g * scale),)


@register("threshold")
class Threshold(Op):
    """threshold(a, limit, value): a where it is above the limit, else value."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any, limit: Any, value: Any) -> Any:
        return module_of(a).where(a <= limit, a.dtype.type(value), a)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (m.where(a <= self.attrs[0], m.zeros_like(g), g),)


@register("hardtanh")
class Hardtanh(Op):
    """hardtanh(a, low, high): a within the limits; no gradient passes at them or beyond."""

    __slots__ = ()
    exact = True
    save = (0,)

    @staticmethod
    def forward(a: Any, low: Any, high: Any) -> Any:
        xp = module_of(a)
        return xp.minimum(xp.maximum(a, a.dtype.type(low)), a.dtype.type(high))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        low, high = self.attrs
        return (m.where((a <= low) | (a >= high), m.zeros_like(g), g),)


@register("hardsigmoid")
class Hardsigmoid(Op):
    """(a + 3) / 6 within 0 and 1."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    @in_blocks
    def forward(a: Any) -> Any:
        return _six(a) / 6

    @backward_in_blocks
    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (m.where((a > -3) & (a < 3), g / 6, m.zeros_like(g)),)


def _six(a: Any) -> Any:
    xp = module_of(a)
    return xp.minimum(xp.maximum(a + 3, a.dtype.type(0)), a.dtype.type(6))


@register("hardswish")
class Hardswish(Op):
    """a times hardsigmoid(a). Howard et al., arXiv:1905.02244."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    @in_blocks
    def forward(a: Any) -> Any:
        return a * _six(a) / 6

    @backward_in_blocks
    def backward(self, m: Any, g: Any, a: Any) -> Any:
        middle = g * (m.clamp(a, -3.0, 3.0) / 3 + 0.5)
        return (m.where(a <= -3, m.zeros_like(g), m.where(a < 3, middle, g)),)


@register("softshrink")
class Softshrink(Op):
    """softshrink(a, limit): a moved towards 0 by the limit, at most to 0."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    @in_blocks
    def forward(a: Any, limit: float) -> Any:
        xp = module_of(a)
        # a product with 0, so that NaN stays
        return xp.where(a > limit, a - limit, xp.where(a < -limit, a + limit, a * 0))

    @backward_in_blocks
    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (_beyond(m, g, a, self.attrs[0]),)


@register("hardshrink")
class Hardshrink(Op):
    """hardshrink(a, limit): 0 where |a| is at most the limit, else a."""

    __slots__ = ()
    exact = True
    save = (0,)

    @staticmethod
    def forward(a: Any, limit: float) -> Any:
        return module_of(a).where((a >= -limit) & (a <= limit), a.dtype.type(0), a)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (_beyond(m, g, a, self.attrs[0]),)


def _beyond(m: Any, g: Any, a: Any, limit: float) -> Any:
    return m.where((a >= -limit) & (a <= limit), m.zeros_like(g), g)
