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
from .matrix import column_sums
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


def _one_by_one(x: Any, counts: Ints) -> bool:
    """Whether each image gets products of its own, where it has many windows: what comes of them needs no reordering."""
    return x.__class__ is np.ndarray and math.prod(counts) >= 128


def _convolved(x: Any, w: Any, b: Any, windows: Windows, groups: int) -> Any:
    """(N, O, *counts), with b added where it is not None."""
    counts, xp = windows.counts(x.shape[2:]), module_of(x)
    out = xp.empty((x.shape[0], w.shape[0], *counts), x.dtype)
    if b is not None:
        b = b.reshape(1, -1, *(1,) * len(counts))
    alone = _one_by_one(x, counts) and not _is_by_channel(w, groups)
    for part in _batches(x.shape[0], _column_bytes(x, windows, counts), x):
        to = out[part]
        if alone:
            with _columns(x[part], windows, True) as columns:
                grouped = columns.reshape(len(to), groups, -1, columns.shape[2])
                flat = to.reshape(len(to), groups, w.shape[0] // groups, columns.shape[2])
                np.matmul(w.reshape(groups, w.shape[0] // groups, -1), grouped, out=flat)
            if b is not None:
                to += b
            continue
        found = _convolved_together(x[part], w, windows, groups)
        if b is None:
            to[...] = found
        else:
            xp.add(found, b, out=to)  # in the order of memory, without a copy more
    return out


@contextmanager
def _columns(x: Any, windows: Windows, by_image: bool) -> Iterator[Any]:
    """All windows, as long as the block lasts: a matrix (C * cells, N * count of windows), or one (C * cells, count) for each image."""
    lined = windows.lined(x)
    d = len(windows.kernel)
    cells, count = x.shape[1] * windows.cells, math.prod(lined.shape[d + 2 :])
    shape: Ints
    if by_image:
        lined, shape = lined.transpose(d + 1, *range(d + 1), *range(d + 2, 2 * d + 2)), (len(x), cells, count)
    else:
        shape = (cells, len(x) * count)
    if x.__class__ is not np.ndarray:
        yield lined.reshape(shape)
        return
    with scratch(lined.shape, x.dtype) as copy:
        copy[...] = lined
        yield copy.reshape(shape)


def _convolved_together(x: Any, w: Any, windows: Windows, groups: int) -> Any:
    """Convolution of a part of a batch, in memory in whichever order it came about."""
    if _is_by_channel(w, groups):
        return _by_channel(x, w, windows)
    o = w.shape[0]
    with _columns(x, windows, False) as columns:
        if groups == 1:
            out = w.reshape(o, columns.shape[0]).dot(columns)
        else:
            lined = columns.reshape(groups, columns.shape[0] // groups, columns.shape[1])
            out = w.reshape(groups, o // groups, lined.shape[1]) @ lined
    out = out.reshape(o, x.shape[0], *windows.counts(x.shape[2:]))
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


def _input_by_image(g: Any, w: Any, windows: Windows, groups: int, shape: Ints) -> Any:
    """ConvolutionInput with products for each image."""
    n, c = shape[:2]
    lined = w.reshape(groups, w.shape[0] // groups, -1).swapaxes(1, 2)
    counts = g.shape[2:]
    if len(counts) == 2 and windows.stride == (1, 1) and windows.kernel != (1, 1):
        return _input_by_runs(g, lined, windows, groups, shape)
    grouped = g.reshape(n, groups, w.shape[0] // groups, math.prod(counts))
    with scratch((n, groups, lined.shape[1], grouped.shape[3]), g.dtype) as columns:
        np.matmul(lined, grouped, out=columns)
        cells = columns.reshape(n, c, *windows.kernel, *counts)
        d = len(counts)
        return windows.folded(cells.transpose(*range(1, d + 2), 0, *range(d + 2, 2 * d + 2)), shape)


def _input_by_runs(g: Any, lined: Any, windows: Windows, groups: int, shape: Ints) -> Any:
    """The same where windows lie side by side in two dimensions.

    With rows of g as wide as the padded image, zeros at their ends, the columns of one cell are one run of the image: one long
    addition in place of one for each row, and no zeros to cut away from the columns.
    """
    n, o, high, wide = g.shape
    (rows, step), (down, along) = windows.kernel, windows.dilation
    reach = (step - 1) * along
    width = wide + reach
    run, height = high * width, high + (rows - 1) * down
    padded = np.zeros((n, o, high, width), g.dtype)
    padded[..., :wide] = g
    image = np.zeros((n, shape[1], height * width + reach), g.dtype)
    with scratch((n, groups, lined.shape[1], run), g.dtype) as columns:
        np.matmul(lined, padded.reshape(n, groups, o // groups, run), out=columns)
        cells = columns.reshape(n, shape[1], windows.cells, run)
        for k, (i, j) in enumerate(windows.each_cell()):
            start = i * down * width + j * along
            target = image[:, :, start : start + run]
            target += cells[:, :, k]
    whole = image[:, :, : height * width].reshape(n, shape[1], height, width)
    return np.ascontiguousarray(whole[windows.inside(shape[2:])])


@register("convolution", inputs=2)
class Convolution(Op):
    """convolution(x, w, windows, groups): x (N, C, *sizes), w (O, C / groups, *kernel) -> (N, O, *counts)."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(x: Any, w: Any, windows: Windows, groups: int) -> Any:
        return _convolved(x, w, None, windows, groups)

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
        return _convolved(x, w, b, windows, groups)

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
        if _one_by_one(g, g.shape[2:]):
            return _input_by_image(g, w, windows, groups, shape)
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
        o, count = shape[0], math.prod(g.shape[2:])
        # few windows, or a weight so large that one for each image would be more than the columns
        if _one_by_one(g, g.shape[2:]) and o // groups <= count:
            with _columns(x, windows, True) as columns:
                grouped = columns.reshape(len(x), groups, -1, count)
                by_image = grouped @ g.reshape(len(x), groups, o // groups, count).swapaxes(2, 3)
                total = column_sums(by_image.reshape(len(x), -1)).reshape(by_image.shape[1:])
                return np.ascontiguousarray(total.swapaxes(1, 2)).reshape(shape)
        rows = _rows(g)
        with _columns(x, windows, False) as columns:
            if groups == 1:
                return module_of(g).ascontiguousarray(columns.dot(rows.T).T).reshape(shape)
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
