"""Airy's function Ai: its power series near 0, and Bessel functions of the second kind and order 1/3 beyond.

These are integrals over a Gaussian weight, by the trapezoidal rule; on the negative axis their argument is imaginary.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["airy_ai"]

_AT_0 = 0.355028053887817239260
_SLOPE_AT_0 = 0.258819403792806798405
_LOW, _HIGH = -4.0, 2.0
_STEP, _POINTS = 0.22, 29


def _series(x: Any) -> Any:
    cube = x * x * x
    even, odd = x * 0 + 1, x
    total = even * _AT_0 - odd * _SLOPE_AT_0
    for k in range(0, 90, 3):
        even = even * cube / ((k + 2) * (k + 3))
        odd = odd * cube / ((k + 3) * (k + 4))
        total = total + (even * _AT_0 - odd * _SLOPE_AT_0)
    return total


def _scaled_third(xp: Any, w: Any) -> Any:
    """exp(w) K(w) of order 1/3."""
    root = xp.sqrt(2 * w)
    total = 0.0
    for k in range(_POINTS):
        s = k * _STEP
        weight = math.exp(-s * s) * _STEP * (0.5 if k == 0 else 1.0)
        part = xp.cosh(xp.arcsinh(s / root) * (2 / 3)) / xp.sqrt(1 + s * s / (2 * w))
        total = total + part * weight
    return total * 2 / root


def airy_ai(xp: Any, x: Any) -> Any:
    near = _series(xp.minimum(xp.maximum(x, _LOW), _HIGH))
    z = xp.maximum(x, _HIGH)
    zeta = z * xp.sqrt(z) * (2 / 3)
    right = xp.sqrt(z / 3) * xp.exp(-zeta) * _scaled_third(xp, zeta) / math.pi
    z = xp.maximum(-x, -_LOW)
    zeta = z * xp.sqrt(z) * (2 / 3)
    turned = _scaled_third(xp, zeta.astype(np.complex128) * 1j)
    left = xp.sqrt(z / 3) * (xp.sin(zeta) * turned.real - xp.cos(zeta) * turned.imag) * (2 / math.pi)
    value = xp.where(x < _LOW, left, xp.where(x > _HIGH, right, near))
    return xp.where(abs(x) == float("inf"), 0.0, value)
