"""Bessel functions, ordinary and modified.

The ordinary ones up to 25 are mean values of their integral representations over equidistant angles, which converge
faster than any power (Trefethen and Weideman, SIAM Review 56, 2014), and Hankel's expansions beyond. The modified ones of
the first kind are power series up to 20, the second kind integrals over a Gaussian weight; each to about 1e-15.
"""

from __future__ import annotations

import math
from typing import Any

from ..node import Op
from .error_functions import in_float64
from .registry import register

_INF, _NAN = float("inf"), float("nan")
_EULER = 0.57721566490153286061
_FAR = 25.0
_POINTS = 32  # of a quarter of the circle
_ANGLES = [math.pi / 2 * k / _POINTS for k in range(_POINTS + 1)]


def _even_weights() -> list[float]:
    """Weights of Neumann's series of Y0: 4 / pi times the sum of (-1)^k cos(2 k angle) / k, over the points' share."""
    return [sum((-1) ** k * math.cos(2 * k * a) / k for k in range(1, 31)) * 4 / math.pi for a in _ANGLES]


def _odd_weights() -> list[float]:
    """The same for its derivative, by J_2k' = (J_2k-1 - J_2k+1) / 2."""
    shares = [-0.5] + [0.5 * (-1) ** (j + 1) * (1 / (j + 1) + 1 / j) for j in range(1, 31)]
    return [sum(c * math.sin((2 * j + 1) * a) for j, c in enumerate(shares)) * 4 / math.pi for a in _ANGLES]


def _shares() -> list[float]:
    """The share of each angle of the quarter in the mean over the circle."""
    return [(0.5 if k in (0, _POINTS) else 1.0) / _POINTS for k in range(_POINTS + 1)]


_SHARES, _EVEN, _ODD = _shares(), _even_weights(), _odd_weights()


def _mean(function: Any, x: Any, weights: list[float]) -> Any:
    total = 0.0
    for angle, share, weight in zip(_ANGLES, _SHARES, weights, strict=True):
        total = total + function(x * math.sin(angle)) * (share * weight)
    return total


_ONES = [1.0] * (_POINTS + 1)
_SINES = [math.sin(a) for a in _ANGLES]


def _hankel(x: Any, order: int) -> tuple[Any, Any]:
    """P and Q of Hankel's expansions for x >= 25."""
    mu = 4.0 * order * order
    p, q, coefficient = 0.0, 0.0, 1.0
    coefficients = [1.0]
    for k in range(1, 22):
        coefficient *= (mu - (2 * k - 1) ** 2) / (8.0 * k)
        coefficients.append(coefficient)
    w = 1 / x
    for k in reversed(range(11)):
        sign = -1.0 if k % 2 else 1.0
        p = p * (w * w) + sign * coefficients[2 * k]
        q = q * (w * w) + sign * coefficients[2 * k + 1]
    return p, q * w


def _first_kind(xp: Any, x: Any, order: int) -> Any:
    y = abs(x)
    near = xp.minimum(y, _FAR)
    low = _mean(xp.sin, near, _SINES) if order else _mean(xp.cos, near, _ONES)
    far = xp.maximum(y, _FAR)
    p, q = _hankel(far, order)
    c, s = xp.cos(far), xp.sin(far)
    # the cosine and sine of far - pi/4 or far - 3 pi/4, times the root of two
    cosine, sine = (s - c, -s - c) if order else (c + s, s - c)
    high = (cosine * p - sine * q) / xp.sqrt(math.pi * far)
    value = xp.where(y <= _FAR, low, xp.where(y == _INF, 0.0, high))
    return xp.where(x < 0, -value, value) if order else value


def _second_kind(xp: Any, x: Any, order: int) -> Any:
    near = xp.minimum(xp.where(x > 0, x, 1.0), _FAR)
    logarithm = xp.log(near / 2) + _EULER
    if order:
        first = logarithm * _first_kind(xp, near, 1) - _first_kind(xp, near, 0) / near
        low = first * (2 / math.pi) + _mean(xp.sin, near, _ODD)
    else:
        low = logarithm * _first_kind(xp, near, 0) * (2 / math.pi) - _mean(xp.cos, near, _EVEN)
    far = xp.maximum(x, _FAR)
    p, q = _hankel(far, order)
    c, s = xp.cos(far), xp.sin(far)
    cosine, sine = (s - c, -s - c) if order else (c + s, s - c)
    high = (sine * p + cosine * q) / xp.sqrt(math.pi * far)
    value = xp.where(x <= _FAR, low, xp.where(x == _INF, 0.0, high))
    return xp.where(x == 0, -_INF, xp.where(x >= 0, value, _NAN))


def j0(xp: Any, x: Any) -> Any:
    return _first_kind(xp, x, 0)


def j1(xp: Any, x: Any) -> Any:
    return _first_kind(xp, x, 1)


def y0(xp: Any, x: Any) -> Any:
    return _second_kind(xp, x, 0)


def y1(xp: Any, x: Any) -> Any:
    return _second_kind(xp, x, 1)


