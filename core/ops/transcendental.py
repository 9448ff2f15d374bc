"""Elementwise functions with derivatives beyond the first dozen: trigonometry, hyperbolas, logarithms of other bases."""

from __future__ import annotations

import math
from typing import Any

from ..backends import module_of
from ..node import Op
from .pointwise import floating
from .registry import register


def _computed(name: str) -> Any:
    """The forward of an array module's function of one argument; integers and bools are taken as the default float."""

    def forward(a: Any) -> Any:
        return getattr(module_of(a), name)(floating(a))

    return staticmethod(forward)


@register("tan")
class Tan(Op):
    __slots__ = ()
    save = ("out",)
    forward = _computed("tan")

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        return (g * (out * out + 1),)


@register("sinh")
class Sinh(Op):
    __slots__ = ()
    save = (0,)
    forward = _computed("sinh")

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * m.cosh(a),)


@register("cosh")
class Cosh(Op):
    __slots__ = ()
    save = (0,)
    forward = _computed("cosh")

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * m.sinh(a),)


@register("asin")
class Asin(Op):
    __slots__ = ()
    save = (0,)
    forward = _computed("arcsin")

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g / m.sqrt(1 - a * a),)


@register("acos")
class Acos(Op):
    __slots__ = ()
    save = (0,)
    forward = _computed("arccos")

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (-g / m.sqrt(1 - a * a),)


@register("atan")
class Atan(Op):
    __slots__ = ()
    save = (0,)
    forward = _computed("arctan")

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g / (a * a + 1),)


@register("asinh")
class Asinh(Op):
    __slots__ = ()
    save = (0,)
    forward = _computed("arcsinh")

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g / m.sqrt(a * a + 1),)


@register("acosh")
class Acosh(Op):
    __slots__ = ()
    save = (0,)
    forward = _computed("arccosh")

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g / m.sqrt(a * a - 1),)


@register("atanh")
class Atanh(Op):
    __slots__ = ()
    save = (0,)
    forward = _computed("arctanh")

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g / (1 - a * a),)


@register("log2")
class Log2(Op):
    __slots__ = ()
    save = (0,)
    forward = _computed("log2")

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g / (a * math.log(2)),)


@register("log10")
class Log10(Op):
    __slots__ = ()
    save = (0,)
    forward = _computed("log10")

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g / (a * math.log(10)),)


@register("exp2")
class Exp2(Op):
    __slots__ = ()
    save = ("out",)
    forward = _computed("exp2")

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        return (g * out * math.log(2),)


@register("atan2", inputs=2, promotes=True)
class Atan2(Op):
    """atan2(y, x): the angle of the point (x, y)."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(y: Any, x: Any) -> Any:
        return module_of(y).arctan2(floating(y), floating(x))

    def backward(self, m: Any, g: Any, y: Any, x: Any) -> Any:
        ey, ex = self.edges
        square = x * x + y * y
        scaled = m.where(square == 0, m.zeros_like(square), g / square)
        return scaled * x if ey is not None else None, -(scaled * y) if ex is not None else None


@register("hypot", inputs=2, promotes=True)
class Hypot(Op):
    """hypot(a, b): sqrt(a^2 + b^2) without overflow."""

    __slots__ = ()
    save = (0, 1, "out")

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return module_of(a).hypot(a, b)

    def backward(self, m: Any, g: Any, a: Any, b: Any, out: Any) -> Any:
        ea, eb = self.edges
        return g * (a / out) if ea is not None else None, g * (b / out) if eb is not None else None


@register("logaddexp", inputs=2, promotes=True)
class Logaddexp(Op):
    """logaddexp(a, b): log(exp(a) + exp(b)) without overflow."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return module_of(a).logaddexp(a, b)

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ea, eb = self.edges
        return g * m.sigmoid(a - b) if ea is not None else None, g * m.sigmoid(
            b - a
        ) if eb is not None else None


@register("logaddexp2", inputs=2, promotes=True)
class Logaddexp2(Op):
    """logaddexp2(a, b): log2(2^a + 2^b) without overflow."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return module_of(a).logaddexp2(a, b)

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ea, eb = self.edges
        apart = (a - b) * math.log(2)
        return g * m.sigmoid(apart) if ea is not None else None, g * m.sigmoid(
            -apart
        ) if eb is not None else None


@register("sinc")
class Sinc(Op):
    """sin(pi a) / (pi a), and 1 at 0."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        xp = module_of(a)
        x = floating(a)
        x = x * x.dtype.type(math.pi)
        return xp.where(x == 0, x.dtype.type(1), xp.sin(x) / xp.where(x == 0, x.dtype.type(1), x))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        x = a * math.pi
        near = abs(x) < 0.1  # where the difference below loses digits; the series is good to 1e-14 there
        square = x * x
        series = x * (((square * (1 / 45360) - 1 / 840) * square + 1 / 30) * square - 1 / 3)
        far = m.where(near, m.ones_like(x), x)
        slope = m.where(near, series, (m.cos(far) - m.sin(far) / far) / far)
        return (g * slope * math.pi,)


@register("logit")
class Logit(Op):
    """logit(a, bounds): log(a / (1 - a)), of a clamped to the bounds where there are any.

    Outside, its gradient is 0 where a is clamped, else NaN.
    """

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any, bounds: tuple[float, float] | None) -> Any:
        xp = module_of(a)
        if bounds is not None:
            low, high = (a.dtype.type(bound) for bound in bounds)
            a = xp.where(a < low, low, xp.where(a > high, high, a))
        return xp.log(a / (1 - a))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        bounds = self.attrs[0]
        low, high = (0.0, 1.0) if bounds is None else bounds
        inside = (a >= low) & (a <= high)
        x = m.where(inside, a, m.ones_like(a) * 0.5)
        outside = m.zeros_like(x) if bounds is not None else m.zeros_like(x) * float("nan")
        return (m.where(inside, g / (x * (1 - x)), outside),)


class _Weighted(Op):
    """a times a logarithm of b; 0 where a is 0 and b is not NaN."""

    __slots__ = ()
    save = (0, 1)


def _weighted(a: Any, b: Any, logarithm: Any) -> Any:
    zero = (a == 0) & (b == b)
    xp = module_of(a)
    return xp.where(zero, a.dtype.type(0), a * logarithm)


@register("xlogy", inputs=2)
class Xlogy(_Weighted):
    """a * log(b); 0 where a is 0 and b is not NaN."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return _weighted(a, b, module_of(a).log(b))

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ea, eb = self.edges
        ga = None
        if ea is not None:
            flat = (a == 0) & (b <= 0)
            one = m.ones_like(g)
            ga = g * m.log(m.where(flat, one, b * one))
        return ga, g * a / b if eb is not None else None


@register("xlog1py", inputs=2)
class Xlog1py(_Weighted):
    """a * log(1 + b); 0 where a is 0 and b is not NaN."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return _weighted(a, b, module_of(a).log1p(b))

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ea, eb = self.edges
        ga = None
        if ea is not None:
            flat = (a == 0) & (b <= -1)
            ga = g * m.log1p(m.where(flat, m.zeros_like(g), b * m.ones_like(g)))
        return ga, g * a / (b + 1) if eb is not None else None
