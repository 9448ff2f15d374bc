"""Elementwise operations: arithmetic, powers, exponentials, comparison, selection."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .registry import register


@register("add", inputs=2, promotes=True)
class Add(Op):
    __slots__ = ()

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return a + b

    def backward(self, m: Any, g: Any) -> Any:
        return g, g


@register("sub", inputs=2, promotes=True)
class Sub(Op):
    __slots__ = ()

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        if getattr(a, "dtype", None) == np.bool_ or getattr(b, "dtype", None) == np.bool_:
            raise RuntimeError(
                "Subtraction, the `-` operator, with a bool tensor is not supported. "
                "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
            )
        return a - b

    def backward(self, m: Any, g: Any) -> Any:
        return g, -g if self.edges[1] is not None else None

    def name(self) -> str:
        return "SubBackward0" if self.attrs[0] else "RsubBackward1"


@register("mul", inputs=2, promotes=True)
class Mul(Op):
    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return a * b

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ea, eb = self.edges
        return g * b if ea is not None else None, g * a if eb is not None else None


@register("div", inputs=2, promotes=True)
class Div(Op):
    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        if a.__class__ not in (int, float) and a.dtype.kind != "f":
            a = a.astype(np.float32)
        if b.__class__ not in (int, float, bool) and b.dtype.kind != "f":
            b = b.astype(np.float32)
        with np.errstate(all="ignore"):
            return a / b

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ea, eb = self.edges
        return g / b if ea is not None else None, -g * ((a / b) / b) if eb is not None else None


@register("neg")
class Neg(Op):
    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        return -a

    def backward(self, m: Any, g: Any) -> Any:
        return (-g,)


@register("pow", inputs=2, promotes=True)
class Pow(Op):
    __slots__ = ()
    save = (0, 1, "out")

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        if b.__class__ is int and b < 0 and getattr(a, "dtype", np.dtype("f")).kind in "iu":
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        with np.errstate(all="ignore"):
            return a**b

    def backward(self, m: Any, g: Any, a: Any, b: Any, out: Any) -> Any:
        ea, eb = self.edges
        ga = gb = None
        if ea is not None:
            if b.__class__ in (int, float):
                ga = m.zeros_like(a) * g if b == 0 else g * b * (a if b == 2 else a ** (b - 1))
            else:
                ga = m.where(b == 0, m.zeros_like(b), g * b * a ** (b - 1))
        if eb is not None:
            if a.__class__ in (int, float):
                gb = (
                    g * out * float(np.log(a))
                    if a > 0
                    else m.where(b >= 0, m.zeros_like(b), g * out * float("-inf"))
                )
            else:
                defined = a == 0
                log_a = m.log(m.where(defined, m.ones_like(a), a))
                gb = g * m.where(defined, m.zeros_like(a), out * log_a)
        return ga, gb

    def name(self) -> str:
        return {(True, False): "PowBackward0", (False, True): "PowBackward2"}.get(self.attrs, "PowBackward1")


class _Flat(Op):
    """Functions whose gradient is zero almost everywhere."""

    __slots__ = ()

    def backward(self, m: Any, g: Any) -> Any:
        return (m.zeros_like(g),)


@register("sign")
class Sign(_Flat):
    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).sign(a)


@register("floor")
class Floor(_Flat):
    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).floor(a) if a.dtype.kind == "f" else a.copy()


@register("ceil")
class Ceil(_Flat):
    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).ceil(a) if a.dtype.kind == "f" else a.copy()


@register("round")
class Round(_Flat):
    """To the nearest integer, halves to even."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).rint(a) if a.dtype.kind == "f" else a.copy()


def _floating(a: Any) -> Any:
    """Integers and bools become the default float, as PyTorch's transcendental functions have it."""
    return a if a.dtype.kind == "f" else a.astype(np.float32)


@register("exp")
class Exp(Op):
    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any) -> Any:
        with np.errstate(all="ignore"):
            return module_of(a).exp(_floating(a))

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        return (g * out,)


