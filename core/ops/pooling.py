"""Pooling over windows of any number of dimensions, and windows as columns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import FLOATS
from ..node import Op
from .registry import register
from .windows import Ints, Windows

__all__ = [
    "AvgPool", "ColumnsOfWindows", "MaxPool", "PutWindows", "SpreadWindows", "TakeWindows", "WindowsOfColumns", "largest",
    "lowest", "places",
]  # fmt: skip


def lowest(dtype: Any) -> Any:
    """What every other value of the dtype exceeds."""
    return -np.inf if dtype in FLOATS else np.iinfo(dtype).min


_BITS = {2: np.int16, 4: np.int32, 8: np.int64}


def largest(x: Any, windows: Windows) -> Any:
    """Number (in reading order) of the cell that holds each window's first maximum, or its last NaN.

    The cells are compared with the maxima, which takes a fifth of the time of carrying the best along; where there are NaN,
    or a margin whose cells could be as large as the maximum, that would be wrong.
    """
    top = MaxPool.forward(x, windows)
    if x.dtype in FLOATS and bool((top != top).any()):
        return _carried(x, windows)
    image = windows.padded(x, lowest(x.dtype))
    if image is not x and bool((top == lowest(x.dtype)).any()):
        return _carried(x, windows)
    kind: Any = np.int8 if windows.cells < 2**7 else np.int32
    chosen: Any = None
    free: Any = None
    for k, cell in enumerate(windows.each_cell()):
        hit = windows.under(image, cell, top.shape[2:]) == top
        if chosen is None:
            chosen, free = module_of(x).zeros(top.shape, kind), ~hit
            continue
        hit &= free
        free ^= hit
        chosen += hit.astype(kind) * kind(k)
    return chosen


def _carried(x: Any, windows: Windows) -> Any:
    """`largest` for whatever numbers."""
    xp, sizes = module_of(x), x.shape[2:]
    counts = windows.counts(sizes)
    image = windows.padded(x, lowest(x.dtype))
    inside = None  # where there is a margin: which cells lie in the image, to choose none outside of it
    if image is not x:
        inside = windows.padded(xp.ones((1, 1, *sizes), bool))
    floating = x.dtype in FLOATS
    best: Any = None
    chosen: Any = None
    seen: Any = None
    for k, cell in enumerate(windows.each_cell()):
        values = windows.under(image, cell, counts)
        valid = None if inside is None else windows.under(inside, cell, counts)
        if best is None:
            best, chosen, seen = values, xp.zeros(values.shape, np.int32), valid
            continue
        larger = values > best
        if floating:
            larger = larger | (values != values)
        if valid is not None:
            larger = larger | (valid & ~seen)
            seen = seen | valid
        best, chosen = xp.where(larger, values, best), xp.where(larger, np.int32(k), chosen)
    return chosen


def places(chosen: Any, windows: Windows, sizes: Ints) -> Any:
    """Cells' numbers as places in the flattened image, int64."""
    xp = module_of(chosen)
    lengths = [math.prod(sizes[i + 1 :]) for i in range(len(sizes))]
    offsets = [
        sum(i * d * n for i, d, n in zip(cell, windows.dilation, lengths, strict=True))
        for cell in windows.each_cell()
    ]
    corners = np.zeros((), np.int64)
    for count, s, a, n in zip(chosen.shape[2:], windows.stride, windows.low, lengths, strict=True):
        corners = corners[..., None] + (np.arange(count) * s - a) * n
    return xp.asarray(np.asarray(offsets, np.int64))[chosen] + xp.asarray(corners)


def _apart(windows: Windows) -> bool:
    """Whether no two windows share a cell."""
    return all(
        s > d * (k - 1) for s, d, k in zip(windows.stride, windows.dilation, windows.kernel, strict=True)
    )


def _maxima(image: Any, windows: Windows) -> list[Any]:
    """A padded image, its maxima over the last dimension of the windows, over the last two and so on: the last is the pooled one.

    One dimension after the other: half the comparisons of 3 x 3 cells, and of 2 x 2 as many, but on longer rows, in half the time.
    """
    xp, levels = module_of(image), [image]
    for axis in reversed(range(len(windows.kernel))):
        image, out = levels[-1], None
        for cell, under in enumerate(windows.along(axis, image.shape[axis + 2])):
            values = image[(..., under, *(slice(None),) * (len(windows.kernel) - 1 - axis))]
            if cell < 2:
                out = values if out is None else xp.maximum(out, values)
            else:
                xp.maximum(out, values, out=out)
        levels.append(out)
    return levels


