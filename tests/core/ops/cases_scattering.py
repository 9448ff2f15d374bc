"""Values written by index into a copy."""

from __future__ import annotations

import numpy as np
import torch

from .cases import Case, distinct, signed

_ROWS, _ONCE = np.array([2, 0, 2]), np.array([2, 0])
_MASK = np.array([[True, False], [False, True], [True, True]])
_AT = np.array([0, 1, 1, 3, 1])


def _index(*arrays, accumulate=None):
    more = () if accumulate is None else (accumulate,)
    return lambda move, _: (tuple(map(move, arrays)), *more)


def _put(index, accumulate):
    return lambda a, v: a.index_put(tuple(map(torch.from_numpy, index)), v.to(a.dtype), accumulate)


def _extreme(largest, own):
    how = "amax" if largest else "amin"
    return lambda a, v: a.scatter_reduce(0, torch.from_numpy(_AT), v, how, include_self=own)


CASES: list[Case] = [
    Case("index_put", (signed(3, 2), signed(2, 2)), _put((_ONCE,), False), _index(_ONCE, accumulate=False), "rows"),
    Case("index_put", (signed(3, 2), signed()), _put((_MASK,), False), _index(_MASK, accumulate=False), "mask"),
    Case("index_put", (signed(3, 2), signed(3, 2)), _put((_ROWS,), True), _index(_ROWS, accumulate=True), "added-rows"),
    Case("index_put", (signed(3, 3), signed(1)), _put((_ROWS, _ROWS), True), _index(_ROWS, _ROWS, accumulate=True), "added-pairs"),
    Case("put_number", (signed(3, 2),), lambda a: a.index_fill(0, torch.from_numpy(_ROWS), 2.5),
         lambda move, _: ((move(_ROWS),), 2.5)),
    *(Case("scatter_extreme", (distinct(4) + 0.01, distinct(5)), _extreme(largest, own), lambda move, _, k=largest, o=own: ((move(_AT),), k, o), f"{largest}-{own}")
      for largest in (True, False) for own in (True, False)),
]  # fmt: skip
