"""N-dimensional pooling: the largest or the mean of what lies in each window."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .registry import register
from .windows import Ints, Windows, folded, padded, views

__all__ = ["first_maximum"]


def _least(dtype: Any) -> Any:
    """What is smaller than any value of a dtype, or none larger than it."""
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def _cells(x: Any, spec: Windows) -> Iterator[Any]:
    """For each cell of the kernel a view (N, C, *out) of what lies under it, with the least value beyond the image."""
    v = views(padded(x, spec, _least(x.dtype)), spec)
    for cell in spec.cells():
        yield v[(slice(None), slice(None), *cell)]


def first_maximum(x: Any, spec: Windows) -> Any:
    """Number (in reading order) of the cell that holds each window's first maximum; of NaNs, the last."""
    best = chosen = None
    xp = module_of(x)
    for k, cell in enumerate(_cells(x, spec)):
        if best is None:
            best, chosen = cell, xp.zeros(cell.shape, np.int32)
        else:
            larger = (cell > best) | (cell != cell) if x.dtype.kind not in "iu" else cell > best
            best, chosen = xp.where(larger, cell, best), xp.where(larger, np.int32(k), chosen)
    return chosen


@register("max_pool")
class MaxPool(Op):
    """max_pool(x, spec): the first of equal maxima gets the gradient."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(x: Any, spec: Windows) -> Any:
        out = None
        for cell in _cells(x, spec):
            out = cell.copy() if out is None else module_of(x).maximum(out, cell)
        return out

    def backward(self, m: Any, g: Any, x: Any) -> Any:
        (spec,) = self.attrs
        raw = x._array if hasattr(x, "_array") else x
        return (m.put_windows(g, first_maximum(raw, spec), spec, tuple(x.shape)),)

    def name(self) -> str:
        return f"MaxPool{len(self.attrs[0].kernel)}DWithIndicesBackward0"


@register("put_windows")
class PutWindows(Op):
    """put_windows(g, chosen, spec, shape): g added to the chosen cell of each window."""

    __slots__ = ()

    @staticmethod
    def forward(g: Any, chosen: Any, spec: Windows, shape: Ints) -> Any:
        xp = module_of(g)
        n, c = g.shape[:2]
        cells = xp.empty((c, *spec.kernel, n, *spec.out), g.dtype)
        for k, cell in enumerate(spec.cells()):
            cells[(slice(None), *cell)] = xp.where(chosen == k, g, g.dtype.type(0)).swapaxes(0, 1)
        return folded(cells, shape, spec)

    def backward(self, m: Any, gg: Any) -> Any:
        chosen, spec, _ = self.attrs
        return (m.take_windows(gg, chosen, spec),)


@register("take_windows")
class TakeWindows(Op):
    """take_windows(x, chosen, spec): the chosen cell of each window."""

    __slots__ = ()

    @staticmethod
    def forward(x: Any, chosen: Any, spec: Windows) -> Any:
        xp = module_of(x)
        out = xp.zeros(chosen.shape, x.dtype)
        for k, cell in enumerate(_cells(x, spec)):
            out = xp.where(chosen == k, cell, out)
        return out

    def backward(self, m: Any, g: Any) -> Any:
        chosen, spec = self.attrs
        return (m.put_windows(g, chosen, spec, self.input_shape()),)


@register("avg_pool")
class AvgPool(Op):
    """avg_pool(x, spec, divisors, shape): each window's sum divided by divisors (*out), or by one number."""

    __slots__ = ()

    @staticmethod
    def forward(x: Any, spec: Windows, divisors: Any, shape: Ints) -> Any:
        out = None
        v = views(padded(x, spec), spec)
        for cell in spec.cells():
            part = v[(slice(None), slice(None), *cell)]
            out = part.copy() if out is None else out + part
        return out / (divisors.astype(x.dtype) if hasattr(divisors, "astype") else x.dtype.type(divisors))

    def backward(self, m: Any, g: Any) -> Any:
        return (m.spread_windows(g, *self.attrs),)

    def name(self) -> str:
        return f"AvgPool{len(self.attrs[0].kernel)}DBackward0"


@register("spread_windows")
class SpreadWindows(Op):
    """spread_windows(g, spec, divisors, shape): the gradient of avg_pool for x of `shape`."""

    __slots__ = ()

    @staticmethod
    def forward(g: Any, spec: Windows, divisors: Any, shape: Ints) -> Any:
        n, c = g.shape[:2]
        share = g / (divisors.astype(g.dtype) if hasattr(divisors, "astype") else g.dtype.type(divisors))
        share = share.swapaxes(0, 1).reshape(c, *(1,) * len(spec.kernel), n, *spec.out)
        cells = module_of(g).broadcast_to(share, (c, *spec.kernel, n, *spec.out))
        return folded(cells, shape, spec)

    def backward(self, m: Any, gg: Any) -> Any:
        return (m.avg_pool(gg, *self.attrs),)


@register("pad")
class Pad(Op):
    """pad(x, widths, value): widths is a pair (before, after) for each dimension, none negative."""

    __slots__ = ()

    @staticmethod
    def forward(x: Any, widths: tuple[tuple[int, int], ...], value: Any) -> Any:
        return module_of(x).pad(x, widths, mode="constant", constant_values=value)

    def backward(self, m: Any, g: Any) -> Any:
        widths, _ = self.attrs
        sizes = self.input_shape()
        return (m.getitem(g, tuple(slice(a, a + n) for (a, _), n in zip(widths, sizes, strict=True))),)

    def name(self) -> str:
        return "ConstantPadNdBackward0"
