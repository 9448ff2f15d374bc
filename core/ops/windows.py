"""Windows of N-dimensional images: what lies under a kernel at each place, as a view; and how it is added back.

Images are (N, C, *sizes); a kernel, strides, paddings and dilations are tuples with an int for each of the sizes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..backends import module_of
from ..node import Op
from .registry import register

__all__ = ["Windows", "columns", "folded", "padded", "views"]

Ints = tuple[int, ...]


class Windows(NamedTuple):
    """Where a kernel is laid: at `out` places along each dimension, the first `padding` before the image begins."""

    kernel: Ints
    stride: Ints
    padding: Ints
    dilation: Ints
    out: Ints

    def cells(self) -> Iterator[Ints]:
        """The cells of the kernel, in reading order."""
        return itertools.product(*map(range, self.kernel))

    def spans(self) -> Ints:
        """How long a stretch of the padded image all windows together cover, along each dimension."""
        return tuple(
            (o - 1) * s + d * (k - 1) + 1
            for o, s, d, k in zip(self.out, self.stride, self.dilation, self.kernel, strict=True)
        )

    def under(self, cell: Ints) -> tuple[slice, ...]:
        """What of the padded image lies under a cell, window by window."""
        return tuple(
            slice(i * d, i * d + (o - 1) * s + 1, s)
            for i, d, o, s in zip(cell, self.dilation, self.out, self.stride, strict=True)
        )


def padded(x: Any, spec: Windows, value: Any = 0) -> Any:
    """The stretch of `x`, with `value` around it, that all windows cover."""
    spans, sizes = spec.spans(), x.shape[2:]
    after = [max(0, span - p - n) for span, p, n in zip(spans, spec.padding, sizes, strict=True)]
    if any(spec.padding) or any(after):
        widths = ((0, 0), (0, 0), *zip(spec.padding, after, strict=True))
        x = module_of(x).pad(x, widths, mode="constant", constant_values=value)
    if x.shape[2:] != spans:
        x = x[(slice(None), slice(None), *(slice(0, span) for span in spans))]
    return x


def views(x: Any, spec: Windows) -> Any:
    """A view (N, C, *kernel, *out) of what `padded` gave."""
    n, c, *rest = x.strides
    by_cell = tuple(s * d for s, d in zip(rest, spec.dilation, strict=True))
    by_window = tuple(s * d for s, d in zip(rest, spec.stride, strict=True))
    as_strided = module_of(x).lib.stride_tricks.as_strided
    return as_strided(x, (*x.shape[:2], *spec.kernel, *spec.out), (n, c, *by_cell, *by_window))


def columns(x: Any, spec: Windows) -> Any:
    """Matrix (C · cells, N · windows) of all windows."""
    v = views(padded(x, spec), spec)
    d = len(spec.kernel)
    v = v.transpose(*range(1, 2 + d), 0, *range(2 + d, 2 + 2 * d))
    return v.reshape(x.shape[1] * math.prod(spec.kernel), x.shape[0] * math.prod(spec.out))


def folded(cells: Any, shape: Ints, spec: Windows) -> Any:
    """The transpose of taking windows: cells (C, *kernel, N, *out) added into (N, C, *sizes), cell by cell in reading order."""
    d = len(spec.kernel)
    spans, sizes = spec.spans(), shape[2:]
    room = tuple(max(span, p + n) for span, p, n in zip(spans, spec.padding, sizes, strict=True))
    x = module_of(cells).zeros((*shape[:2], *room), cells.dtype)
    swap = (1, 0, *range(2, 2 + d))
    for cell in spec.cells():
        target = x[(slice(None), slice(None), *spec.under(cell))]
        target += cells[(slice(None), *cell)].transpose(swap)
    return x[(slice(None), slice(None), *(slice(p, p + n) for p, n in zip(spec.padding, sizes, strict=True)))]


@register("take_all_windows")
class TakeAllWindows(Op):
    """take_all_windows(x, spec): (N, C, *sizes) -> (N, C · cells, windows)."""

    __slots__ = ()

    @staticmethod
    def forward(x: Any, spec: Windows) -> Any:
        v = views(padded(x, spec), spec)
        return v.reshape(x.shape[0], x.shape[1] * math.prod(spec.kernel), math.prod(spec.out))

    def backward(self, m: Any, g: Any) -> Any:
        return (m.put_all_windows(g, *self.attrs, self.input_shape()),)

    def name(self) -> str:
        return "Im2ColBackward0"


@register("put_all_windows")
class PutAllWindows(Op):
    """put_all_windows(g, spec, shape): (N, C · cells, windows) added into (N, C, *sizes) of `shape`."""

    __slots__ = ()

    @staticmethod
    def forward(g: Any, spec: Windows, shape: Ints) -> Any:
        d = len(spec.kernel)
        cells = g.reshape(shape[0], shape[1], *spec.kernel, *spec.out)
        return folded(cells.transpose(*range(1, 2 + d), 0, *range(2 + d, 2 + 2 * d)), shape, spec)

    def backward(self, m: Any, gg: Any) -> Any:
        return (m.take_all_windows(gg, self.attrs[0]),)

    def name(self) -> str:
        return "Col2ImBackward0"
