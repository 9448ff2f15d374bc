"""Elementwise functions of two or three operands: arithmetic, comparison, logic, selection."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import FLOATS, float64
from ..ops import pointwise as _pw
from ..ops import rounding as _ro
from ..ops.registry import apply, binary, cast_inputs, operator
from ..tensor import Tensor
from .arguments import beside, common_dtype, tensor_of
from .catalogue import public
from .elementary import sqrt

__all__ = [
    "clamp_max",
    "clamp_min",
    "fmax",
    "fmin",
    "isclose",
    "logical_xor",
    "add",
    "sub",
    "mul",
    "div",
    "true_divide",
    "pow",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "floor_divide",
    "remainder",
    "logical_and",
    "logical_or",
    "logical_not",
    "bitwise_not",
    "isnan",
    "isfinite",
    "isinf",
    "equal",
    "allclose",
    "square",
    "rsqrt",
    "reciprocal",
    "where",
    "maximum",
    "minimum",
    "clamp",
]
_builtin_all, _builtin_any = builtins.all, builtins.any


plain_add, plain_sub, plain_mul, plain_div = (
    operator(_pw.Add),
    operator(_pw.Sub, _pw.refuse_bools),
    operator(_pw.Mul),
    operator(_pw.Div),
)


_ONE = 1


def _scaled(input: Any, other: Any, alpha: Any) -> Any:
    """`other * alpha` in the dtype of the sum."""
    to = common_dtype([input, other])
    if isinstance(alpha, bool) and to.name != "bool":
        raise RuntimeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and not to.is_floating_point:
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    if to.name == "bool":
        return other if alpha else False
    return mul(cast_inputs(other, to) if isinstance(other, Tensor) else other, alpha)


@public(in_place=True, out=True)
def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    return plain_add(input, other if alpha is _ONE else _scaled(input, other, alpha))


@public(alias="subtract", in_place=True, out=True)
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    return plain_sub(input, other if alpha is _ONE else _scaled(input, other, alpha))


@public(alias="multiply", in_place=True, out=True)
def mul(input: Any, other: Any) -> Tensor:
    return plain_mul(input, other)


@public(alias="divide", in_place=True, out=True)
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    if rounding_mode is None:
        return plain_div(input, other)
    if rounding_mode == "floor":
        return binary(_ro.DivFloor, input, other)
    if rounding_mode == "trunc":
        return binary(_ro.DivTrunc, input, other)
    raise RuntimeError(
        f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
    )


@public(in_place=True, out=True)
def true_divide(input: Any, other: Any) -> Tensor:
    """input / other."""
    return plain_div(input, other)


@public(in_place=True, out=True)
def pow(input: Any, exponent: Any) -> Tensor:
    return binary(_pw.Pow, input, exponent)


def _plain(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Tensor]:
    """An elementwise function without a gradient, of tensors or numbers."""

    class Plain(_pw.Add):
        __slots__ = ()
        exact = True

        @staticmethod
        def forward(a: Any, b: Any) -> Any:
            return function(a, b)

    def run(input: Any, other: Any) -> Tensor:
        return binary(Plain, input, other).detach()

    return run


eq = public("eq", in_place=True, out=True)(_plain(lambda a, b: a == b))


ne = public("ne", alias="not_equal", in_place=True, out=True)(_plain(lambda a, b: a != b))


lt = public("lt", alias="less", in_place=True, out=True)(_plain(lambda a, b: a < b))


le = public("le", alias="less_equal", in_place=True, out=True)(_plain(lambda a, b: a <= b))


gt = public("gt", alias="greater", in_place=True, out=True)(_plain(lambda a, b: a > b))


ge = public("ge", alias="greater_equal", in_place=True, out=True)(_plain(lambda a, b: a >= b))


def _bitwise(name: str, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Tensor]:
    def run(a: Any, b: Any) -> Any:
        if _builtin_any(isinstance(x, float) or getattr(x, "dtype", None) in FLOATS for x in (a, b)):
            raise NotImplementedError(
                f'"{name}_cpu" not implemented for floating-point numbers; convert with .int()'
            )
        return function(a, b)

    return public(name, in_place=True, out=True)(_plain(run))


bitwise_and = _bitwise("bitwise_and", lambda a, b: a & b)


bitwise_or = _bitwise("bitwise_or", lambda a, b: a | b)


bitwise_xor = _bitwise("bitwise_xor", lambda a, b: a ^ b)


@public(in_place=True, out=True)
def floor_divide(input: Any, other: Any) -> Tensor:
    """The quotient rounded down; not differentiable."""
    return binary(_ro.FloorDivide, input, other)


@public(in_place=True, out=True)
def remainder(input: Any, other: Any) -> Tensor:
    """What is left after division, with the sign of the divisor."""
    return binary(_ro.Remainder, input, other)


@public(in_place=True, out=True)
def logical_and(input: Tensor, other: Tensor) -> Tensor:
    return Tensor._wrap((input._array != 0) & (other._array != 0))


@public(in_place=True, out=True)
def logical_or(input: Tensor, other: Tensor) -> Tensor:
    return Tensor._wrap((input._array != 0) | (other._array != 0))


@public(in_place=True, out=True)
def logical_not(input: Tensor) -> Tensor:
    return Tensor._wrap(input._array == 0)


@public(in_place=True, out=True)
def bitwise_not(input: Tensor) -> Tensor:
    if input._array.dtype in FLOATS:
        raise RuntimeError(f"bitwise_not: expected an integer or bool tensor, got {input.dtype}")
    return Tensor._wrap(~input._array)


@public()
def isnan(input: Tensor) -> Tensor:
    return Tensor._wrap(input._array != input._array)


@public()
def isfinite(input: Tensor) -> Tensor:
    return Tensor._wrap(module_of(input._array).isfinite(input._array))


@public()
def isinf(input: Tensor) -> Tensor:
    return Tensor._wrap(module_of(input._array).isinf(input._array))


@public()
def equal(input: Tensor, other: Tensor) -> bool:
    """Same shape and same values."""
    return input._array.shape == other._array.shape and bool((input._array == other._array).all())


@public()
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    xp = module_of(input._array)
    return bool(xp.allclose(input._array, other._array, rtol=rtol, atol=atol, equal_nan=equal_nan))


@public(in_place=True, out=True)
def square(input: Tensor) -> Tensor:
    return pow(input, 2)


@public(in_place=True, out=True)
def rsqrt(input: Tensor) -> Tensor:
    return div(1.0, sqrt(input))


@public(in_place=True, out=True)
def reciprocal(input: Tensor) -> Tensor:
    return div(1.0, input)


def _takes_both(named: dict[str, Any], out: Any) -> None:
    if named.get("other") is None:
        raise TypeError("where(): out= is taken with input and other only")


@public(out=True, method=False, prepare=_takes_both)
def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where `condition`, else `other`; the three broadcast. Of `condition` alone: where it is not zero."""
    tensor_of(condition, "where", "condition")
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if input is None or other is None:
        raise TypeError("where() takes both input and other, or neither")
    if condition._array.dtype != np.bool_:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
        )
    to = common_dtype([input, other])
    return apply(_pw.Where, (condition, beside(input, condition, to), beside(other, condition, to)))


