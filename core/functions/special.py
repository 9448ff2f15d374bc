"""torch.special: functions of its own, and those of torch under its names."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import FLOATS, HALVES, get_default_dtype
from ..grad_mode import state as grad_state
from ..ops import airy as _ai
from ..ops import bessel as _be
from ..ops import error_functions as _ef
from ..ops import gamma as _ga
from ..ops import transcendental as _ops
from ..ops.registry import apply, cast_inputs, unary
from ..tensor import Tensor
from . import activation as _ac
from . import elementary as _el
from . import floats as _fl
from . import gammas as _gm
from . import reduction as _re
from . import transcendental as _tr
from .arguments import beside, common_dtype, tensor_of
from .catalogue import public
from .matrix import SCALAR_NAMES

__all__ = [
    "airy_ai",
    "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1",
    "gammainc", "gammaincc", "gammaln", "i0", "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp",
    "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1", "multigammaln", "ndtr", "ndtri",
    "polygamma", "psi", "round", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "sinc", "softmax", "spherical_bessel_j0",
    "xlog1py", "xlogy", "zeta",
]  # fmt: skip


def entered(name: str, function: Callable[..., Any], out: bool = True) -> Any:
    """`function` under a name of torch.special."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return public(name, namespace="torch.special", out=out)(run)


def not_half(name: str, function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A function that PyTorch has for float32 and float64 alone, as for integers, which become the default float."""

    def run(input: Tensor) -> Tensor:
        if tensor_of(input, name)._array.dtype in HALVES:
            raise NotImplementedError(
                f"\"{name}_cpu\" not implemented for '{SCALAR_NAMES[input.dtype.name]}'; convert with .float() first"
            )
        return function(input)

    return run


def _without_gradient(function: Callable[[Any, Any], Any]) -> Callable[[Tensor], Tensor]:
    """A function of one tensor that has no derivative: what comes out requires no grad, as in PyTorch."""

    def run(input: Tensor) -> Tensor:
        a = input._array
        xp = module_of(a)
        to = a.dtype if a.dtype in FLOATS else get_default_dtype().numpy
        return Tensor._wrap(grad_state.quiet(lambda: function(xp, a.astype(np.float64)).astype(to)))

    return run


digamma = entered("digamma", _gm.digamma)
psi = entered("psi", _gm.digamma)
erf = entered("erf", _el.erf)
erfc = entered("erfc", _gm.erfc)
erfinv = entered("erfinv", _gm.erfinv)
erfcx = entered("erfcx", not_half("erfcx", unary(_ef.Erfcx)))
exp2 = entered("exp2", _tr.exp2)
expit = entered("expit", _el.sigmoid)
expm1 = entered("expm1", _el.expm1)
gammainc = entered("gammainc", _gm.igamma)
gammaincc = entered("gammaincc", _gm.igammac)
gammaln = entered("gammaln", _gm.lgamma)
i0 = entered("i0", _gm.i0)
i0e = entered("i0e", unary(_be.I0e))
i1 = entered("i1", unary(_be.I1))
i1e = entered("i1e", unary(_be.I1e))
log1p = entered("log1p", _el.log1p)
log_ndtr = entered("log_ndtr", not_half("log_ndtr", unary(_ef.LogNdtr)))
log_softmax = entered("log_softmax", _ac.log_softmax, out=False)
logit = entered("logit", _tr.logit)
logsumexp = entered("logsumexp", _re.logsumexp)
multigammaln = entered("multigammaln", _gm.mvlgamma)
ndtri = entered("ndtri", not_half("ndtri", unary(_ef.Ndtri)))
polygamma = entered("polygamma", _gm.polygamma)
round = entered("round", _el.round)
sinc = entered("sinc", _fl.sinc)
softmax = entered("softmax", _ac.softmax, out=False)
xlogy = entered("xlogy", _tr.xlogy)


def _bessel(name: str, function: Callable[[Any, Any], Any]) -> Any:
    return entered(name, not_half(name, _without_gradient(function)))


def _bessel_x(name: str, function: Callable[[Any, Any], Any]) -> Any:
    """Of those whose argument PyTorch calls x."""
    of_input = not_half(name, _without_gradient(function))

    def run(x: Tensor) -> Tensor:
        return of_input(x)

    return entered(name, run)


airy_ai = _bessel_x("airy_ai", _ai.airy_ai)
bessel_j0 = _bessel("bessel_j0", _be.j0)
bessel_j1 = _bessel("bessel_j1", _be.j1)
bessel_y0 = _bessel("bessel_y0", _be.y0)
bessel_y1 = _bessel("bessel_y1", _be.y1)
modified_bessel_i0 = _bessel("modified_bessel_i0", _be.i0)
modified_bessel_i1 = _bessel("modified_bessel_i1", _be.i1)
modified_bessel_k0 = _bessel("modified_bessel_k0", _be.k0)
modified_bessel_k1 = _bessel("modified_bessel_k1", _be.k1)
scaled_modified_bessel_k0 = _bessel_x("scaled_modified_bessel_k0", _be.k0e)
scaled_modified_bessel_k1 = _bessel_x("scaled_modified_bessel_k1", _be.k1e)
spherical_bessel_j0 = _bessel_x("spherical_bessel_j0", _be.spherical_j0)


@public(namespace="torch.special", out=True)
def ndtr(input: Tensor) -> Tensor:
    """The standard normal distribution function."""
    half: Tensor = _gm.erfc(tensor_of(input, "ndtr") * -math.sqrt(0.5)) * 0.5
    return half


@public(namespace="torch.special", out=True)
def entr(input: Tensor) -> Tensor:
    """-input * log(input); 0 at 0, -inf below."""
    x = tensor_of(input, "entr")
    if not x.is_floating_point():
        x = cast_inputs(x, get_default_dtype())
    return apply(_ef.Entr, (x,))


def both_floating(name: str, input: Any, other: Any) -> tuple[Tensor, Tensor]:
    """Tensors or numbers as tensors of their common floating dtype."""
    like = input if isinstance(input, Tensor) else other
    if not isinstance(like, Tensor):
        raise TypeError(f"{name}(): expected a tensor among its arguments, got {type(input).__name__}")
    to = common_dtype([input, other])
    if not to.is_floating_point:
        to = get_default_dtype()
    return beside(input, like, to), beside(other, like, to)


@public(namespace="torch.special", out=True)
def xlog1py(input: Any, other: Any) -> Tensor:
    """input * log1p(other); 0 where input is 0, NaN where other is NaN."""
    a, b = both_floating("xlog1py", input, other)
    return apply(_ops.Xlog1py, (a, b))


@public(namespace="torch.special", out=True)
def zeta(input: Any, other: Any) -> Tensor:
    """Hurwitz's zeta function: the sum of (other + k)^-input over k = 0, 1, …; differentiable in `other`."""
    a, b = both_floating("zeta", input, other)
    if a._array.dtype in HALVES:
        raise NotImplementedError(
            f"\"zeta_cpu\" not implemented for '{SCALAR_NAMES[a.dtype.name]}'; convert with .float() first"
        )
    return apply(_ga.Zeta, (a, b))
