"""Functions that cut numbers up: whole and fractional parts, remainders, signs."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..ops import pointwise as _pw
from ..ops.registry import apply, binary
from ..tensor import Tensor
from .catalogue import public

__all__ = ["fmod", "frac", "sgn", "signbit", "trunc"]


def _tensor(input: Any, name: str) -> Tensor:
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    return input


@public(alias="fix", in_place=True, out=True)
def trunc(input: Tensor) -> Tensor:
    """The whole part, rounded toward zero; its gradient is zero."""
    return apply(_pw.Trunc, (_tensor(input, "trunc"),))


@public(in_place=True, out=True)
def frac(input: Tensor) -> Tensor:
    """What trunc cuts off, with the sign of the number."""
    if not _tensor(input, "frac").is_floating_point():
        raise NotImplementedError(f"frac: not implemented for {input.dtype}; convert with .float() first")
    return input - trunc(input)


@public(in_place=True, out=True)
def fmod(input: Tensor, other: Any) -> Tensor:
    """What is left after division, with the sign of `input`."""
    return binary(_pw.Fmod, _tensor(input, "fmod"), other)


@public(in_place=True, out=True)
def sgn(input: Tensor) -> Tensor:
    """The sign: -1, 0 or 1."""
    return apply(_pw.Sign, (_tensor(input, "sgn"),))


@public()
def signbit(input: Tensor) -> Tensor:
    """Whether the sign is minus, also that of -0.0."""
    a = _tensor(input, "signbit")._array
    return Tensor._wrap(module_of(a).signbit(a) if a.dtype.kind == "f" else a < a.dtype.type(0))
