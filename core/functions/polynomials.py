"""torch.special: orthogonal polynomials, by their recurrences in float64. As in PyTorch they have no derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import HALVES
from ..grad_mode import state as grad_state
from ..tensor import Tensor
from .catalogue import public
from .matrix import SCALAR_NAMES
from .special import both_floating

__all__ = [
    "chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v", "chebyshev_polynomial_w", "hermite_polynomial_h",
    "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p", "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v", "shifted_chebyshev_polynomial_w",
]  # fmt: skip
Step = Callable[[Any, int, Any, Any], Any]
_NAN = float("nan")


def _by_recurrence(xp: Any, x: Any, n: Any, first: Any, step: Step, known: Any = False) -> Any:
    """The polynomial of degree n: 1, `first`, then step(x, k, p_k, p_k-1); 0 below degree 0. Stops where all is known."""
    one = xp.ones(x.shape, x.dtype)
    value = xp.where(n == 0, one, xp.where(n == 1, first, 0.0))
    before, last, k = one, first, 1
    while bool(((n > k) & ~known & xp.isfinite(last)).any()):
        before, last = last, step(x, k, last, before)
        k += 1
        value = xp.where(n == k, last, value)
    overflown = (n > k) & ~known
    return xp.where(overflown, last, value)


def _twice(x: Any, k: int, p: Any, q: Any) -> Any:
    return 2 * x * p - q


def _chebyshev(xp: Any, x: Any, n: Any, first: Any, inner: Callable[[Any, Any], Any], edges: Any) -> Any:
    """Inside (-1, 1) by angles from degree 7 on; at the edges by their closed forms (at 1, at -1 but for the sign)."""
    inside = (abs(x) < 1) & (n > 6)
    edge = abs(x) == 1
    value = _by_recurrence(xp, x, n, first, _twice, inside | edge)
    angle = xp.arccos(xp.where(inside, x, 0.0))
    value = xp.where(inside, inner(angle, n), value)
    sign = xp.where(n % 2 == 0, 1.0, -1.0)
    at = xp.where(x > 0, edges[0], edges[1] * sign)
    return xp.where(edge & (n >= 0), at, value)


def _t(xp: Any, x: Any, n: Any) -> Any:
    return _chebyshev(xp, x, n, x, lambda a, n: xp.cos(n * a), (1.0, 1.0))


def _u(xp: Any, x: Any, n: Any) -> Any:
    return _chebyshev(xp, x, n, 2 * x, lambda a, n: xp.sin((n + 1) * a) / xp.sin(a), (n + 1, n + 1))


def _v(xp: Any, x: Any, n: Any) -> Any:
    inner = lambda a, n: xp.cos((n + 0.5) * a) / xp.cos(a / 2)  # noqa: E731
    return _chebyshev(xp, x, n, 2 * x - 1, inner, (1.0, 2 * n + 1))


def _w(xp: Any, x: Any, n: Any) -> Any:
    inner = lambda a, n: xp.sin((n + 0.5) * a) / xp.sin(a / 2)  # noqa: E731
    return _chebyshev(xp, x, n, 2 * x + 1, inner, (2 * n + 1, 1.0))


def _h(xp: Any, x: Any, n: Any) -> Any:
    return _by_recurrence(xp, x, n, 2 * x, lambda x, k, p, q: 2 * x * p - 2 * k * q)


def _he(xp: Any, x: Any, n: Any) -> Any:
    return _by_recurrence(xp, x, n, x, lambda x, k, p, q: x * p - k * q)


def _laguerre(xp: Any, x: Any, n: Any) -> Any:
    return _by_recurrence(xp, x, n, 1 - x, lambda x, k, p, q: ((2 * k + 1 - x) * p - k * q) / (k + 1))


def _legendre(xp: Any, x: Any, n: Any) -> Any:
    return _by_recurrence(xp, x, n, x, lambda x, k, p, q: ((2 * k + 1) * x * p - k * q) / (k + 1))


def _shifted(function: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    return lambda xp, x, n: function(xp, 2 * x - 1, n)


def _entered(name: str, words: str, function: Callable[[Any, Any, Any], Any]) -> Any:
    def run(x: Any, n: Any) -> Tensor:
        a, degree = both_floating(name, x, n)
        own, d = a._array, degree._array
        if own.dtype in HALVES:
            raise NotImplementedError(
                f"\"{name}_cpu\" not implemented for '{SCALAR_NAMES[a.dtype.name]}'; convert with .float() first"
            )
        xp = module_of(own)

        def compute() -> Any:
            shape = (own + d).shape
            wide, whole = (xp.broadcast_to(z, shape).astype(np.float64) for z in (own, d))
            known = xp.isfinite(wide) & xp.isfinite(whole)
            value = function(xp, xp.where(known, wide, 0.0), xp.trunc(xp.where(known, whole, 0.0)))
            return xp.where(known, value, _NAN).astype(own.dtype)

        return Tensor._wrap(grad_state.quiet(compute))

    run.__doc__ = f"{words} of degree n (cut to a whole number; 0 below degree 0)."
    return public(name, namespace="torch.special", out=True)(run)


chebyshev_polynomial_t = _entered("chebyshev_polynomial_t", "Chebyshev's polynomial of the first kind", _t)
chebyshev_polynomial_u = _entered("chebyshev_polynomial_u", "Chebyshev's polynomial of the second kind", _u)
chebyshev_polynomial_v = _entered("chebyshev_polynomial_v", "Chebyshev's polynomial of the third kind", _v)
chebyshev_polynomial_w = _entered("chebyshev_polynomial_w", "Chebyshev's polynomial of the fourth kind", _w)
shifted_chebyshev_polynomial_t = _entered(
    "shifted_chebyshev_polynomial_t", "chebyshev_polynomial_t at 2 x - 1,", _shifted(_t)
)
shifted_chebyshev_polynomial_u = _entered(
    "shifted_chebyshev_polynomial_u", "chebyshev_polynomial_u at 2 x - 1,", _shifted(_u)
)
shifted_chebyshev_polynomial_v = _entered(
    "shifted_chebyshev_polynomial_v", "chebyshev_polynomial_v at 2 x - 1,", _shifted(_v)
)
shifted_chebyshev_polynomial_w = _entered(
    "shifted_chebyshev_polynomial_w", "chebyshev_polynomial_w at 2 x - 1,", _shifted(_w)
)
hermite_polynomial_h = _entered("hermite_polynomial_h", "The physicists' Hermite polynomial", _h)
hermite_polynomial_he = _entered("hermite_polynomial_he", "The probabilists' Hermite polynomial", _he)
laguerre_polynomial_l = _entered("laguerre_polynomial_l", "Laguerre's polynomial", _laguerre)
legendre_polynomial_p = _entered("legendre_polynomial_p", "Legendre's polynomial", _legendre)
