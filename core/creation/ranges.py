"""Tensors of evenly spaced numbers. They are computed in float64 and rounded once; integers are exact."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..dtypes import get_default_dtype, int64
from ..tensor import Tensor
from .factory import factory, number_of, numpy_dtype

__all__ = ["arange", "linspace", "logspace"]


@factory
def arange(xp: Any, dtype: Any, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    """start, start + step, … before `end`; arange(end) starts at 0. int64 where all three are integers."""
    if end is None:
        if start is None:
            raise TypeError("arange() received an invalid combination of arguments: expected at least an end")
        start, end = 0, number_of(start, "arange", "end", 1)
    elif start is None:
        start = 0
    start, end = number_of(start, "arange", "start", 1), number_of(end, "arange", "end", 2)
    step = number_of(step, "arange", "step", 3)
    whole = all(isinstance(x, int) for x in (start, end, step))
    d = dtype or (int64 if whole else get_default_dtype())
    if d.name == "bool":
        raise NotImplementedError("\"arange_cpu\" not implemented for 'Bool'")
    if not d.is_floating_point and not whole:
        start, end, step = (int(x) if math.isfinite(x) else x for x in (start, end, step))
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * (1 if step > 0 else -1) < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    if all(isinstance(x, int) for x in (start, end, step)):
        count = -((start - end) // step)
        steps = xp.arange(count) * step + start
    else:
        count = math.ceil((end - start) / step)
        steps = xp.arange(count).astype(np.float64) * step + start
    return steps.astype(numpy_dtype(xp, d), copy=False)


def _ends(name: str, start: Any, end: Any, steps: Any) -> tuple[Any, Any, int]:
    found: list[Any] = []
    for argument, x in (("start", start), ("end", end)):
        if isinstance(x, Tensor) and x.ndim:
            raise RuntimeError(
                f"{name} only supports 0-dimensional start and end tensors, but got {argument} with {x.ndim} dimension(s)."
            )
        found.append(number_of(x, name, argument, len(found) + 1))
    if isinstance(steps, bool) or not hasattr(steps, "__index__"):
        raise TypeError(f"{name}(): argument 'steps' (position 3) must be int, not {type(steps).__name__}")
    count = steps.__index__()
    if count < 0:
        raise RuntimeError("number of steps must be non-negative")
    return found[0], found[1], count


def _spaced(xp: Any, start: Any, end: Any, count: int) -> Any:
    """`count` numbers from `start` to `end`, each counted from the nearer of the two, in float64."""
    if count < 2:
        return xp.full(count, start, np.float64)
    step = (float(end) - float(start)) / (count - 1)
    places = xp.arange(count).astype(np.float64)
    return xp.where(places < count // 2, start + places * step, end - (count - 1 - places) * step)


@factory
def linspace(xp: Any, dtype: Any, start: Any, end: Any, steps: int) -> Any:
    """`steps` evenly spaced numbers from `start` to `end`, both included."""
    start, end, count = _ends("linspace", start, end, steps)
    d = numpy_dtype(xp, dtype)
    if d == np.bool_:
        raise NotImplementedError("\"linspace_cpu\" not implemented for 'Bool'")
    return _spaced(xp, start, end, count).astype(d, copy=False)


@factory
def logspace(xp: Any, dtype: Any, start: Any, end: Any, steps: int, base: float = 10.0) -> Any:
    """`base` to the power of `steps` evenly spaced numbers from `start` to `end`."""
    start, end, count = _ends("logspace", start, end, steps)
    d = numpy_dtype(xp, dtype)
    if d == np.bool_:
        raise NotImplementedError("\"logspace_cpu\" not implemented for 'Bool'")
    return (xp.full(count, base, np.float64) ** _spaced(xp, start, end, count)).astype(d, copy=False)
