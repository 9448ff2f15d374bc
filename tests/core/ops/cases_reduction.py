"""Reductions, running sums, and elements taken by their place in an order."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .cases import Case, _reduction, distinct, given, positive, signed

_INDEX = np.array([[2, 0], [1, 1], [0, 2], [2, 2]])
_TWICE = np.array([[1, 0, 1], [1, 1, 0]])


def _with_nan(*shape: int) -> np.ndarray:
    return np.where(np.arange(np.prod(shape)).reshape(shape) % 5 == 2, np.nan, signed(*shape))


def _recurrence(b: Any, a: Any) -> Any:
    """Along dimension 1, step by step."""
    rows = [b[:, 0]]
    for k in range(1, b.shape[1]):
        rows.append(b[:, k] + a[:, k] * rows[-1])
    return torch.stack(rows, 1)


def _spread(name: str, function: Any) -> list[Case]:
    return [
        Case(name, (signed(3, 4),), lambda a: function(a, dim=1, correction=1), given((1,), 1, False, (3, 4)), "rows"),
        Case(name, (signed(3, 4),), lambda a: function(a, dim=(0, 1), correction=0, keepdim=True),
             given((0, 1), 0, True, (3, 4)), "all"),
    ]  # fmt: skip


def _norms() -> list[Case]:
    cases = []
    for p in (2.0, 1.0, 0.0, 3.0, 0.5, -1.5, float("inf"), float("-inf")):
        for dims, keepdim in (((0,), False), ((0, 1), True)):
            cases.append(
                Case(
                    "vector_norm",
                    (signed(3, 2),),
                    lambda a, p=p, d=dims, k=keepdim: torch.linalg.vector_norm(a, p, d, k),
                    given(p, dims, keepdim, (3, 2)),
                    f"{p}-{dims}",
                )
            )
    return cases


CASES = [
    *_reduction("nansum", torch.nansum),
    Case("prod", (signed(3, 2),), lambda a: a.prod(), given(None, False), "all"),
    Case("prod", (signed(3, 2),), lambda a: a.prod(1, keepdim=True), given(1, True), "rows"),
    Case("prod", (np.array([[1.5, 0.0, 2.0], [0.0, 3.0, 0.0]]),), lambda a: a.prod(1), given(1, False), "zeros"),
    Case("prod", (signed(),), lambda a: a.prod(), given(None, False), "0d"),
    *_reduction("amin", torch.amin, distinct),
    *_reduction("logsumexp", torch.logsumexp),
    *(Case("one_of_all", (distinct(*shape),), getattr(torch, name), given(name), f"{name}-{shape}")
      for name in ("max", "min", "median", "nanmedian") for shape in ((3, 2), (5,))),
    *_spread("var", torch.var),
    *_spread("std", torch.std),
    *_norms(),
    Case("pick", (signed(4, 3), np.array([2, 0, 1, 1])), lambda a, i: a.gather(1, i[:, None])[:, 0],
         given(1, False, True, "PickBackward0"), "one"),
    Case("pick", (signed(4, 3), _INDEX), lambda a, i: a.gather(1, i), given(1, True, False, "PickBackward0"), "several"),
    Case("put_along", (signed(4), np.array([2, 0, 1, 1])), lambda g, i: torch.zeros(4, 3).double().scatter_add(1, i[:, None], g[:, None]),
         given(1, False, True, 3), "one"),
    Case("put_along", (signed(2, 3), _TWICE), lambda g, i: torch.zeros(2, 3).double().scatter_add(0, i, g),
         given(0, True, False, 2), "twice"),
    *(Case("cumprod", (make(3, 4),), lambda a, d=d: a.cumprod(d), given(d), f"{name}-{d}")
      for d in (0, 1) for name, make in (("signed", signed), ("positive", positive))),
    Case("cumprod", (np.array([[2.0, 0.0, 3.0, 0.0, 1.5], [0.0, 1.0, 2.0, -1.0, 0.5]]),), lambda a: a.cumprod(1), given(1), "zeros"),
    *(Case("logcumsumexp", (signed(3, 5),), lambda a, d=d: a.logcumsumexp(d), given(d), f"{d}") for d in (0, 1)),
    Case("recurrence", (signed(2, 5), signed(2, 5)), _recurrence, given(1)),
]  # fmt: skip
