"""The gamma function's logarithm, its derivatives, Hurwitz's zeta function and the incomplete gamma functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .error_functions import in_float64
from .pointwise import floating
from .registry import register

# Chebyshev coefficients in t = x - 2 of lgamma(x) / ((x - 1) (x - 2)) on [1, 3], fitted with 40 digits; error 3e-18.
_LGAMMA = (
    0.44148902545501423, -0.11119580321752523, 0.01951044826068884, -0.003922461463025264, 0.0008478989895953857,
    -0.00019153855341365593, 4.454470184975607e-05, -1.05728743735943e-05, 2.5474336873408417e-06, -6.208535880776316e-07,
    1.5268677399071546e-07, -3.782637660291326e-08, 9.428100823624284e-09, -2.361999702184645e-09, 5.943541905817546e-10,
    -1.501312977072867e-10, 3.8050196458110534e-11, -9.672485299656325e-12, 2.465348198355661e-12, -6.298868140791711e-13,
    1.6128460030283787e-13, -4.137949206814042e-14, 1.0635701227757898e-14, -2.7382420786652826e-15, 7.060670507214892e-16,
    -1.8232177141662118e-16, 4.714169006756272e-17, -1.2204107319639856e-17, 3.1630451661790255e-18,
)  # fmt: skip
_BERNOULLI = tuple(
    p / q for p, q in ((1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510), (43867, 798), (-174611, 330))
)  # fmt: skip
_INF, _NAN = float("inf"), float("nan")


def _lgamma_2(t: Any, above_1: Any = None) -> Any:
    """lgamma(2 + t) for t from -1 to 1: Clenshaw's sum of the series, times t (t + 1). above_1: 1 + t, where it is exact."""
    later: Any = 0.0
    last: Any = 0.0
    for c in reversed(_LGAMMA[1:]):
        later, last = 2 * t * later - last + c, later
    return (t * later - last + _LGAMMA[0]) * t * (t + 1 if above_1 is None else above_1)


def _stirling(z: Any) -> Any:
    """What Stirling's formula lacks: lgamma(z) - ((z - 1/2) log z - z + log(2 pi) / 2), for z >= 10."""
    w = 1 / z
    total = 0.0
    for j in reversed(range(1, 9)):
        total = total * w * w + _BERNOULLI[j - 1] / (2 * j * (2 * j - 1))
    return total * w


def _lgamma_positive(xp: Any, x: Any) -> Any:
    """For x > 0: the series on [1, 3], whence the recurrence leads to (0, 10), and Stirling's formula beyond."""
    z = xp.maximum(xp.minimum(x, 10.0), 1.0)
    factor = xp.ones(z.shape, z.dtype)
    for _ in range(7):
        down = z > 3
        z = xp.where(down, z - 1, z)
        factor = xp.where(down, factor * z, factor)
    low = xp.log(factor) + _lgamma_2(z - 2)
    tiny = xp.where(x < 1, _lgamma_2(xp.minimum(x, 1.0) - 1) - xp.log(x), low)
    big = xp.maximum(x, 10.0)
    high = (big - 0.5) * xp.log(big) - big + 0.5 * math.log(2 * math.pi) + _stirling(big)
    return xp.where(x < 10, tiny, xp.where(x == _INF, _INF, high))


def lgamma(xp: Any, x: Any) -> Any:
    negative = x <= 0
    positive = _lgamma_positive(xp, xp.where(negative, 1 - x, x))
    part = abs(x - xp.rint(x))
    reflected = math.log(math.pi) - xp.log(xp.sin(math.pi * part)) - positive
    whole = negative & (x == xp.floor(x))
    return xp.where(whole, _INF, xp.where(negative, reflected, positive))


def digamma(xp: Any, x: Any) -> Any:
    """By the recurrence up to 10 and the asymptotic series; reflected below 0."""
    negative = x < 0
    z = xp.where(negative, 1 - x, x)
    shift = xp.zeros(z.shape, z.dtype)
    for _ in range(10):
        low = z < 10
        shift = xp.where(low, shift + 1 / z, shift)
        z = xp.where(low, z + 1, z)
    w = 1 / z / z
    series = 0.0
    for j in reversed(range(1, 9)):
        series = series * w + _BERNOULLI[j - 1] / (2 * j)
    value = xp.log(z) - 0.5 / z - series * w - shift
    part = x - xp.rint(x)
    reflected = value - math.pi / xp.tan(math.pi * part)
    value = xp.where(negative, xp.where((part == 0) | (x == -_INF), _NAN, reflected), value)
    return xp.where(x == 0, xp.where(xp.signbit(x), _INF, -_INF), value)


