"""Functions of integers: shifts, greatest common divisors, least common multiples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..backends import module_of
from ..ops.registry import as_number
from ..ops.rounding import Remainder
from ..tensor import Tensor
from .arguments import beside, common_dtype, tensor_of
from .catalogue import public
from .matrix import SCALAR_NAMES, broadcast

__all__ = ["bitwise_left_shift", "bitwise_right_shift", "gcd", "lcm"]


def _integers(kernel: str, input: Any, other: Any) -> tuple[Any, Any]:
    """The raw arrays of both in their common dtype, which must be one of integers."""
    like = input if isinstance(input, Tensor) else other
    if not isinstance(like, Tensor):
        raise TypeError(f"{kernel}: expected a tensor among the arguments, got {type(input).__name__}")
    both = [x if isinstance(x, (Tensor, int, float)) else as_number(Remainder, x) for x in (input, other)]
    to = common_dtype(both)
    if to.is_floating_point or to.name == "bool":
        raise NotImplementedError(
            f"\"{kernel}_cpu\" not implemented for '{SCALAR_NAMES[to.name]}'; convert with .int() first"
        )
    a, b = (beside(x, like, to)._array for x in both)
    broadcast(a.shape, b.shape)
    return a, b


def _shift(left: bool) -> Callable[[Any, Any], Tensor]:
    def run(input: Any, other: Any) -> Tensor:
        a, b = _integers("lshift" if left else "rshift", input, other)
        xp, kind = module_of(a), a.dtype.type
        bits = 8 * a.dtype.itemsize
        outside = (b < 0) | (b >= bits)
        by = xp.where(outside, kind(0), b)
        if left:
            return Tensor._wrap(xp.where(outside, kind(0), a << by))
        return Tensor._wrap(
            xp.where(outside, a >> kind(bits - 1) if a.dtype.kind == "i" else kind(0), a >> by)
        )

    return run


bitwise_left_shift = public("bitwise_left_shift", in_place=True, out=True)(_shift(left=True))
bitwise_right_shift = public("bitwise_right_shift", in_place=True, out=True)(_shift(left=False))


@public(in_place=True, out=True)
def gcd(input: Tensor, other: Tensor) -> Tensor:
    """The greatest common divisor of integers, never negative; gcd(0, 0) is 0."""
    a, b = _integers("gcd", tensor_of(input, "gcd"), tensor_of(other, "gcd", "other"))
    return Tensor._wrap(module_of(a).gcd(a, b))


@public(in_place=True, out=True)
def lcm(input: Tensor, other: Tensor) -> Tensor:
    """The least common multiple of integers, never negative; 0 where one is 0."""
    a, b = _integers("lcm", tensor_of(input, "lcm"), tensor_of(other, "lcm", "other"))
    return Tensor._wrap(module_of(a).lcm(a, b))
