"""Trigonometric, hyperbolic and logarithmic functions, and functions made of them."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import FLOATS, get_default_dtype
from ..dtypes import limits as finite_limits
from ..ops import transcendental as _tr
from ..ops.registry import apply, cast_inputs, unary
from ..tensor import Tensor
from .arguments import beside, common_dtype, tensor_of
from .arithmetic import mul, where
from .catalogue import public

__all__ = [
    "acos",
    "acosh",
    "addcdiv",
    "addcmul",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cosh",
    "deg2rad",
    "exp2",
    "hypot",
    "lerp",
    "log10",
    "log2",
    "logaddexp",
    "logit",
    "nan_to_num",
    "rad2deg",
    "sinh",
    "tan",
    "xlogy",
]


acos = public("acos", alias="arccos", in_place=True, out=True)(unary(_tr.Acos))
acosh = public("acosh", alias="arccosh", in_place=True, out=True)(unary(_tr.Acosh))
asin = public("asin", alias="arcsin", in_place=True, out=True)(unary(_tr.Asin))
asinh = public("asinh", alias="arcsinh", in_place=True, out=True)(unary(_tr.Asinh))
atan = public("atan", alias="arctan", in_place=True, out=True)(unary(_tr.Atan))
atanh = public("atanh", alias="arctanh", in_place=True, out=True)(unary(_tr.Atanh))
cosh = public("cosh", in_place=True, out=True)(unary(_tr.Cosh))
exp2 = public("exp2", in_place=True, out=True)(unary(_tr.Exp2))
log10 = public("log10", in_place=True, out=True)(unary(_tr.Log10))
log2 = public("log2", in_place=True, out=True)(unary(_tr.Log2))
sinh = public("sinh", in_place=True, out=True)(unary(_tr.Sinh))
tan = public("tan", in_place=True, out=True)(unary(_tr.Tan))


def _both(input: Tensor, other: Tensor, name: str) -> tuple[Tensor, Tensor]:
    tensor_of(input, name)
    tensor_of(other, name, "other")
    to = common_dtype([input, other])
    return cast_inputs(input, to), cast_inputs(other, to)


@public(alias="arctan2", in_place=True, out=True)
def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle of the points (other, input), in radians from -pi to pi."""
    a, b = _both(input, other, "atan2")
    return apply(_tr.Atan2, (a, b))


@public(in_place=True, out=True)
def hypot(input: Tensor, other: Tensor) -> Tensor:
    """sqrt(input^2 + other^2), of floating-point tensors."""
    a, b = _both(input, other, "hypot")
    if a._array.dtype not in FLOATS:
        raise NotImplementedError(f'"hypot_cpu" not implemented for {a.dtype}; convert with .float() first')
    return apply(_tr.Hypot, (a, b))


@public(out=True)
def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """log(exp(input) + exp(other)), of floating-point tensors."""
    a, b = _both(input, other, "logaddexp")
    if a._array.dtype not in FLOATS:
        raise NotImplementedError(
            f'"logaddexp_cpu" not implemented for {a.dtype}; convert with .float() first'
        )
    return apply(_tr.Logaddexp, (a, b))


@public(in_place=True, out=True)
def xlogy(input: Any, other: Any) -> Tensor:
    """input * log(other); 0 where input is 0, NaN where other is NaN."""
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        raise TypeError("xlogy(): expected a tensor among its arguments")
    like = input if isinstance(input, Tensor) else other
    to = common_dtype([input, other])
    if not to.is_floating_point:
        to = get_default_dtype()
    a, b = beside(input, like, to), beside(other, like, to)
    return apply(_tr.Xlogy, (a, b))


@public(in_place=True, out=True)
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(input / (1 - input)), of input clamped to [eps, 1 - eps] where eps is given."""
    tensor_of(input, "logit")
    x = input if input._array.dtype in FLOATS else cast_inputs(input, get_default_dtype())
    kind = x._array.dtype.type
    return apply(_tr.Logit, (x,), (None if eps is None else (float(kind(eps)), float(kind(1 - eps))),))


@public(in_place=True, out=True)
def deg2rad(input: Tensor) -> Tensor:
    """Degrees as radians."""
    return mul(input, math.pi / 180)


@public(in_place=True, out=True)
def rad2deg(input: Tensor) -> Tensor:
    """Radians as degrees."""
    return mul(input, 180 / math.pi)


@public(in_place=True, out=True)
def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """input + weight * (end - input); from the nearer end, so that weight 1 gives `end` exactly."""
    if not input.is_floating_point():
        raise NotImplementedError(f"lerp: not implemented for {input.dtype}; convert with .float() first")
    if input._array.dtype != end._array.dtype:
        raise RuntimeError(f"expected dtype {input.dtype} for `end` but got dtype {end.dtype}")
    if isinstance(weight, Tensor):
        if weight._array.dtype != input._array.dtype:
            raise RuntimeError(f"expected dtype {input.dtype} for `weight` but got dtype {weight.dtype}")
        near = input + weight * (end - input)
        return where(weight.detach().abs() < 0.5, near, end - (end - input) * (1 - weight))
    difference = end - input
    from_start: Tensor = input + weight * difference
    return from_start if -0.5 < weight < 0.5 else end - difference * (1 - weight)


@public(in_place=True, out=True)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 * tensor2."""
    product = tensor1 * tensor2
    if isinstance(value, float) and not common_dtype([input, product]).is_floating_point:
        raise RuntimeError(
            "For integral input tensors, argument value must not be a floating point number; convert one with .float()"
        )
    return input + (product if value == 1 else product * value)


@public(in_place=True, out=True)
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """input + value * tensor1 / tensor2, of floating-point tensors."""
    if tensor1._array.dtype not in FLOATS and tensor2._array.dtype not in FLOATS:
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future release addcdiv will perform a true "
            "division of tensor1 and tensor2. Convert one of them with .float() first."
        )
    quotient = (tensor1 if value == 1 else tensor1 * value) / tensor2
    return input + quotient


@public(in_place=True, out=True)
def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """NaN as `nan` (0), infinities as `posinf` and `neginf` (the largest and smallest number of the dtype)."""
    x = input
    if x._array.dtype not in FLOATS:
        return x.clone()
    limits = finite_limits(x._array.dtype)
    infinite = float("inf")
    x = where(x == infinite, float(limits.max) if posinf is None else posinf, x)
    x = where(x == -infinite, float(limits.min) if neginf is None else neginf, x)
    return where(x != x, 0.0 if nan is None else nan, x)
