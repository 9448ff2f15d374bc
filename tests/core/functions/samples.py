"""Arrays that cases are made of. They are float64, so that they can be differentiated; the driver casts them."""

from __future__ import annotations

import math

import numpy as np

_draw = np.random.default_rng(21)


def begin(family: str) -> None:
    """Draws anew for a family, so that its samples are the same whatever other families there are."""
    global _draw
    _draw = np.random.default_rng([21, *family.encode()])


def signed(*shape: int) -> np.ndarray:
    """Of magnitude 0.1 to 1.9, both signs, and never within 0.1 of an integer or a half."""
    whole = _draw.integers(0, 4, shape) * 0.5
    return np.asarray((whole + _draw.uniform(0.12, 0.38, shape)) * _draw.choice([-1.0, 1.0], shape))


def positive(*shape: int) -> np.ndarray:
    """From 0.3 to 2.5."""
    return np.asarray(_draw.uniform(0.3, 2.5, shape))


def unit(*shape: int) -> np.ndarray:
    """From 0.05 to 0.95."""
    return np.asarray(_draw.uniform(0.05, 0.95, shape))


def within_one(*shape: int) -> np.ndarray:
    """From -0.9 to 0.9."""
    return np.asarray(_draw.uniform(-0.9, 0.9, shape))


def distinct(*shape: int) -> np.ndarray:
    """No two elements nearer than 0.1."""
    return (_draw.permutation(math.prod(shape)) * 0.1 - 0.73).reshape(shape)


def whole(*shape: int) -> np.ndarray:
    """Integral values from -6 to 6."""
    return np.asarray(_draw.integers(-6, 7, shape).astype(np.float64))


def special() -> np.ndarray:
    """Zeros of both signs, infinities, NaN, ties of rounding, huge and tiny values."""
    return np.array(
        [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, 3.0, -4.0, 1e-8, -1e-8, 30.0, -30.0, 1e4, -1e4, np.inf, -np.inf, np.nan]
    )  # fmt: skip
