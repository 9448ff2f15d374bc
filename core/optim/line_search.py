"""A line search for the strong Wolfe conditions. Nocedal and Wright, Numerical optimization, algorithms 3.5 and 3.6."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["strong_wolfe"]


class _Point(NamedTuple):
    """A step length, the loss there, its gradient, and the slope along the direction."""

    t: float
    f: float
    g: Any
    slope: float


def strong_wolfe(
    at: Callable[[float], tuple[float, Any, float]], t: float, largest: float, f: float, g: Any, slope: float, *,
    decrease: float = 1e-4, curvature: float = 0.9, tolerance_change: float = 1e-9, max_steps: int = 25,
) -> tuple[float, Any, float, int]:  # fmt: skip
    """(loss, gradient, step length, evaluations) of a point with enough decrease and a flat enough slope, or the best found.

    at: (loss, gradient, slope) at a step length. t: the first one to try. largest: the direction's largest component.
    """
    start = before = _Point(0.0, f, g, slope)
    now = _Point(t, *at(t))
    evaluations, steps = 1, 0

    def falls_too_little(p: _Point) -> bool:
        return p.f > f + decrease * p.t * slope

    def flat_enough(p: _Point) -> bool:
        return abs(p.slope) <= -curvature * slope

    # Walk on until an interval is known to hold a point that will do.
    while True:
        if steps == max_steps:
            low, high = _ordered(start, now)
            break
        if falls_too_little(now) or (steps > 1 and now.f >= before.f):
            low, high = _ordered(before, now)
            break
        if flat_enough(now):
            return now.f, now.g, now.t, evaluations
        if now.slope >= 0:
            low, high = _ordered(before, now)
            break
        t = _cubic(before, now, now.t + 0.01 * (now.t - before.t), now.t * 10)
        before, now = now, _Point(t, *at(t))
        evaluations += 1
        steps += 1

    # Narrow the interval. `low` is the end with the lower loss.
    slow = False
    while steps < max_steps:
        if abs(high.t - low.t) * largest < tolerance_change:
            break
        left, right = min(low.t, high.t), max(low.t, high.t)
        t = _cubic(low, high, left, right)
        # A trial point too near an end, twice in a row or outside, is moved a tenth of the interval off it.
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            if slow or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                slow = False
            else:
                slow = True
        else:
            slow = False
        now = _Point(t, *at(t))
        evaluations += 1
        steps += 1
        if falls_too_little(now) or now.f >= low.f:
            low, high = _ordered(low, now)
            continue
        done = flat_enough(now)
        if not done and now.slope * (high.t - low.t) >= 0:
            high = low
        low = now
        if done:
            break
    return low.f, low.g, low.t, evaluations


def _ordered(a: _Point, b: _Point) -> tuple[_Point, _Point]:
    return (a, b) if a.f <= b.f else (b, a)


def _cubic(a: _Point, b: _Point, least: float, most: float) -> float:
    """Where the cubic through both points with their slopes has its minimum, within the bounds; their middle if nowhere."""
    if a.t > b.t:
        a, b = b, a
    try:
        d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
        square = d1 * d1 - a.slope * b.slope
        if not square >= 0:
            return (least + most) / 2.0
        d2 = math.sqrt(square)
        t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    except ZeroDivisionError:
        return (least + most) / 2.0
    return min(max(t, least), most)
