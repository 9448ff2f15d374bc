"""Functions that cut numbers up: whole and fractional parts, remainders, signs."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..dtypes import FLOATS
from ..ops import rounding as _ro
from ..ops.registry import binary, unary
from ..tensor import Tensor
from .arguments import tensor_of
from .catalogue import public

__all__ = ["fmod", "frac", "sgn", "signbit", "trunc"]


trunc = public("trunc", alias="fix", in_place=True, out=True)(unary(_ro.Trunc))


@public(in_place=True, out=True)
def frac(input: Tensor) -> Tensor:
    """What trunc cuts off, with the sign of the number."""
    if not tensor_of(input, "frac").is_floating_point():
        raise NotImplementedError(f"frac: not implemented for {input.dtype}; convert with .float() first")
    return input - trunc(input)


@public(in_place=True, out=True)
def fmod(input: Tensor, other: Any) -> Tensor:
    """What is left after division, with the sign of `input`."""
    return binary(_ro.Fmod, tensor_of(input, "fmod"), other)


sgn = public("sgn", in_place=True, out=True)(unary(_ro.Sign))


@public()
def signbit(input: Tensor) -> Tensor:
    """Whether the sign is minus, also that of -0.0."""
    a = tensor_of(input, "signbit")._array
    return Tensor._wrap(module_of(a).signbit(a) if a.dtype in FLOATS else a < a.dtype.type(0))