@public(out=True)
def maximum(input: Tensor, other: Tensor) -> Tensor:
    to = common_dtype([input, other])
    return apply(_pw.Maximum, (cast_inputs(input, to), cast_inputs(other, to)))


@public(out=True)
def minimum(input: Tensor, other: Tensor) -> Tensor:
    to = common_dtype([input, other])
    return apply(_pw.Minimum, (cast_inputs(input, to), cast_inputs(other, to)))


@public(alias="clip", in_place=True, out=True)
def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    bounds = [x for x in (min, max) if x is not None]
    if _builtin_any(isinstance(x, Tensor) for x in bounds):
        if not _builtin_all(isinstance(x, Tensor) for x in bounds):
            raise TypeError("clamp(): expected 'min' and 'max' to be both tensors or both numbers")
        result = input if min is None else maximum(input, min)
        return result if max is None else minimum(result, max)
    to = common_dtype([input, *bounds])
    return apply(_pw.Clamp, (cast_inputs(input, to),), (min, max))


@public(in_place=True, out=True)
def clamp_min(input: Tensor, min: Any) -> Tensor:
    return clamp(input, min)


@public(in_place=True, out=True)
def clamp_max(input: Tensor, max: Any) -> Tensor:
    return clamp(input, None, max)


@public(in_place=True, out=True)
def logical_xor(input: Tensor, other: Tensor) -> Tensor:
    return Tensor._wrap((input._array != 0) ^ (other._array != 0))


@public(out=True)
def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two, the other one where one is NaN."""
    return where(isnan(other) | (input >= other).detach(), input, other)


@public(out=True)
def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two, the other one where one is NaN."""
    return where(isnan(other) | (input <= other).detach(), input, other)


@public()
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """Where |input - other| <= atol + rtol * |other|, and where infinities are the same."""
    if input._array.dtype != other._array.dtype:
        raise RuntimeError(f"{input.dtype} did not match {other.dtype}")
    a, b = input.detach(), other.detach()
    near = a == b
    if not a.is_floating_point():  # where differences of small or unsigned integers would wrap around
        a, b = cast_inputs(a, float64), cast_inputs(b, float64)
    if equal_nan:
        near = near | (isnan(a) & isnan(b))
    allowed = atol + rtol * b.abs()
    close: Tensor = near | (isfinite(b) & isfinite(a) & ((a - b).abs() <= allowed))
    return close


def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    return where(condition, self, other)


Tensor.where = _where_method  # type: ignore[attr-defined]  # its first parameter is not the tensor