@register("expm1")
class Expm1(Op):
    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any) -> Any:
        with np.errstate(all="ignore"):
            return module_of(a).expm1(_floating(a))

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        return (g * (out + 1),)


@register("log")
class Log(Op):
    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        with np.errstate(all="ignore"):
            return module_of(a).log(_floating(a))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (m.div(g, a),)


@register("log1p")
class Log1p(Op):
    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        with np.errstate(all="ignore"):
            return module_of(a).log1p(_floating(a))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (m.div(g, a + 1),)


@register("sqrt")
class Sqrt(Op):
    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any) -> Any:
        with np.errstate(all="ignore"):
            return module_of(a).sqrt(_floating(a))

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        return (m.div(g, out * 2),)


@register("sin")
class Sin(Op):
    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).sin(_floating(a))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * m.cos(a),)


@register("cos")
class Cos(Op):
    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).cos(_floating(a))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (-g * m.sin(a),)


@register("tanh")
class Tanh(Op):
    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).tanh(_floating(a))

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        return (g * (1 - out * out),)


@register("abs")
class Abs(Op):
    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        return abs(a)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * m.sign(a),)


@register("where", inputs=3)
class Where(Op):
    """where(condition, a, b): a where condition, else b."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(condition: Any, a: Any, b: Any) -> Any:
        return module_of(condition).where(condition, a, b)

    def backward(self, m: Any, g: Any, condition: Any) -> Any:
        _, ea, eb = self.edges
        zero = m.zeros_like(g)
        return (
            None,
            m.where(condition, g, zero) if ea is not None else None,
            m.where(condition, zero, g) if eb is not None else None,
        )


@register("maximum", inputs=2)
class Maximum(Op):
    """The larger of two; a tie shares the gradient in halves."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return module_of(a).maximum(a, b)

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        return _shared(self, m, g, a > b, a == b)


@register("minimum", inputs=2)
class Minimum(Op):
    """The smaller of two; a tie shares the gradient in halves."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return module_of(a).minimum(a, b)

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        return _shared(self, m, g, a < b, a == b)


def _shared(node: Any, m: Any, g: Any, first: Any, tie: Any) -> Any:
    ea, eb = node.edges
    zero = m.zeros_like(g)
    half = g / 2
    return (
        m.where(tie, half, m.where(first, g, zero)) if ea is not None else None,
        m.where(tie, half, m.where(first, zero, g)) if eb is not None else None,
    )


@register("clamp")
class Clamp(Op):
    """clamp(a, low, high) with numbers or None; the gradient passes where low <= a <= high."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any, low: Any, high: Any) -> Any:
        xp = module_of(a)
        if low is not None:
            a = xp.maximum(a, a.dtype.type(low))
        return a if high is None else xp.minimum(a, a.dtype.type(high))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        low, high = self.attrs
        inside = a >= low if low is not None else a == a
        if high is not None:
            inside = inside & (a <= high)
        return (m.where(inside, g, m.zeros_like(g)),)


@register("cast")
class Cast(Op):
    """A change of dtype; the engine casts the gradient back."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, to: Any) -> Any:
        return a.astype(to)

    def backward(self, m: Any, g: Any) -> Any:
        return (g,)

    def name(self) -> str:
        return "ToCopyBackward0"


@register("clone")
class Clone(Op):
    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        return a.copy()

    def backward(self, m: Any, g: Any) -> Any:
        return (g,)


@register("to_device")
class ToDevice(Op):
    """to_device(a, target, source): a copy on another device; the gradient comes back to the source."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, target: Any, source: Any) -> Any:
        from ..backends import to_device

        return to_device(a, target)

    def backward(self, m: Any, g: Any) -> Any:
        target, source = self.attrs
        return (m.to_device(g, source, target),)

    def name(self) -> str:
        return "ToCopyBackward0"


@register("zeros_like")
class ZerosLike(Op):
    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).zeros(a.shape, a.dtype)

    def backward(self, m: Any, g: Any) -> Any:
        return (None,)


@register("ones_like")
class OnesLike(Op):
    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).ones(a.shape, a.dtype)

    def backward(self, m: Any, g: Any) -> Any:
        return (None,)
