"""Whole parts, quotients and remainders, signs: what is flat almost everywhere, or leaps."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..dtypes import FLOATS
from ..node import Op
from .pointwise import NUMBERS, no_bool
from .registry import register


def _check_divisor(name: str, a: Any, b: Any) -> None:
    """Raises RuntimeError for bools, and for integers divided by zero, which NumPy and CUDA answer with a number."""
    kinds = {x.__class__.__name__[0] if x.__class__ in NUMBERS else x.dtype.kind for x in (a, b)}
    if "f" in kinds:
        return
    if kinds == {"b"}:
        raise RuntimeError(f"{name}: bool tensors are not supported; convert with .int() or .float() first")
    if (b == 0) if b.__class__ in NUMBERS else (b == 0).any():
        raise RuntimeError("ZeroDivisionError: integer division or remainder by zero")


class FloorDivide(Op):
    """The quotient rounded down. As in PyTorch its result requires grad, and backward raises."""

    __slots__ = ()
    scales = True

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        _check_divisor("floor_divide", a, b)
        return a // b

    def backward(self, m: Any, g: Any) -> Any:
        raise RuntimeError(
            "derivative for floor_divide is not implemented; use torch.floor(a / b), whose gradient is zero"
        )


class DivFloor(FloorDivide):
    """div(…, rounding_mode="floor"): the same, with gradient zero."""

    __slots__ = ()

    def backward(self, m: Any, g: Any) -> Any:
        zero = m.zeros_like(g)
        return zero, zero


@register("remainder", inputs=2, promotes=True)
class Remainder(Op):
    """a - b * floor(a / b)."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        _check_divisor("remainder", a, b)
        rest = a % b
        if rest.dtype.kind in "iub":
            return rest
        xp = module_of(rest)  # zero has the sign of a, as in C, where Python gives it the divisor's
        return xp.where(rest == 0, xp.copysign(rest, a), rest)

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        return g, -g * m.floor(a / b) if self.edges[1] is not None else None


@register("fmod", inputs=2, promotes=True)
class Fmod(Op):
    """a - b * trunc(a / b)."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        _check_divisor("fmod", a, b)
        return module_of(a if hasattr(a, "dtype") else b).fmod(a, b)

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        return g, -g * m.trunc(a / b) if self.edges[1] is not None else None


class _Flat(Op):
    """Functions whose gradient is zero almost everywhere."""

    __slots__ = ()
    exact = True

    def backward(self, m: Any, g: Any) -> Any:
        return (m.zeros_like(g),)


@register("sign")
class Sign(_Flat):
    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        if a.dtype.kind == "b":
            return a.copy()
        return (a > 0).astype(a.dtype) - (a < 0).astype(a.dtype)  # 0 for NaN, as PyTorch has it


@register("floor")
class Floor(_Flat):
    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).floor(a) if a.dtype in FLOATS else no_bool("floor", a).copy()


@register("trunc")
class Trunc(_Flat):
    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).trunc(a) if a.dtype in FLOATS else no_bool("trunc", a).copy()


@register("ceil")
class Ceil(_Flat):
    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).ceil(a) if a.dtype in FLOATS else no_bool("ceil", a).copy()


@register("round")
class Round(_Flat):
    """To the nearest integer, halves to even."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any) -> Any:
        return module_of(a).rint(a) if a.dtype in FLOATS else no_bool("round", a).copy()


@register("div_trunc", inputs=2, promotes=True)
class DivTrunc(Op):
    """div(…, rounding_mode="trunc"): the quotient without its fraction."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        _check_divisor("div_trunc", a, b)
        array = a if hasattr(a, "dtype") else b
        if array.dtype.kind in "biu":
            quotient = a // b
            return quotient + ((quotient < 0) & (quotient * b != a)).astype(quotient.dtype)
        return module_of(array).trunc(a / b)

    def backward(self, m: Any, g: Any) -> Any:
        zero = m.zeros_like(g)
        return zero, zero


@register("copysign", inputs=2)
class Copysign(Op):
    """copysign(a, b): |a| with the sign of b, also of -0.0."""

    __slots__ = ()
    save = (0, "out")
    exact = True

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return module_of(a).copysign(a, b)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        return g * m.where(a == 0, m.zeros_like(out), out / a), m.zeros_like(g)


@register("nextafter", inputs=2)
class Nextafter(Op):
    """nextafter(a, b): the next number of the dtype from a towards b."""

    __slots__ = ()
    save = (0, 1)
    exact = True

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return module_of(a).nextafter(a, b)

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        zero = m.zeros_like(g)
        return m.where(a == b, zero, g), zero


@register("round_decimals")
class RoundDecimals(_Flat):
    """round_decimals(a, decimals): to the nearest multiple of 10^-decimals."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, decimals: int) -> Any:
        ten = a.dtype.type(10.0 ** abs(decimals))
        xp = module_of(a)
        return xp.rint(a * ten) / ten if decimals > 0 else xp.rint(a / ten) * ten

    def name(self) -> str:
        return "RoundBackward1"
