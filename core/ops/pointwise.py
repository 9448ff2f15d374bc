"""Elementwise operations: arithmetic, powers, exponentials, comparison, selection."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backends import check_carried, module_of
from ..dtypes import FLOATS, bfloat16, get_default_dtype
from ..layouts import copy_order
from ..node import Op
from .registry import register

NUMBERS = frozenset((int, float, bool))
_FLOAT = np.dtype(np.float32)


def floating(a: Any) -> Any:
    """`a`, integers and bools as the default float: what division and PyTorch's transcendental functions work on."""
    return a if a.dtype in FLOATS else a.astype(get_default_dtype().numpy)


def no_bool(name: str, a: Any) -> Any:
    """`a`, or RuntimeError for a bool array."""
    if a.dtype.kind == "b":
        raise RuntimeError(f"{name}: bool tensors are not supported; convert with .int() or .float() first")
    return a


def refuse_bools(a: Any, b: Any) -> None:
    """Raises RuntimeError where an operand of a subtraction is bool."""
    if any(x.__class__ is bool or getattr(x, "dtype", _FLOAT).name == "bool" for x in (a, b)):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. "
            "If you are trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )


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
        return a - b

    def backward(self, m: Any, g: Any) -> Any:
        return g, -g if self.edges[1] is not None else None

    def name(self) -> str:
        return "SubBackward0" if self.attrs[0] else "RsubBackward1"


@register("mul", inputs=2, promotes=True)
class Mul(Op):
    __slots__ = ()
    scales = True
    save = (0, 1)
    spares = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return a * b

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ea, eb = self.edges
        return g * b if ea is not None else None, g * a if eb is not None else None


@register("div", inputs=2, promotes=True)
class Div(Op):
    __slots__ = ()
    scales = True
    save = (0, 1)
    spares = (0,)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        if a.__class__ not in NUMBERS and a.dtype not in FLOATS:
            a = floating(a)
        if b.__class__ not in NUMBERS and b.dtype not in FLOATS:
            b = floating(b)
        return a / b

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ea, eb = self.edges
        return g / b if ea is not None else None, -g * ((a / b) / b) if eb is not None else None


@register("neg")
class Neg(Op):
    __slots__ = ()
    exact = True

    @staticmethod
    def forward(a: Any) -> Any:
        return -no_bool("neg", a)

    def backward(self, m: Any, g: Any) -> Any:
        return (-g,)


@register("pow", inputs=2, promotes=True)
class Pow(Op):
    __slots__ = ()
    save = (0, 1, "out")

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        if getattr(a, "dtype", _FLOAT).kind == "b" and (
            b.__class__ is bool or getattr(b, "dtype", _FLOAT).kind == "b"
        ):
            raise RuntimeError("pow: bool tensors are not supported; convert with .int() or .float() first")
        if b.__class__ is int and b < 0 and getattr(a, "dtype", _FLOAT).kind in "iu":
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        if getattr(b, "dtype", _FLOAT).kind == "i" and getattr(a, "dtype", b.dtype).kind in "iu":
            # 1 / a rounded to zero, where NumPy raises
            ones = (a == 1) + (a == -1) * (1 - 2 * (b & 1))
            return module_of(b).where(b < 0, ones, a ** (b * (b > 0))).astype(b.dtype)
        return a**b

    def backward(self, m: Any, g: Any, a: Any, b: Any, out: Any) -> Any:
        ea, eb = self.edges
        ga = gb = None
        if ea is not None:
            if isinstance(b, (int, float)):
                ga = m.zeros_like(a) * g if b == 0 else g * b * (a if b == 2 else a ** (b - 1))
            else:
                ga = m.where(b == 0, m.zeros_like(b), g * b * a ** (b - 1))
        if eb is not None:
            if isinstance(a, (int, float)):
                log_a = math.log(a) if a > 0 else float("nan") if a else float("-inf")
                gb = g * out * log_a
                if not a:
                    gb = m.where(b >= 0, m.zeros_like(gb), gb)
            else:
                flat = (a == 0) & (b >= 0)
                gb = g * m.where(flat, m.zeros_like(out), out * m.log(m.where(flat, m.ones_like(a), a)))
        return ga, gb

    def name(self) -> str:
        return {(True, False): "PowBackward0", (False, True): "PowBackward2"}.get(self.attrs, "PowBackward1")


@register("exp")
class Exp(Op):
    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).exp(floating(a))

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        return (g * out,)


@register("expm1")
class Expm1(Op):
    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).expm1(floating(a))

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        return (g * (out + 1),)


@register("log")
class Log(Op):
    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).log(floating(a))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (m.div(g, a),)


@register("log1p")
class Log1p(Op):
    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).log1p(floating(a))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (m.div(g, a + 1),)


@register("sqrt")
class Sqrt(Op):
    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).sqrt(floating(a))

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        return (m.div(g, out * 2),)


@register("sin")
class Sin(Op):
    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).sin(floating(a))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * m.cos(a),)


@register("cos")
class Cos(Op):
    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).cos(floating(a))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (-g * m.sin(a),)


@register("tanh")
class Tanh(Op):
    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).tanh(floating(a))

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        return (g * (1 - out * out),)


@register("abs")
class Abs(Op):
    __slots__ = ()
    exact = True
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        return abs(no_bool("abs", a))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * m.sign(a),)


@register("where", inputs=3)
class Where(Op):
    """where(condition, a, b): a where condition, else b."""

    __slots__ = ()
    exact = True
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
    exact = True
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return module_of(a).maximum(a, b)

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        return _shared(self, m, g, a < b, a > b, a == b)


@register("minimum", inputs=2)
class Minimum(Op):
    """The smaller of two; a tie shares the gradient in halves."""

    __slots__ = ()
    exact = True
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return module_of(a).minimum(a, b)

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        return _shared(self, m, g, a > b, a < b, a == b)


def _shared(node: Any, m: Any, g: Any, only_b: Any, only_a: Any, tie: Any) -> Any:
    """The gradient of each side; where neither comparison holds (NaN), both sides get it, as in PyTorch."""
    ea, eb = node.edges
    zero = m.zeros_like(g)
    shared = m.where(tie, g / 2, g)
    return (
        m.where(only_b, zero, shared) if ea is not None else None,
        m.where(only_a, zero, shared) if eb is not None else None,
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
    exact = True

    @staticmethod
    def forward(a: Any, to: Any) -> Any:
        if to == bfloat16.numpy:
            check_carried(module_of(a), to)
        return a.astype(to) if a.flags.c_contiguous else a.astype(to, order=copy_order(a))

    def backward(self, m: Any, g: Any) -> Any:
        return (g,)

    def name(self) -> str:
        return "ToCopyBackward0"


@register("clone")
class Clone(Op):
    __slots__ = ()
    exact = True

    @staticmethod
    def forward(a: Any) -> Any:
        return a.copy() if a.flags.c_contiguous else a.copy(order=copy_order(a))

    def backward(self, m: Any, g: Any) -> Any:
        return (g,)


@register("to_device")
class ToDevice(Op):
    """to_device(a, target, source): a copy on another device; the gradient comes back to the source."""

    __slots__ = ()
    exact = True

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
    exact = True

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).zeros(a.shape, a.dtype)

    def backward(self, m: Any, g: Any) -> Any:
        return (None,)


@register("ones_like")
class OnesLike(Op):
    __slots__ = ()
    exact = True

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).ones(a.shape, a.dtype)

    def backward(self, m: Any, g: Any) -> Any:
        return (None,)
