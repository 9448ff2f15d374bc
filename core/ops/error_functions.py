"""The error function and its kin: complements, inverses, the normal distribution function."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .blocks import backward_in_blocks, in_blocks
from .pointwise import floating
from .registry import register

_ROOT_PI = math.pi**0.5
_ROOT_2 = 2**0.5

_Rational = tuple[tuple[float, ...], tuple[float, ...]]
_SMALL: _Rational = (
    (3.20937758913846947e03, 3.77485237685302021e02, 1.13864154151050156e02, 3.16112374387056560e00, 1.85777706184603153e-1),
    (2.84423683343917062e03, 1.28261652607737228e03, 2.44024637934444173e02, 2.36012909523441209e01, 1.0),
)  # fmt: skip
_MIDDLE: _Rational = (
    (1.23033935479799725e03, 2.05107837782607147e03, 1.71204761263407058e03, 8.81952221241769090e02, 2.98635138197400131e02,
     6.61191906371416295e01, 8.88314979438837594e00, 5.64188496988670089e-1, 2.15311535474403846e-8),
    (1.23033935480374942e03, 3.43936767414372164e03, 4.36261909014324716e03, 3.29079923573345963e03, 1.62138957456669019e03,
     5.37181101862009858e02, 1.17693950891312499e02, 1.57449261107098347e01, 1.0),
)  # fmt: skip
_LARGE: _Rational = (
    (6.58749161529837803e-4, 1.60837851487422766e-2, 1.25781726111229246e-1, 3.60344899949804439e-1, 3.05326634961232344e-1,
     1.63153871373020978e-2),
    (2.33520497626869185e-3, 6.05183413124413191e-2, 5.27905102951428412e-1, 1.87295284992346047e00, 2.56852019228982242e00, 1.0),
)  # fmt: skip
# M. J. Wichura, Algorithm AS 241, Applied Statistics 37 (1988): the centre and the two tails.
_CENTRE: _Rational = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4, 4.5921953931549871457e4,
     6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3, 2.1213794301586595867e4,
     3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_TAIL: _Rational = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
     1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_FAR: _Rational = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2, 7.86869131145613259100e-4,
     1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip


def _ratio(x: Any, p: tuple[float, ...], q: tuple[float, ...]) -> Any:
    """p(x) / q(x), coefficients from the constant up."""
    top = bottom = 0.0
    for c in reversed(p):
        top = top * x + c
    for c in reversed(q):
        bottom = bottom * x + c
    return top / bottom


def _gauss(xp: Any, y: Any) -> Any:
    """exp(-y^2) for y >= 0, of which the square is split so that its rounding is not magnified (Cody)."""
    whole = xp.floor(y * 16) / 16
    return xp.exp(-whole * whole) * xp.exp(-(y - whole) * (y + whole))


def _scaled_tail(xp: Any, y: Any) -> Any:
    """exp(y^2) erfc(y) for y > 0.46875."""
    middle = _ratio(xp.minimum(y, 4.0), *_MIDDLE)
    safe = xp.maximum(y, 1.0)
    w = 1 / safe / safe
    return xp.where(y <= 4.0, middle, (1 / _ROOT_PI - w * _ratio(w, *_LARGE)) / safe)


def erf(xp: Any, x: Any) -> Any:
    """W. J. Cody, Rational Chebyshev approximation for the error function, Math. Comp. 23 (1969); of float64."""
    y = abs(x)
    near = xp.minimum(y, 0.46875)
    small = x * _ratio(near * near, *_SMALL)
    bounded = xp.minimum(y, 30.0)
    return xp.where(y <= 0.46875, small, xp.sign(x) * (1 - _gauss(xp, bounded) * _scaled_tail(xp, bounded)))


# erf(x) / x by powers of x^2 up to 3.93^2, fitted by least squares for the smallest relative error, which is 1.9e-9.
_SINGLE: _Rational = (
    (1.128379169171881, 0.18514898494044993, 0.054254834550667604, 0.003840337812718699, 0.0003771653412580735, 4.619965646774756e-06,
     -1.2857583376185961e-08),
    (1.0, 0.49741742281473894, 0.11388741765011101, 0.015434919424988468, 0.001302415812821615, 6.250000097835858e-05),
)  # fmt: skip


def _erf_to_single(xp: Any, a: Any) -> Any:
    """erf of float32, to the last bit or the one before; a fourth of the steps that float64 takes."""
    x = xp.minimum(xp.maximum(a.astype(np.float64), -3.93), 3.93)
    square, out = x * x, x
    for coefficients, last in ((_SINGLE[0], False), (_SINGLE[1], True)):
        power = square * coefficients[-1]
        for c in coefficients[-2:0:-1]:
            power += c
            power *= square
        power += coefficients[0]
        out = out / power if last else out * power
    return out.astype(a.dtype)


def erfc(xp: Any, x: Any) -> Any:
    y = abs(x)
    bounded = xp.minimum(y, 30.0)
    tail = _gauss(xp, bounded) * _scaled_tail(xp, bounded)
    return xp.where(y <= 0.46875, 1 - erf(xp, x), xp.where(x < 0, 2 - tail, tail))


def erfcx(xp: Any, x: Any) -> Any:
    y = abs(x)
    near = xp.minimum(y, 0.46875)
    small = xp.exp(near * near) * (1 - erf(xp, xp.where(y <= 0.46875, x, 0.0)))
    tail = _scaled_tail(xp, y)
    lower = xp.minimum(y, 30.0)
    grown = 2 / _gauss(xp, lower) - tail
    return xp.where(y <= 0.46875, small, xp.where(x < 0, grown, tail))


def _quantile(xp: Any, q: Any, tail: Any) -> Any:
    """The standard normal quantile of 0.5 + q, where `tail` is the smaller of that and its complement."""
    centre = xp.minimum(abs(q), 0.425)
    middle = q * _ratio(0.180625 - centre * centre, *_CENTRE)
    r = xp.sqrt(-xp.log(tail))
    near, far = xp.minimum(r, 5.0) - 1.6, xp.maximum(xp.minimum(r, 40.0), 5.0) - 5.0
    outer = xp.sign(q) * xp.where(r <= 5.0, _ratio(near, *_TAIL), _ratio(far, *_FAR))
    edge = xp.where(tail == 0, xp.sign(q) * float("inf"), outer)
    return xp.where(tail < 0, float("nan"), xp.where(abs(q) <= 0.425, middle, edge))


def ndtri(xp: Any, p: Any) -> Any:
    return _quantile(xp, p - 0.5, xp.minimum(p, 1 - p))


def erfinv(xp: Any, x: Any) -> Any:
    return _quantile(xp, x / 2, (1 - abs(x)) / 2) / _ROOT_2


def log_ndtr(xp: Any, x: Any) -> Any:
    """The left tail by erfcx, which does not underflow; the right by log1p."""
    t = x / _ROOT_2
    left = xp.log(erfcx(xp, xp.maximum(-t, 0.5)) / 2) - t * t
    return xp.where(x < -1.0, left, xp.log1p(-erfc(xp, t) / 2))


def in_float64(function: Any) -> Any:
    """The forward of a function of float64 arrays: what is narrower is computed wide and rounded once."""

    def forward(a: Any) -> Any:
        a = floating(a)
        return function(module_of(a), a.astype(np.float64)).astype(a.dtype)

    return staticmethod(forward)


@register("erf")
class Erf(Op):
    """The error function."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    @in_blocks
    def forward(a: Any) -> Any:
        a = floating(a)
        return erf(module_of(a), a) if a.dtype == np.float64 else _erf_to_single(module_of(a), a)

    @backward_in_blocks
    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * (m.exp(-(a * a)) * (2 / _ROOT_PI)),)


