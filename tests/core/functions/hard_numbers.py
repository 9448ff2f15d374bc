"""Two checks of a case beside driver.py's: derivatives in half precision, and silence about NaN and infinities."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np

from . import driver


def warned_of(c: driver.Case) -> dict[str, str]:
    """NumPy's warnings that gradwire lets through where its inputs have NaN and infinities."""

    def spoilt(x: Any) -> Any:
        if isinstance(x, np.ndarray) and x.dtype == np.float64 and x.size:
            x = x.copy()
            x.flat[0], x.flat[-1] = np.nan, np.inf
        return type(x)(spoilt(v) for v in x) if type(x) in (list, tuple) else x

    wrong = {}
    spoilt_case = replace(c, args=tuple(spoilt(a) for a in c.args))
    for dtype in ("float32", "bfloat16"):
        args, kwargs = driver.ours("cpu").arguments(spoilt_case, dtype)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                driver.ours("cpu").function(c.entry, c.entry.name)(*args, **kwargs)
            except driver.Refused:
                pass
        found = [
            f"{w.filename}:{w.lineno} {w.message}" for w in told if issubclass(w.category, RuntimeWarning)
        ]
        if found:
            wrong[dtype] = "\n".join(found)
    return wrong


def wrong_half_gradients(c: driver.Case) -> dict[str, str]:
    """First derivatives in float16 and bfloat16: of the inputs' dtypes, and hardly farther from float32's than PyTorch's."""
    wrong = {}
    exact = driver._derivatives(driver.ours("cpu"), c, "float32", False)
    for dtype in ("float16", "bfloat16"):
        mine, theirs = (
            driver._derivatives(library, c, dtype, False) for library in (driver.ours("cpu"), driver.TORCH)
        )
        failed = [x for x in (exact[0], theirs[0]) if isinstance(x, Exception)]
        if failed:
            continue  # what PyTorch's kernels lack; values are compared elsewhere
        if isinstance(mine[0], Exception):
            wrong[dtype] = repr(mine[0])
            continue
        for g, t, e in zip(mine[0], theirs[0], exact[0], strict=True):
            if g.dtype.name != dtype:
                wrong[dtype] = f"the gradient is of {g.dtype}"
            a, b, x = (np.nan_to_num(driver.host(i), posinf=0, neginf=0) for i in (g, t, e))
            scale = np.abs(x).max(initial=0.05)  # which sums that cancel go below
            if (
                np.abs(a - x).max(initial=0)
                > 2 * np.abs(b - x).max(initial=0) + 4 * driver._CLOSE[dtype][0] * scale
            ):
                wrong[dtype] = f"gradwire {a}\nPyTorch  {b}\nfloat32  {x}"
    return wrong
