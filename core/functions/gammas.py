"""Error functions, the gamma function's kin and Bessel functions that are names of torch itself."""

from __future__ import annotations

import math
from typing import Any

from ..dtypes import get_default_dtype
from ..in_place import in_place
from ..ops import bessel as _be
from ..ops import error_functions as _ef
from ..ops import gamma as _ga
from ..ops.registry import apply, cast_inputs, unary
from ..tensor import Tensor
from .arguments import tensor_of
from .catalogue import public
from .floats import floats_of

__all__ = [
    "digamma",
    "erfc",
    "erfinv",
    "i0",
    "igamma",
    "igammac",
    "lgamma",
    "mvlgamma",
    "polygamma",
]

digamma = public("digamma", in_place=True, out=True)(unary(_ga.Digamma))
erfc = public("erfc", in_place=True, out=True)(unary(_ef.Erfc))
erfinv = public("erfinv", in_place=True, out=True)(unary(_ef.Erfinv))
i0 = public("i0", in_place=True, out=True)(unary(_be.I0))
lgamma = public("lgamma", in_place=True, out=True)(unary(_ga.Lgamma))


@public(in_place=True, out=True)
def igamma(input: Tensor, other: Tensor) -> Tensor:
    """The regularised lower incomplete gamma function at `other`, with parameter `input`; differentiable in `other`."""
    return apply(_ga.Igamma, floats_of("igamma", input, other))


@public(in_place=True, out=True)
def igammac(input: Tensor, other: Tensor) -> Tensor:
    """The regularised upper incomplete gamma function at `other`, with parameter `input`; differentiable in `other`."""
    return apply(_ga.Igammac, floats_of("igammac", input, other))


def order(n: Any, input: Any) -> Tensor:
    """The n-th derivative of digamma at `input`."""
    tensor_of(input, "polygamma")
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"polygamma(): argument 'n' (position 1) must be int, not {type(n).__name__}")
    if n < 0:
        raise RuntimeError("polygamma(n, x) does not support negative n.")
    return apply(_ga.Polygamma, (input,), (n,)) if n else digamma(input)


@public(method=False, out=True)
def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma at `input`."""
    return order(n, input)


@public(in_place=True, out=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """The multivariate log-gamma function of dimension p."""
    tensor_of(input, "mvlgamma")
    if p < 1:
        raise RuntimeError("p has to be greater than or equal to 1")
    if input.dtype.name == "bool":
        raise RuntimeError("The input tensor may not be a boolean tensor.")
    x = input if input.is_floating_point() else cast_inputs(input, get_default_dtype())
    total: Any = p * (p - 1) * 0.25 * math.log(math.pi)
    for j in range(p):
        total = total + lgamma(x - 0.5 * j)
    result: Tensor = total
    return result


def _polygamma_method(self: Tensor, n: int) -> Tensor:
    return order(n, self)


def _polygamma_in_place(self: Tensor, n: int) -> Tensor:
    return in_place(self, lambda old: order(n, old), "polygamma_")


Tensor.polygamma = _polygamma_method  # type: ignore[attr-defined]  # its first parameter is not the tensor
Tensor.polygamma_ = _polygamma_in_place  # type: ignore[attr-defined]
