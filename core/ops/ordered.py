"""Values combined where their places repeat, in the order that they stand in: the same bits every time.

NumPy's `add.at` and its kin go by that order. A GPU's atomics don't, so there the values are sorted by place (a stable sort)
and combined in rounds, the k-th value of each place in round k.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of

__all__ = ["combine_in_order", "last_of_each", "rounds"]

_UFUNCS: dict[str, Any] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def combine_in_order(how: str, out: Any, places: Any, values: Any) -> None:
    """out[place] = how(out[place], value) for one place and value after the other; all are one-dimensional.

    how: "add", "mul", "max" or "min" ("max" and "min" of anything and NaN are NaN).
    """
    if out.__class__ is np.ndarray:
        _UFUNCS[how].at(out, places, values)
        return
    xp = module_of(out)
    for targets, numbers in rounds(places):
        old, new = out[targets], values[numbers]
        if how == "add":
            out[targets] = old + new
        elif how == "mul":
            out[targets] = old * new
        else:
            out[targets] = xp.maximum(old, new) if how == "max" else xp.minimum(old, new)


def rounds(places: Any) -> Any:
    """Pairs (distinct places, the numbers of the values that go there), in the order of the values."""
    if not places.size:
        return
    xp = module_of(places)
    order = xp.argsort(places, kind="stable")
    placed = places[order]
    first = xp.concatenate((xp.ones(1, bool), placed[1:] != placed[:-1]))
    starts = xp.arange(placed.size)[first]
    ends = xp.concatenate((starts[1:], xp.full(1, placed.size, starts.dtype)))
    while starts.size:
        yield placed[starts], order[starts]
        starts = starts + 1
        going_on = starts < ends
        starts, ends = starts[going_on], ends[going_on]


def last_of_each(places: Any) -> Any:
    """The numbers of the values that stand last for their place, or None where no place repeats."""
    xp = module_of(places)
    if places.size < 2:
        return None
    order = xp.argsort(places, kind="stable")
    placed = places[order]
    last = xp.concatenate((placed[1:] != placed[:-1], xp.ones(1, bool)))
    return None if bool(last.all()) else order[last]