def _zeta_positive(xp: Any, s: Any, q: Any) -> Any:
    """The sum of (q + k)^-s for s > 1, q > 0: 16 terms, then Euler and Maclaurin's formula."""
    total = 0.0
    for k in range(16):
        total = total + (q + k) ** -s
    n = q + 16
    power = n**-s
    total = total + power * n / (s - 1) + power / 2
    factor = s * power / n
    for j, b in enumerate(_BERNOULLI, 1):
        total = total + factor * (b / math.factorial(2 * j))
        factor = factor * (s + (2 * j - 1)) * (s + 2 * j) / n / n
    return xp.where(q == _INF, 0.0, total)


def zeta(xp: Any, s: Any, q: Any) -> Any:
    """Below 0 the sum over all whole steps from the fractional part on, both ways: no loop as long as q is far."""
    inside = xp.where(s > 1, s, 2.0)
    negative = q < 0
    floor = xp.floor(q)
    part = xp.where(negative, q - floor, 0.5)
    value = _zeta_positive(xp, inside, xp.where(negative, part, xp.where(q > 0, q, 1.0)))
    if bool(negative.any()):
        rest = xp.where(negative & (q != floor), xp.ceil(q) - q, 0.5)  # exact, where 1 - part is not
        back = _zeta_positive(xp, inside, rest) - _zeta_positive(xp, inside, xp.where(negative, 1 - q, 1.0))
        value = xp.where(negative, value + xp.where(inside % 2 == 0, back, -back), value)
    below = xp.where(q == floor, _INF, xp.where(s == xp.floor(s), value, _NAN))
    value = xp.where(q <= 0, below, value)
    value = xp.where(s == 1, _INF, xp.where(s < 1, _NAN, value))
    return xp.where((s != s) | (q != q), _NAN, value)


def polygamma(xp: Any, x: Any, n: int) -> Any:
    if n == 0:
        return digamma(xp, x)
    factorial = float(math.factorial(n)) if n <= 170 else _INF
    return (factorial if n % 2 else -factorial) * zeta(xp, xp.full(x.shape, n + 1.0, x.dtype), x)


def _prefactor(xp: Any, a: Any, x: Any) -> Any:
    """x^a exp(-x) / gamma(a + 1), by Stirling's formula around the maximum where a >= 10."""
    small = xp.exp(a * xp.log(x) - x - _lgamma_positive(xp, a + 1))
    big = xp.maximum(a, 10.0)
    off = (x - big) / big
    near = xp.exp(big * (xp.log1p(off) - off) - _stirling(big)) / xp.sqrt(2 * math.pi * big)
    return xp.where((a < 10) | (abs(off) > 0.7), small, near)


def _lower_series(xp: Any, a: Any, x: Any) -> Any:
    """The sum of x^k / ((a + 1) … (a + k)), for x < a + 1."""
    term = xp.ones(x.shape, x.dtype)
    total, k = term, a
    for _ in range(2000):
        for _ in range(16):
            k = k + 1
            term = term * x / k
            total = total + term
        if not bool((term > total * 1e-17).any()):
            break
    return total


def _upper_fraction(xp: Any, a: Any, x: Any) -> Any:
    """gamma(a, x) / (x^a exp(-x)) for x >= a + 1: Legendre's continued fraction, by Lentz's method."""
    tiny = 1e-300
    b = x + 1 - a
    c = xp.full(x.shape, 1 / tiny, x.dtype)
    d = 1 / b
    h = d
    for i in range(1, 4000):
        weight = -i * (i - a)
        b = b + 2
        d = weight * d + b
        d = 1 / xp.where(abs(d) < tiny, tiny, d)
        c = b + weight / c
        c = xp.where(abs(c) < tiny, tiny, c)
        h = h * d * c
        if i % 16 == 0 and not bool((abs(d * c - 1) > 1e-15).any()):
            break
    return h


def _upper_small(xp: Any, a: Any, x: Any) -> Any:
    """gammaincc for a < 1 and x <= 1.1, where 1 - gammainc would lose digits."""
    power = a * xp.log(x)
    above = -xp.expm1(power - _lgamma_2(a - 1, a))
    term = xp.ones(x.shape, x.dtype)
    total = xp.zeros(x.shape, x.dtype)
    for n in range(1, 24):
        term = term * -x / n
        total = total + term / (a + n)
    return above - xp.exp(power - _lgamma_2(a - 1, a)) * a * total