def _to_first_maxima(g: Any, levels: list[Any], windows: Windows) -> Any:
    """g put where each window that is apart from the others has its first maximum, without the numbers of the cells.

    The bits of g are multiplied as integers by 0 or 1: exact for infinities and NaN.
    """
    xp, kind = module_of(g), _BITS[g.dtype.itemsize]
    bits = g.view(kind)
    for axis, (top, below) in enumerate(zip(levels[:0:-1], levels[-2::-1], strict=True)):
        k, size = windows.kernel[axis], below.shape[axis + 2]
        whole = size == k * top.shape[axis + 2] and windows.stride[axis] == k
        target = (xp.empty if whole else xp.zeros)(below.shape, kind)
        rest = (slice(None),) * (len(windows.kernel) - 1 - axis)
        free: Any = None
        for cell, under in enumerate(windows.along(axis, size)):
            if cell == k - 1 and free is not None:
                hit = free  # one of them is the maximum
            else:
                hit = below[(..., under, *rest)] == top
                free = ~hit if free is None else free
                if cell:
                    hit &= free
                    free ^= hit
            xp.multiply(bits, hit, out=target[(..., under, *rest)])
        bits = target
    return bits.view(g.dtype)


_PART = (
    1 << 18
)  # elements of a part of a batch: what is between its images and their maxima stays in the cache


