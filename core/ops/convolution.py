"""Convolution over any number of dimensions, by unfolding windows into one matrix product for each group.

The three ops are each other's gradients, so derivatives of any order close among them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .registry import register
from .scratch import scratch
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


@contextmanager
def _columns(x: Any, windows: Windows) -> Iterator[tuple[Any, Ints]]:
    """Matrix (C * cells, N * count of windows) of all windows, which lasts as long as the block, and the counts."""
    lined = windows.lined(x)
    counts = lined.shape[len(windows.kernel) + 2 :]
    shape = (x.shape[1] * windows.cells, x.shape[0] * math.prod(counts))
    if x.__class__ is not np.ndarray:
        yield lined.reshape(shape), counts
        return
    with scratch(lined.shape, x.dtype) as copy:
        copy[...] = lined
        yield copy.reshape(shape), counts


def _convolved_at_once(x: Any, w: Any, windows: Windows, groups: int) -> Any:
    if _is_by_channel(w, groups):
        return _by_channel(x, w, windows)
    o = w.shape[0]
    with _columns(x, windows) as (columns, counts):
        if groups == 1:
            out = w.reshape(o, columns.shape[0]).dot(columns)
        else:
            lined = columns.reshape(groups, columns.shape[0] // groups, columns.shape[1])
            out = w.reshape(groups, o // groups, lined.shape[1]) @ lined
    out = out.reshape(o, x.shape[0], *counts)
    return out.transpose(1, 0, *range(2, out.ndim))


def _is_by_channel(w: Any, groups: int) -> bool:
    """Whether each channel is convolved with a kernel of its own: sums over the cells need no columns then."""
    return bool(w.shape[1] == 1 and w.shape[0] == groups and groups > 1)


def _weight_of(w: Any, cell: Ints) -> Any:
    return w[(slice(None), 0, *cell)].reshape(1, w.shape[0], *(1,) * len(cell))


def _by_channel(x: Any, w: Any, windows: Windows) -> Any:
    xp, image, counts = module_of(x), windows.padded(x), windows.counts(x.shape[2:])
    total = xp.zeros((*x.shape[:2], *counts), x.dtype)
    part = xp.empty(total.shape, x.dtype)
    for cell in windows.each_cell():
        xp.multiply(windows.under(image, cell, counts), _weight_of(w, cell), out=part)
        total += part
    return total


def _by_channel_input(g: Any, w: Any, windows: Windows, shape: Ints) -> Any:
    room = tuple(a + n + b for a, n, b in zip(windows.low, shape[2:], windows.high, strict=True))
    xp = module_of(g)
    out, part = xp.zeros((*shape[:2], *room), g.dtype), xp.empty(g.shape, g.dtype)
    for cell in windows.each_cell():
        xp.multiply(g, _weight_of(w, cell), out=part)
        target = windows.under(out, cell, g.shape[2:])
        target += part
    return out if room == tuple(shape[2:]) else out[windows.inside(shape[2:])]


def _by_channel_weight(g: Any, x: Any, windows: Windows, shape: Ints) -> Any:
    xp, image = module_of(g), windows.padded(x)
    out, product = xp.zeros(shape, g.dtype), xp.empty(g.shape, g.dtype)
    rows = product.reshape(*g.shape[:2], math.prod(g.shape[2:]))
    for cell in windows.each_cell():
        xp.multiply(windows.under(image, cell, g.shape[2:]), g, out=product)
        out[(slice(None), 0, *cell)] = rows.sum(axis=2).sum(axis=0)
    return out


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
        if _is_by_channel(w, groups):
            return _by_channel_input(g, w, windows, shape)
        o, c, *kernel = w.shape
        rows, cells = _rows(g), (c * groups, *kernel, g.shape[0], *g.shape[2:])
        if groups == 1:
            lined, grouped = w.reshape(o, c * windows.cells).T, rows
        else:
            lined = w.reshape(groups, o // groups, c * windows.cells).swapaxes(1, 2)
            grouped = rows.reshape(groups, o // groups, rows.shape[1])
        if g.__class__ is not np.ndarray:
            return windows.folded((lined @ grouped).reshape(cells), shape)
        with scratch((*lined.shape[:-1], rows.shape[1]), g.dtype) as columns:
            np.matmul(lined, grouped, out=columns)
            return windows.folded(columns.reshape(cells), shape)

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
        if shape[1] == 1 and shape[0] == groups and groups > 1:
            return _by_channel_weight(g, x, windows, shape)
        rows = _rows(g)
        with _columns(x, windows) as (columns, _):
            if groups == 1:
                return rows.dot(columns.T).reshape(shape)
            lined = columns.reshape(groups, columns.shape[0] // groups, columns.shape[1])
            grouped = rows.reshape(groups, rows.shape[0] // groups, rows.shape[1])
            return (grouped @ lined.swapaxes(1, 2)).reshape(shape)

    def backward(self, m: Any, gg: Any, *saved: Any) -> Any:
        g, x = saved
        windows, groups, _ = self.attrs
        eg, ex = self.edges
        return (
            m.convolution(x, gg, windows, groups) if eg is not None else None,
            m.convolution_input(g, gg, windows, groups, tuple(x.shape)) if ex is not None else None,
        )
