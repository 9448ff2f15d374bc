"""Window functions, computed in float64 and rounded once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import FLOATS
from .factory import factory, numpy_dtype

__all__ = ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"]


def _window(
    name: str, xp: Any, dtype: Any, length: Any, periodic: bool, shape: Callable[[Any, int], Any]
) -> Any:
    """shape(places, last): the values at the places 0 … last of a symmetric window."""
    if isinstance(length, bool) or not hasattr(length, "__index__"):
        raise TypeError(
            f"{name}(): argument 'window_length' (position 1) must be int, not {type(length).__name__}"
        )
    d = numpy_dtype(xp, dtype)
    if d not in FLOATS:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {d.name}")
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    if length < 2:
        return xp.ones(length, d)
    last = length if periodic else length - 1
    return xp.asarray(np.asarray(shape(np.arange(length, dtype=np.float64), last)).astype(d))


def _cosines(*weights: float) -> Callable[[Any, int], Any]:
    """A sum of cosines of whole numbers of turns, of alternating sign."""

    def shape(places: Any, last: int) -> Any:
        turns = 2 * math.pi * places / last
        return sum((-1) ** k * w * np.cos(k * turns) for k, w in enumerate(weights))

    return shape


@factory
def bartlett_window(xp: Any, dtype: Any, window_length: int, periodic: bool = True) -> Any:
    """A triangle from 0 to 1 and back."""
    return _window(
        "bartlett_window", xp, dtype, window_length, periodic, lambda n, last: 1 - np.abs(2 * n / last - 1)
    )


@factory
def hann_window(xp: Any, dtype: Any, window_length: int, periodic: bool = True) -> Any:
    """A raised cosine from 0 to 1 and back."""
    return _window("hann_window", xp, dtype, window_length, periodic, _cosines(0.5, 0.5))


@factory
def hamming_window(
    xp: Any, dtype: Any, window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46
) -> Any:
    """alpha - beta * cos of one turn."""
    return _window("hamming_window", xp, dtype, window_length, periodic, _cosines(alpha, beta))


@factory
def blackman_window(xp: Any, dtype: Any, window_length: int, periodic: bool = True) -> Any:
    """Blackman's sum of three cosines."""
    return _window("blackman_window", xp, dtype, window_length, periodic, _cosines(0.42, 0.5, 0.08))


@factory
def kaiser_window(xp: Any, dtype: Any, window_length: int, periodic: bool = True, beta: float = 12.0) -> Any:
    """Kaiser's window of the shape parameter `beta`."""

    def shape(places: Any, last: int) -> Any:
        return np.i0(beta * np.sqrt(np.clip(1 - (2 * places / last - 1) ** 2, 0, None))) / np.i0(beta)

    return _window("kaiser_window", xp, dtype, window_length, periodic, shape)