@register("erfc")
class Erfc(Op):
    """1 - erf(a), exact in the right tail."""

    __slots__ = ()
    save = (0,)
    forward = in_float64(erfc)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * (m.exp(-(a * a)) * (-2 / _ROOT_PI)),)


@register("erfcx")
class Erfcx(Op):
    """exp(a^2) erfc(a)."""

    __slots__ = ()
    save = (0, "out")
    forward = in_float64(erfcx)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        return (g * (a * out * 2 - 2 / _ROOT_PI),)


@register("erfinv")
class Erfinv(Op):
    """The inverse of erf: infinite at 1 and -1, NaN beyond."""

    __slots__ = ()
    save = ("out",)
    forward = in_float64(erfinv)

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        return (g * (m.exp(out * out) * (_ROOT_PI / 2)),)


@register("ndtri")
class Ndtri(Op):
    """The quantile of the standard normal distribution."""

    __slots__ = ()
    save = ("out",)
    forward = in_float64(ndtri)

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        return (g * (m.exp(out * out / 2) * math.sqrt(2 * math.pi)),)


@register("log_ndtr")
class LogNdtr(Op):
    """The logarithm of the standard normal distribution function."""

    __slots__ = ()
    save = (0,)
    forward = in_float64(log_ndtr)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        t = a * (1 / _ROOT_2)
        right = t > 0  # where erfcx(-t) overflows
        zero = m.zeros_like(t)
        left_part = 1 / m.erfcx(m.where(right, zero, -t))
        right_part = m.exp(-t * t) / m.erfc(m.where(right, -t, zero))
        return (g * m.where(right, right_part, left_part) * math.sqrt(2 / math.pi),)


@register("entr")
class Entr(Op):
    """entr(a): -a log(a); 0 at 0, -inf below."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        xp = module_of(a)
        kind = a.dtype.type
        inside = -a * xp.log(xp.where(a > 0, a, kind(1)))
        return xp.where(a > 0, inside, xp.where(a == 0, kind(0), xp.where(a != a, a, kind(-math.inf))))

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * (-m.log(a) - 1),)