def spherical_j0(xp: Any, x: Any) -> Any:
    """sin(x) / x; its series near 0."""
    square = x * x
    series = 1 - square / 6 * (1 - square / 20 * (1 - square / 42 * (1 - square / 72)))
    value = xp.where(abs(x) < 0.1, series, xp.sin(x) / xp.where(x == 0, 1.0, x))
    return xp.where(abs(x) == _INF, 0.0, value)


def _modified_first(xp: Any, x: Any, order: int) -> Any:
    """exp(-|x|) I(x)."""
    y = abs(x)
    near = xp.minimum(y, 20.0)
    square = near * near / 4
    term = near / 2 if order else xp.ones(near.shape, near.dtype)
    total = term
    for k in range(1, 52):
        term = term * square / (k * (k + order))
        total = total + term
    low = total * xp.exp(-near)
    far = xp.maximum(y, 20.0)
    mu = 4.0 * order * order
    term = xp.ones(far.shape, far.dtype)
    series = term
    for k in range(1, 26):
        term = term * (((2 * k - 1) ** 2 - mu) / (8.0 * k)) / far
        series = series + term
    high = xp.where(y == _INF, 0.0, series / xp.sqrt(2 * math.pi * far))
    value = xp.where(y <= 20.0, low, high)
    return xp.where(x < 0, -value, value) if order else value


def i0e(xp: Any, x: Any) -> Any:
    return _modified_first(xp, x, 0)


def i1e(xp: Any, x: Any) -> Any:
    return _modified_first(xp, x, 1)


def _grown(xp: Any, scaled: Any, x: Any) -> Any:
    """scaled * exp(|x|), in two halves so that it overflows no sooner than the product."""
    half = xp.exp(abs(x) / 2)
    return xp.where(abs(x) == _INF, x, scaled * half * half)


def i0(xp: Any, x: Any) -> Any:
    return abs(_grown(xp, i0e(xp, x), x))


def i1(xp: Any, x: Any) -> Any:
    return _grown(xp, i1e(xp, x), x)


def _modified_second(xp: Any, x: Any, order: int) -> Any:
    """exp(x) K(x): the series with a logarithm up to 2, and the integral of exp(-s^2) by the trapezoidal rule."""
    near = xp.where(x > 0, xp.minimum(x, 2.0), 1.0)
    square = near * near / 4
    term = near / 2 if order else xp.ones(near.shape, near.dtype)
    bessel, sums, harmonic = term, 0.0 * term, 0.0
    if order:  # digamma(k + 1) + digamma(k + 2), without Euler's constant
        sums = term
    for k in range(1, 22):
        term = term * square / (k * (k + order))
        harmonic += 1.0 / k
        bessel = bessel + term
        sums = sums + term * (2 * harmonic + 1.0 / (k + 1) if order else harmonic)
    logarithm = xp.log(near / 2) + _EULER
    low = 1 / near + logarithm * bessel - sums / 2 if order else sums - logarithm * bessel
    far = xp.maximum(x, 2.0)
    total = 0.0
    step = 0.28
    for k in range(24):
        s2 = (k * step) ** 2
        weight = math.exp(-s2) * (0.5 if k == 0 else 1.0) * step
        part = weight / xp.sqrt(1 + s2 / (2 * far))
        total = total + (part * (1 + s2 / far) if order else part)
    high = total * 2 / xp.sqrt(2 * far)
    value = xp.where(x <= 2.0, low * xp.exp(near), xp.where(x == _INF, 0.0, high))
    return xp.where(x == 0, _INF, xp.where(x >= 0, value, _NAN))


def k0e(xp: Any, x: Any) -> Any:
    return _modified_second(xp, x, 0)


def k1e(xp: Any, x: Any) -> Any:
    return _modified_second(xp, x, 1)


def k0(xp: Any, x: Any) -> Any:
    return k0e(xp, x) * xp.exp(-x)


def k1(xp: Any, x: Any) -> Any:
    return k1e(xp, x) * xp.exp(-x)


@register("i0")
class I0(Op):
    """The modified Bessel function of the first kind, order 0."""

    __slots__ = ()
    save = (0,)
    forward = in_float64(i0)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * m.i1(a),)


@register("i0e")
class I0e(Op):
    """exp(-|a|) i0(a)."""

    __slots__ = ()
    save = (0, "out")
    forward = in_float64(i0e)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        return (g * (m.i1e(a) - m.sign(a) * out),)


def _slope(m: Any, zeroth: Any, a: Any, out: Any) -> Any:
    """zeroth - out / a, and its limit, a half, at 0."""
    zero = (a == 0) | (a != a)
    one = m.ones_like(a)
    return m.where(zero, one / 2, zeroth - out / m.where(zero, one, a))


@register("i1")
class I1(Op):
    """The modified Bessel function of the first kind, order 1."""

    __slots__ = ()
    save = (0, "out")
    forward = in_float64(i1)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        return (g * _slope(m, m.i0(a), a, out),)


@register("i1e")
class I1e(Op):
    """exp(-|a|) i1(a)."""

    __slots__ = ()
    save = (0, "out")
    forward = in_float64(i1e)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        return (g * (_slope(m, m.i0e(a), a, out) - m.sign(a) * out),)
