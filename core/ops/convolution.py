"""N-dimensional convolution, by unfolding windows into one matrix product for each group of channels.

The three operations are each other's gradients, so derivatives of any order close among them. A transposed convolution
is conv_input.
"""

from __future__ import annotations

import math
from typing import Any

from ..backends import module_of
from ..node import Op
from .registry import register
from .windows import Ints, Windows, columns, folded


def _rows(g: Any) -> Any:
    """(N, O, *out) as a matrix (O, N · windows)."""
    return g.swapaxes(0, 1).reshape(g.shape[1], -1) if g.size else g.swapaxes(0, 1).reshape(g.shape[1], 0)


def _product(a: Any, b: Any, groups: int) -> Any:
    """a @ b of matrices whose rows are in groups: (groups · i, k) and (groups · k, j) -> (groups · i, j)."""
    if groups == 1:
        return a @ b
    i, k, j = a.shape[0] // groups, a.shape[1], b.shape[1]
    return (a.reshape(groups, i, k) @ b.reshape(groups, k, j)).reshape(groups * i, j)


@register("conv", inputs=2)
class Conv(Op):
    """conv(x, w, spec, groups): x (N, C, *sizes), w (O, C / groups, *kernel) -> (N, O, *out)."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(x: Any, w: Any, spec: Windows, groups: int) -> Any:
        o, n = w.shape[0], x.shape[0]
        out = _product(w.reshape(o, math.prod(w.shape[1:])), columns(x, spec), groups)
        return module_of(x).ascontiguousarray(out.reshape(o, n, *spec.out).swapaxes(0, 1))

    def backward(self, m: Any, g: Any, x: Any, w: Any) -> Any:
        ex, ew = self.edges
        return (
            m.conv_input(g, w, *self.attrs, tuple(x.shape)) if ex is not None else None,
            m.conv_weight(g, x, *self.attrs, tuple(w.shape)) if ew is not None else None,
        )

    def name(self) -> str:
        return "ConvolutionBackward0"


@register("conv_input", inputs=2)
class ConvInput(Op):
    """conv_input(g, w, spec, groups, shape): the gradient of conv for x of `shape`."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(g: Any, w: Any, spec: Windows, groups: int, shape: Ints) -> Any:
        o, per_group, cells = w.shape[0], w.shape[1], math.prod(w.shape[1:])
        if groups == 1:
            product = w.reshape(o, cells).T @ _rows(g)
        else:
            transposed = w.reshape(groups, o // groups, cells).swapaxes(1, 2)
            product = transposed @ _rows(g).reshape(groups, o // groups, -1)
        return folded(product.reshape(groups * per_group, *spec.kernel, g.shape[0], *spec.out), shape, spec)

    def backward(self, m: Any, gg: Any, *saved: Any) -> Any:
        g, w = saved
        spec, groups, _ = self.attrs
        eg, ew = self.edges
        return (
            m.conv(gg, w, spec, groups) if eg is not None else None,
            m.conv_weight(g, gg, spec, groups, tuple(w.shape)) if ew is not None else None,
        )

    def name(self) -> str:
        return "ConvolutionBackward0"


@register("conv_weight", inputs=2)
class ConvWeight(Op):
    """conv_weight(g, x, spec, groups, shape): the gradient of conv for w of `shape`."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(g: Any, x: Any, spec: Windows, groups: int, shape: Ints) -> Any:
        rows, unfolded = _rows(g), columns(x, spec)
        if groups == 1:
            return (rows @ unfolded.T).reshape(shape)
        rows = rows.reshape(groups, shape[0] // groups, rows.shape[1])
        by_group = unfolded.reshape(groups, unfolded.shape[0] // groups, unfolded.shape[1])
        return (rows @ by_group.swapaxes(1, 2)).reshape(shape)

    def backward(self, m: Any, gg: Any, *saved: Any) -> Any:
        g, x = saved
        spec, groups, _ = self.attrs
        eg, ex = self.edges
        return (
            m.conv(x, gg, spec, groups) if eg is not None else None,
            m.conv_input(g, gg, spec, groups, tuple(x.shape)) if ex is not None else None,
        )
