"""Windows that slide over the last dimensions of an image (N, C, *sizes): how they lie, views of them, their sum."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..backends import module_of

__all__ = ["Windows"]

Ints = tuple[int, ...]


class Windows(NamedTuple):
    """One entry for each of the image's sizes: the window's, its step, the step between its cells, and how much is added
    before and after the image."""

    kernel: Ints
    stride: Ints
    dilation: Ints
    low: Ints
    high: Ints

    def counts(self, sizes: Ints) -> Ints:
        """How many windows there are along each dimension of an image of `sizes`."""
        return tuple(
            (n + a + b - d * (k - 1) - 1) // s + 1 for n, k, s, d, a, b in zip(sizes, *self, strict=True)
        )

    @property
    def cells(self) -> int:
        return math.prod(self.kernel)

    def padded(self, x: Any, value: Any = 0) -> Any:
        """The image with `value` around it; itself where nothing is added."""
        if not any(self.low) and not any(self.high):
            return x
        sizes = x.shape[2:]
        xp = module_of(x)
        shape = (*x.shape[:2], *(a + n + b for a, n, b in zip(self.low, sizes, self.high, strict=True)))
        out = xp.full(shape, value, x.dtype) if value else xp.zeros(shape, x.dtype)
        out[self.inside(sizes)] = x
        return out

    def inside(self, sizes: Ints) -> Any:
        """The index of the image in what `padded` makes of it."""
        return (slice(None), slice(None), *(slice(a, a + n) for a, n in zip(self.low, sizes, strict=True)))

    def along(self, axis: int, size: int) -> list[slice]:
        """What lies under each cell of every window along one dimension, of a padded size."""
        k, s, d = self.kernel[axis], self.stride[axis], self.dilation[axis]
        count = (size - d * (k - 1) - 1) // s + 1
        return [slice(i * d, i * d + (count - 1) * s + 1, s) if count else slice(0, 0) for i in range(k)]

    def view(self, x: Any) -> Any:
        """A view (N, C, *kernel, *counts) of a padded image."""
        n, c, *sizes = x.shape
        sn, sc, *steps = x.strides
        counts = tuple(
            (size - d * (k - 1) - 1) // s + 1
            for size, k, s, d in zip(sizes, self.kernel, self.stride, self.dilation, strict=True)
        )
        within = [b * d for b, d in zip(steps, self.dilation, strict=True)]
        between = [b * s for b, s in zip(steps, self.stride, strict=True)]
        as_strided = module_of(x).lib.stride_tricks.as_strided
        return as_strided(x, (n, c, *self.kernel, *counts), (sn, sc, *within, *between))

    def each_cell(self) -> Iterator[Ints]:
        """The cells of a window in reading order."""
        return itertools.product(*map(range, self.kernel))

    def under(self, x: Any, cell: Ints, counts: Ints) -> Any:
        """A view (N, C, *counts) of what lies under one cell of every window of a padded image."""
        return x[(slice(None), slice(None), *self._under(cell, counts))]

    def _under(self, cell: Ints, counts: Ints) -> list[slice]:
        return [
            slice(i * d, i * d + (n - 1) * s + 1, s) if n else slice(0, 0)
            for i, d, s, n in zip(cell, self.dilation, self.stride, counts, strict=True)
        ]

    def lined(self, x: Any) -> Any:
        """A view (C, *kernel, N, *counts) of all windows of an image, to be copied into the rows of a matrix."""
        if x.__class__ is np.ndarray and len(self.kernel) > 1 and self.kernel[-1] > 1:
            return self._lined_by_rows(x)
        v = self.view(self.padded(x))
        d = len(self.kernel)
        return v.transpose(1, *range(2, 2 + d), 0, *range(2 + d, 2 + 2 * d))

    def _lined_by_rows(self, x: Any) -> Any:
        """`lined`, where what lies under each cell of a row is first put together: so that short pieces are copied once for
        each cell of a row of the window, and long ones for each of its cells. Half the time for 14 x 14 images."""
        counts = self.counts(x.shape[2:])
        moved = x.swapaxes(0, 1)
        margins = any(self.low) or any(self.high)
        room = [a + n + b for a, n, b in zip(self.low[:-1], x.shape[2:-1], self.high[:-1], strict=True)]
        shape = (self.kernel[-1], *moved.shape[:2], *room, counts[-1])
        rows: Any = (np.zeros if margins else np.empty)(shape, x.dtype)
        inside = tuple(slice(a, a + n) for a, n in zip(self.low[:-1], x.shape[2:-1], strict=True))
        for cell in range(self.kernel[-1]):
            to, under = self._within_row(cell, x.shape[-1], counts[-1])
            rows[(cell, slice(None), slice(None), *inside, to)] = moved[..., under]
        per_cell, per_channel, per_image, *steps = rows.strides
        between = [b * s for b, s in zip(steps, self.stride[:-1], strict=False)]
        within = [b * d for b, d in zip(steps, self.dilation[:-1], strict=False)]
        return np.lib.stride_tricks.as_strided(
            rows,
            (x.shape[1], *self.kernel, x.shape[0], *counts),
            (per_channel, *within, per_cell, per_image, *between, steps[-1]),
        )

    def _within_row(self, cell: int, size: int, count: int) -> tuple[slice, slice]:
        """Which windows of a row of the image have a cell number `cell` in it, and where these cells lie."""
        step, low = self.stride[-1], self.low[-1] - cell * self.dilation[-1]
        first = max(0, -(-low // step))
        last = max(first, min(count, (size - 1 + low) // step + 1))
        at = first * step - low
        return slice(first, last), slice(
            at, at + (last - first - 1) * step + 1, step
        ) if last > first else slice(0, 0)

    def folded(self, cells: Any, shape: Ints) -> Any:
        """The transpose of `lined`: adds cells (C, *kernel, N, *counts) into an image of `shape`, in a fixed order."""
        d = len(self.kernel)
        counts = cells.shape[2 + d :]
        if cells.__class__ is np.ndarray and d > 1 and self.kernel[-1] > 1:
            return self._folded_by_rows(cells, shape, counts)
        order = (1, 0, *range(2, 2 + d))
        room = tuple(a + n + b for a, n, b in zip(self.low, shape[2:], self.high, strict=True))
        x = module_of(cells).zeros((*shape[:2], *room), cells.dtype)
        for cell in self.each_cell():
            target = self.under(x, cell, counts)
            target += cells[(slice(None), *cell)].transpose(order)
        return x if room == tuple(shape[2:]) else x[self.inside(shape[2:])]

    def _folded_by_rows(self, cells: Any, shape: Ints, counts: Ints) -> Any:
        """`folded`, as `_lined_by_rows`: first the cells of one place in a row are added, over all rows of the window."""
        d = len(self.kernel)
        room = [a + n + b for a, n, b in zip(self.low[:-1], shape[2:-1], self.high[:-1], strict=True)]
        rows: Any = np.zeros((self.kernel[-1], shape[1], shape[0], *room, counts[-1]), cells.dtype)
        by_row = cells.transpose(d, 0, *range(1, d), *range(d + 1, cells.ndim))
        for cell in itertools.product(*map(range, self.kernel[:-1])):
            under = [
                slice(i * k, i * k + (n - 1) * s + 1, s) if n else slice(0, 0)
                for i, k, s, n in zip(cell, self.dilation[:-1], self.stride[:-1], counts[:-1], strict=True)
            ]
            target = rows[(slice(None), slice(None), slice(None), *under)]
            target += by_row[(slice(None), slice(None), *cell)]
        x = np.zeros(shape, cells.dtype)
        inside = tuple(slice(a, a + n) for a, n in zip(self.low[:-1], shape[2:-1], strict=True))
        for k in range(self.kernel[-1]):
            of, under_row = self._within_row(k, shape[-1], counts[-1])
            target = x[..., under_row]
            target += rows[(k, slice(None), slice(None), *inside, of)].swapaxes(0, 1)
        return x
