"""Functions that look at how floating-point numbers are made: signs, exponents, neighbours, steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import FLOATS, HALVES, float64, get_default_dtype
from ..grad_mode import state as grad_state
from ..ops import rounding as _ro
from ..ops import transcendental as _tr
from ..ops.overwriting import Overwrite
from ..ops.registry import apply, cast_inputs, unary
from ..tensor import Tensor
from .arguments import beside, common_dtype, named, tensor_of
from .arithmetic import mul, plain_sub, pow, sub
from .catalogue import public
from .matrix import SCALAR_NAMES, broadcast

__all__ = [
    "angle",
    "conj",
    "conj_physical",
    "copysign",
    "float_power",
    "frexp",
    "heaviside",
    "isneginf",
    "isposinf",
    "isreal",
    "ldexp",
    "logaddexp2",
    "nextafter",
    "positive",
    "real",
    "resolve_conj",
    "resolve_neg",
    "rsub",
    "sinc",
]


sinc = public("sinc", in_place=True, out=True)(unary(_tr.Sinc))


def floats_of(name: str, input: Any, other: Any) -> tuple[Tensor, Tensor]:
    """Both tensors in their common dtype, which must be a floating one."""
    tensor_of(input, name)
    tensor_of(other, name, "other")
    to = common_dtype([input, other])
    if not to.is_floating_point:
        raise NotImplementedError(
            f"\"{name}_cpu\" not implemented for '{SCALAR_NAMES[to.name]}'; convert with .float() first"
        )
    return cast_inputs(input, to), cast_inputs(other, to)


@public(out=True)
def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """log2(2^input + 2^other), of floating-point tensors."""
    return apply(_tr.Logaddexp2, floats_of("logaddexp2", input, other))


@public(in_place=True, out=True)
def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The next number of the dtype from `input` towards `other`."""
    return apply(_ro.Nextafter, floats_of("nextafter", input, other))


@public(in_place=True, out=True)
def copysign(input: Tensor, other: Any) -> Tensor:
    """|input| with the sign of `other`, also that of -0.0."""
    tensor_of(input, "copysign")
    to = common_dtype([input, other])
    if not to.is_floating_point:
        to = get_default_dtype()
    return apply(_ro.Copysign, (beside(input, input, to), beside(other, input, to)))


@public(in_place=True, out=True)
def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 for negative numbers and NaN, 1 for positive ones, `values` at 0. It has no derivative."""
    tensor_of(input, "heaviside")
    tensor_of(values, "heaviside", "values")
    a, v = input._array, beside(values, input, values.dtype)._array
    broadcast(a.shape, v.shape)
    if a.dtype != v.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    if input.requires_grad or values.requires_grad:
        raise RuntimeError("derivative for aten::heaviside is not implemented; detach its arguments")
    xp = module_of(a)
    return Tensor._wrap(grad_state.quiet(lambda: xp.where(a == 0, v, (a > 0).astype(a.dtype))))


@public(in_place=True, out=True)
def float_power(input: Any, exponent: Any) -> Tensor:
    """input ** exponent in float64."""
    like = input if isinstance(input, Tensor) else exponent
    tensor_of(like, "float_power")
    wide = [cast_inputs(x, float64) if isinstance(x, Tensor) else float(x) for x in (input, exponent)]
    return pow(*wide)


def _power_of_2(minus: Any, dtype: Any) -> Any:
    return module_of(minus).exp2(-minus.astype(np.float64)).astype(dtype)


@public(out=True)
def frexp(input: Tensor) -> Any:
    """Mantissas of magnitude in [0.5, 1) and exponents (int32) such that input is mantissa * 2^exponent."""
    a = tensor_of(input, "frexp")._array
    if a.dtype not in FLOATS:
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    xp = module_of(a)
    exponent = grad_state.quiet(xp.frexp, a.astype(np.float32) if a.dtype in HALVES else a)[1]
    first = exponent // 2  # in two steps, for 2^-exponent overflows where the number is subnormal
    mantissa = input
    for part in (first, exponent - first):
        mantissa = mul(mantissa, Tensor._wrap(grad_state.quiet(_power_of_2, part, a.dtype)))
    return named("frexp", mantissa=mantissa, exponent=Tensor._wrap(exponent))


@public(in_place=True, out=True)
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2^other."""
    tensor_of(other, "ldexp", "other")
    if other._array.dtype == np.bool_ and tensor_of(input, "ldexp").is_floating_point():
        raise NotImplementedError("ldexp: not implemented for a bool exponent; convert with .int() first")
    to = common_dtype([tensor_of(input, "ldexp"), other, 2.0])
    return mul(input, pow(2.0, cast_inputs(other, to)))


@public(out=True, exact=True)
def isposinf(input: Tensor) -> Tensor:
    """Where the number is inf."""
    return Tensor._wrap(tensor_of(input, "isposinf")._array == math.inf)


@public(out=True, exact=True)
def isneginf(input: Tensor) -> Tensor:
    """Where the number is -inf."""
    return Tensor._wrap(tensor_of(input, "isneginf")._array == -math.inf)


@public()
def isreal(input: Tensor) -> Tensor:
    """True everywhere, since no dtype is complex."""
    a = tensor_of(input, "isreal")._array
    return Tensor._wrap(module_of(a).ones(a.shape, np.bool_))


@public(method=True)
def positive(input: Tensor) -> Tensor:
    """The tensor itself."""
    if tensor_of(input, "positive").dtype.name == "bool":
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


@public(method=False)
def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input."""
    tensor_of(input, "rsub")
    if alpha == 1 and not isinstance(alpha, bool):
        return plain_sub(other, input)
    if isinstance(other, Tensor):
        return sub(other, input, alpha=alpha)
    return plain_sub(other, mul(input, alpha))


@public(out=True)
def angle(input: Tensor) -> Tensor:
    """pi for negative numbers, 0 for the others, NaN for NaN; its gradient is 0."""
    a = tensor_of(input, "angle")._array
    x = a if a.dtype in FLOATS else a.astype(get_default_dtype().numpy)
    kind = x.dtype.type
    xp = module_of(x)
    value = Tensor._wrap(
        grad_state.quiet(lambda: xp.where(x < 0, kind(math.pi), xp.where(x == x, kind(0), x)))
    )
    return apply(Overwrite, (input, value)) if input.requires_grad else value


def _itself(name: str) -> Any:
    """A function that only changes complex tensors, of which there are none."""

    def run(input: Tensor) -> Tensor:
        return tensor_of(input, name)

    return public(name)(run)


conj, resolve_conj, resolve_neg = _itself("conj"), _itself("resolve_conj"), _itself("resolve_neg")
real = public("real", method=False)(lambda input: tensor_of(input, "real"))


@public(in_place=True, out=True)
def conj_physical(input: Tensor) -> Tensor:
    """The tensor itself: no dtype is complex."""
    return tensor_of(input, "conj_physical")