def _incomplete(xp: Any, a: Any, x: Any, upper: bool) -> Any:
    usual = (a > 0) & (x > 0) & (a < _INF) & (x < _INF)
    series, fraction = usual & (x < a + 1), usual & (x >= a + 1)
    small = usual & (a < 1) & (x <= 1.1)
    one = xp.ones(x.shape, x.dtype)
    u, v = xp.where(series, a, one), xp.where(series, x, one)
    lower = _prefactor(xp, u, v) * _lower_series(xp, u, v)
    u, v = xp.where(fraction, a, one), xp.where(fraction, x, 2 * one)
    higher = _prefactor(xp, u, v) * u * _upper_fraction(xp, u, v)
    if upper:
        u, v = xp.where(small, a, 0.5), xp.where(small, x, one)
        value = xp.where(small, _upper_small(xp, u, v), xp.where(series, 1 - lower, higher))
    else:
        value = xp.where(series, lower, 1 - higher)
    at_zero, at_infinity = (1.0, 0.0) if upper else (0.0, 1.0)
    value = xp.where(x == 0, at_zero, value)
    value = xp.where(x == _INF, at_infinity, value)
    value = xp.where(a == _INF, xp.where(x == _INF, _NAN, at_zero), value)
    value = xp.where(a == 0, xp.where(x > 0, at_infinity, _NAN), value)
    return xp.where((a >= 0) & (x >= 0), value, _NAN)


def _two_in_float64(function: Any) -> Any:
    """The forward of a function of two arrays that broadcast."""

    def forward(a: Any, b: Any) -> Any:
        xp = module_of(a)
        a, b = floating(a), floating(b)
        like = a + b
        x, y = (xp.broadcast_to(z, like.shape).astype(np.float64) for z in (a, b))
        return function(xp, x, y).astype(like.dtype)

    return staticmethod(forward)


@register("lgamma")
class Lgamma(Op):
    """log|gamma(a)|."""

    __slots__ = ()
    save = (0,)
    forward = in_float64(lgamma)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * m.digamma(a),)


@register("digamma")
class Digamma(Op):
    """The derivative of lgamma."""

    __slots__ = ()
    save = (0,)
    forward = in_float64(digamma)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * m.polygamma(a, 1),)


@register("polygamma")
class Polygamma(Op):
    """polygamma(a, n): the n-th derivative of digamma."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any, n: int) -> Any:
        a = floating(a)
        return polygamma(module_of(a), a.astype(np.float64), n).astype(a.dtype)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * m.polygamma(a, self.attrs[0] + 1),)


@register("zeta", inputs=2)
class Zeta(Op):
    """zeta(s, q): the sum of (q + k)^-s over k = 0, 1, …; differentiable in q."""

    __slots__ = ()
    save = (0, 1)
    forward = _two_in_float64(zeta)

    def backward(self, m: Any, g: Any, s: Any, q: Any) -> Any:
        es, _ = self.edges
        if es is not None:
            raise RuntimeError(
                "derivative for special_zeta with respect to its first argument is not implemented; detach it"
            )
        return None, g * -s * m.zeta(s + 1, q)


class _Incomplete(Op):
    __slots__ = ()
    save = (0, 1)
    sign = 1.0

    def backward(self, m: Any, g: Any, a: Any, x: Any) -> Any:
        ea, _ = self.edges
        if ea is not None:
            raise RuntimeError(
                f"the derivative for '{self.registered}' with respect to its first argument is not implemented; detach it"
            )
        return None, g * self.sign * m.exp((a - 1) * m.log(x) - x - m.lgamma(a))


@register("igamma", inputs=2)
class Igamma(_Incomplete):
    """igamma(a, x): the regularised lower incomplete gamma function; differentiable in x."""

    __slots__ = ()
    forward = _two_in_float64(lambda xp, a, x: _incomplete(xp, a, x, upper=False))


@register("igammac", inputs=2)
class Igammac(_Incomplete):
    """igammac(a, x): 1 - igamma(a, x), exact where that is small."""

    __slots__ = ()
    sign = -1.0
    forward = _two_in_float64(lambda xp, a, x: _incomplete(xp, a, x, upper=True))
