"""Windows that slide over the last dimensions of an image (N, C, *sizes): how they lie, views of them, their sum."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

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
        v = self.view(self.padded(x))
        d = len(self.kernel)
        return v.transpose(1, *range(2, 2 + d), 0, *range(2 + d, 2 + 2 * d))

    def folded(self, cells: Any, shape: Ints) -> Any:
        """The transpose of `lined`: adds cells (C, *kernel, N, *counts) into an image of `shape`, in reading order."""
        d = len(self.kernel)
        counts = cells.shape[2 + d :]
        order = (1, 0, *range(2, 2 + d))
        room = tuple(a + n + b for a, n, b in zip(self.low, shape[2:], self.high, strict=True))
        x = module_of(cells).zeros((*shape[:2], *room), cells.dtype)
        for cell in self.each_cell():
            target = self.under(x, cell, counts)
            target += cells[(slice(None), *cell)].transpose(order)
        return x if room == tuple(shape[2:]) else x[self.inside(shape[2:])]
