"""Convolution over any number of dimensions, by unfolding windows into one matrix product for each group.

The three ops are each other's gradients, so derivatives of any order close among them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .registry import register
from .windows import Ints, Windows

__all__ = ["Convolution", "ConvolutionInput", "ConvolutionWeight", "ConvolutionWithBias"]


_CACHED = 2 << 20  # bytes; half of what a core's cache held where this was measured


def _batches(n: int, image_bytes: int, x: Any) -> list[slice]:
    """Parts of a batch of n whose columns stay in a core's cache: 18.7 ms become 12.8 where they take 14 MB, and none of 4 MB
    gain. By shapes alone, for the same bits every time. A GPU takes the batch as it is."""
    if x.__class__ is not np.ndarray or n * image_bytes <= 2 * _CACHED:
        return [slice(0, n)]
    step = max(1, _CACHED // image_bytes)
    return [slice(i, min(i + step, n)) for i in range(0, n, step)]


def _column_bytes(x: Any, windows: Windows, counts: Ints) -> int:
    return int(x.shape[1] * windows.cells * math.prod(counts) * x.dtype.itemsize)


def _convolved(x: Any, w: Any, windows: Windows, groups: int) -> Any:
    """(N, O, *counts), in memory in whichever order it came about."""
    counts = windows.counts(x.shape[2:])
    parts = _batches(x.shape[0], _column_bytes(x, windows, counts), x)
    if len(parts) == 1:
        return _convolved_at_once(x, w, windows, groups)
    out = np.empty((x.shape[0], w.shape[0], *counts), x.dtype)
    for part in parts:
        out[part] = _convolved_at_once(x[part], w, windows, groups)
    return out


def _convolved_at_once(x: Any, w: Any, windows: Windows, groups: int) -> Any:
    o = w.shape[0]
    columns, counts = windows.columns(x)
    if groups == 1:
        out = w.reshape(o, columns.shape[0]).dot(columns)
    else:
        out = w.reshape(groups, o // groups, -1) @ columns.reshape(groups, -1, columns.shape[1])
    out = out.reshape(o, x.shape[0], *counts)
    return out.transpose(1, 0, *range(2, out.ndim))


def _rows(g: Any) -> Any:
    """(N, O, *counts) as a matrix (O, N * count)."""
    n, o, *counts = g.shape
    return g.transpose(1, 0, *range(2, g.ndim)).reshape(o, n * math.prod(counts))


@register("convolution", inputs=2)
class Convolution(Op):
    """convolution(x, w, windows, groups): x (N, C, *sizes), w (O, C / groups, *kernel) -> (N, O, *counts)."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(x: Any, w: Any, windows: Windows, groups: int) -> Any:
        return module_of(x).ascontiguousarray(_convolved(x, w, windows, groups))

    def backward(self, m: Any, g: Any, x: Any, w: Any) -> Any:
        windows, groups = self.attrs
        ex, ew = self.edges
        return (
            m.convolution_input(g, w, windows, groups, tuple(x.shape)) if ex is not None else None,
            m.convolution_weight(g, x, windows, groups, tuple(w.shape)) if ew is not None else None,
        )


@register("convolution_with_bias", inputs=3)
class ConvolutionWithBias(Op):
    """convolution_with_bias(x, w, b, windows, groups): b has one number for each of the output's channels."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(x: Any, w: Any, b: Any, windows: Windows, groups: int) -> Any:
        found, xp = _convolved(x, w, windows, groups), module_of(x)
        out = xp.empty(found.shape, found.dtype)
        xp.add(
            found, b.reshape(1, -1, *(1,) * (x.ndim - 2)), out=out
        )  # in the order of memory, without a copy more
        return out

    def backward(self, m: Any, g: Any, x: Any, w: Any) -> Any:
        windows, groups = self.attrs
        ex, ew, eb = self.edges
        return (
            m.convolution_input(g, w, windows, groups, tuple(x.shape)) if ex is not None else None,
            m.convolution_weight(g, x, windows, groups, tuple(w.shape)) if ew is not None else None,
            m.sum(g, (0, *range(2, len(x.shape))), False, tuple(g.shape)) if eb is not None else None,
        )

    def name(self) -> str:
        return "ConvolutionBackward0"


@register("convolution_input", inputs=2)
class ConvolutionInput(Op):
    """convolution_input(g, w, windows, groups, shape): the gradient of convolution for x of `shape`; conv_transpose."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(g: Any, w: Any, windows: Windows, groups: int, shape: Ints) -> Any:
        column_bytes = shape[1] * windows.cells * math.prod(g.shape[2:]) * g.dtype.itemsize
        parts = _batches(shape[0], column_bytes, g)
        if len(parts) == 1:
            return ConvolutionInput.at_once(g, w, windows, groups, shape)
        out = np.empty(shape, g.dtype)
        for part in parts:
            images = (part.stop - part.start, *shape[1:])
            out[part] = ConvolutionInput.at_once(g[part], w, windows, groups, images)
        return out

    @staticmethod
    def at_once(g: Any, w: Any, windows: Windows, groups: int, shape: Ints) -> Any:
        o, c, *kernel = w.shape
        rows = _rows(g)
        if groups == 1:
            columns = w.reshape(o, c * windows.cells).T.dot(rows)
        else:
            lined = w.reshape(groups, o // groups, c * windows.cells).swapaxes(1, 2)
            columns = lined @ rows.reshape(groups, o // groups, rows.shape[1])
        return windows.folded(columns.reshape(c * groups, *kernel, g.shape[0], *g.shape[2:]), shape)

    def backward(self, m: Any, gg: Any, *saved: Any) -> Any:
        g, w = saved
        windows, groups, _ = self.attrs
        eg, ew = self.edges
        return (
            m.convolution(gg, w, windows, groups) if eg is not None else None,
            m.convolution_weight(g, gg, windows, groups, tuple(w.shape)) if ew is not None else None,
        )

    def name(self) -> str:
        return "ConvolutionBackward0"


@register("convolution_weight", inputs=2)
class ConvolutionWeight(Op):
    """convolution_weight(g, x, windows, groups, shape): the gradient of convolution for w of `shape`."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(g: Any, x: Any, windows: Windows, groups: int, shape: Ints) -> Any:
        parts = _batches(x.shape[0], _column_bytes(x, windows, g.shape[2:]), x)
        total = ConvolutionWeight.at_once(g[parts[0]], x[parts[0]], windows, groups, shape)
        for part in parts[1:]:
            total += ConvolutionWeight.at_once(g[part], x[part], windows, groups, shape)
        return total

    @staticmethod
    def at_once(g: Any, x: Any, windows: Windows, groups: int, shape: Ints) -> Any:
        columns, _ = windows.columns(x)
        rows = _rows(g)
        if groups == 1:
            return rows.dot(columns.T).reshape(shape)
        columns = columns.reshape(groups, -1, columns.shape[1])
        return (rows.reshape(groups, -1, rows.shape[1]) @ columns.swapaxes(1, 2)).reshape(shape)

    def backward(self, m: Any, gg: Any, *saved: Any) -> Any:
        g, x = saved
        windows, groups, _ = self.attrs
        eg, ex = self.edges
        return (
            m.convolution(x, gg, windows, groups) if eg is not None else None,
            m.convolution_input(g, gg, windows, groups, tuple(x.shape)) if ex is not None else None,
        )