def _in_parts(g: Any, x: Any, windows: Windows) -> Any:
    """`_to_first_maxima` of a whole batch; None where there are NaN."""
    step = max(1, _PART * len(x) // max(1, x.size)) if x.__class__ is np.ndarray else max(1, len(x))
    if step >= len(x):
        levels = _maxima(x, windows)
        return None if bool((levels[-1] != levels[-1]).any()) else _to_first_maxima(g, levels, windows)
    out = np.empty(x.shape, g.dtype)
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        levels = _maxima(x[part], windows)
        if bool((levels[-1] != levels[-1]).any()):
            return None
        out[part] = _to_first_maxima(g[part], levels, windows)
    return out


@register("max_pool")
class MaxPool(Op):
    """max_pool(x, windows): the first of equal maxima gets the gradient."""

    __slots__ = ()
    save = (0,)
    exact = True

    @staticmethod
    def forward(x: Any, windows: Windows) -> Any:
        out = _maxima(windows.padded(x, lowest(x.dtype)), windows)[-1]
        return out.copy(order="C") if windows.cells == 1 else module_of(x).ascontiguousarray(out)

    def backward(self, m: Any, g: Any, x: Any) -> Any:
        (windows,) = self.attrs
        raw = x._array if hasattr(x, "_array") else x
        if raw is x and not any(windows.low + windows.high) and _apart(windows):
            found = _in_parts(g, x, windows)
            if found is not None:
                return (found,)
        return (m.put_windows(g, largest(raw, windows), windows, tuple(x.shape)),)

    def name(self) -> str:
        return f"MaxPool{len(self.shape) - 2}DWithIndicesBackward0"


@register("put_windows")
class PutWindows(Op):
    """put_windows(g, chosen, windows, shape): g added to the chosen cell of each window."""

    __slots__ = ()

    @staticmethod
    def forward(g: Any, chosen: Any, windows: Windows, shape: Ints) -> Any:
        xp, sizes, counts = module_of(g), shape[2:], g.shape[2:]
        room = tuple(a + n + b for a, n, b in zip(windows.low, sizes, windows.high, strict=True))
        out = xp.zeros((*shape[:2], *room), g.dtype)
        apart = _apart(windows)
        # The bits of g are multiplied as integers by 0 or 1: exact for infinities and NaN, in a third of a where's time.
        bits = g.view(_BITS[g.dtype.itemsize])
        target = out.view(bits.dtype)
        for k, cell in enumerate(windows.each_cell()):
            if apart:  # no two windows share a cell
                xp.multiply(bits, chosen == k, out=windows.under(target, cell, counts))
            else:
                part = windows.under(out, cell, counts)
                part += (bits * (chosen == k)).view(g.dtype)
        return out if room == tuple(sizes) else out[windows.inside(sizes)]

    def backward(self, m: Any, gg: Any) -> Any:
        chosen, windows, _ = self.attrs
        return (m.take_windows(gg, chosen, windows),)


@register("take_windows")
class TakeWindows(Op):
    """take_windows(x, chosen, windows): the chosen cell of each window."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(x: Any, chosen: Any, windows: Windows) -> Any:
        xp = module_of(x)
        image, out = windows.padded(x, lowest(x.dtype)), xp.zeros(chosen.shape, x.dtype)
        for k, cell in enumerate(windows.each_cell()):
            out = xp.where(chosen == k, windows.under(image, cell, chosen.shape[2:]), out)
        return out

    def backward(self, m: Any, g: Any) -> Any:
        chosen, windows = self.attrs
        return (m.put_windows(g, chosen, windows, self.input_shape()),)

    def name(self) -> str:
        return f"MaxPool{len(self.shape) - 2}DWithIndicesBackward0"


@register("avg_pool")
class AvgPool(Op):
    """avg_pool(x, windows, divisor, shape): sums of windows over divisor, a number or an array of the counts' shape."""

    __slots__ = ()

    @staticmethod
    def forward(x: Any, windows: Windows, divisor: Any, shape: Ints) -> Any:
        image, out = windows.padded(x), None
        counts = windows.counts(shape[2:])
        for cell in windows.each_cell():
            values = windows.under(image, cell, counts)
            if out is None:
                out = values.copy(order="C")
            else:
                out += values
        if x.dtype not in FLOATS:
            return out // divisor
        out /= _divisor(divisor, out)
        return out

    def backward(self, m: Any, g: Any) -> Any:
        return (m.spread_windows(g, *self.attrs),)

    def name(self) -> str:
        return f"AvgPool{len(self.shape) - 2}DBackward0"


def _divisor(divisor: Any, like: Any) -> Any:
    return divisor.astype(like.dtype, copy=False) if hasattr(divisor, "astype") else like.dtype.type(divisor)


@register("spread_windows")
class SpreadWindows(Op):
    """spread_windows(g, windows, divisor, shape): the gradient of avg_pool for x of `shape`."""

    __slots__ = ()

    @staticmethod
    def forward(g: Any, windows: Windows, divisor: Any, shape: Ints) -> Any:
        n, c, *counts = g.shape
        share = (g / _divisor(divisor, g)).transpose(1, 0, *range(2, g.ndim))
        share = share.reshape(c, *(1,) * len(counts), n, *counts)
        cells = module_of(g).broadcast_to(share, (c, *windows.kernel, n, *counts))
        return windows.folded(cells, shape)

    def backward(self, m: Any, gg: Any) -> Any:
        return (m.avg_pool(gg, *self.attrs),)


@register("columns_of_windows")
class ColumnsOfWindows(Op):
    """columns_of_windows(x, windows, shape): (N, C * cells, count of windows); im2col."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(x: Any, windows: Windows, shape: Ints) -> Any:
        n, c = shape[:2]
        out = windows.view(windows.padded(x)).reshape(
            n, c * windows.cells, math.prod(windows.counts(shape[2:]))
        )
        return (
            module_of(x).ascontiguousarray(out) if not module_of(x).may_share_memory(out, x) else out.copy()
        )

    def backward(self, m: Any, g: Any) -> Any:
        return (m.windows_of_columns(g, *self.attrs),)

    def name(self) -> str:
        return "Im2ColBackward0"


@register("windows_of_columns")
class WindowsOfColumns(Op):
    """windows_of_columns(x, windows, shape): the sum of all windows where they lie in an image of `shape`; col2im."""

    __slots__ = ()

    @staticmethod
    def forward(x: Any, windows: Windows, shape: Ints) -> Any:
        n, c = shape[:2]
        cells = x.reshape(n, c, *windows.kernel, *windows.counts(shape[2:]))
        d = len(windows.kernel)
        return windows.folded(cells.transpose(1, *range(2, 2 + d), 0, *range(2 + d, 2 + 2 * d)), shape)

    def backward(self, m: Any, gg: Any) -> Any:
        return (m.columns_of_windows(gg, *self.attrs),)

    def name(self) -> str:
        return "Col2ImBackward0"
