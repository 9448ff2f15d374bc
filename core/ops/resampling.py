"""Linear maps along one dimension that read few elements for each output, and margins of a constant.

Interpolation, uneven averages and reflected or repeated margins are all such maps; the gradient is the map with its table
turned around, so that nothing is ever added in an order that could change.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .registry import register

__all__ = ["Pad", "Resample", "Table"]

Host = np.ndarray[Any, Any]


class Table:
    """For each output the elements it reads, tap by tap, and their weights.

    index: int64 (taps, outputs); the number `sources` reads nothing. weight: of index's shape; None where all are 1.
    """

    def __init__(self, index: Host, weight: Host | None, sources: int) -> None:
        self.index, self.weight, self.sources = index, weight, sources
        self.outputs: int = index.shape[1]
        self.reads_nothing = bool((index == sources).any())

    @cached_property
    def transposed(self) -> Table:
        """For each source the outputs that read it, in order."""
        taps = np.broadcast_to(np.arange(self.outputs), self.index.shape)
        kept = (self.index != self.sources).T
        source, output = self.index.T[kept], taps.T[kept]
        order = np.argsort(source, kind="stable")
        source, output = source[order], output[order]
        starts = np.searchsorted(source, np.arange(self.sources))
        rank = np.arange(source.size) - starts[source]
        depth = int(rank.max()) + 1 if rank.size else 1
        index = np.full((depth, self.sources), self.outputs)
        index[rank, source] = output
        weight = None
        if self.weight is not None:
            weight = np.zeros(index.shape)
            weight[rank, source] = self.weight.T[kept][order]
        turned = Table(index, weight, self.outputs)
        turned.__dict__["transposed"] = self
        return turned


@register("resample")
class Resample(Op):
    """resample(x, table, axis): each output along the axis is the weighted sum of what the table says."""

    __slots__ = ()

    @staticmethod
    def forward(x: Any, table: Table, axis: int) -> Any:
        xp = module_of(x)
        if table.reads_nothing:  # a zero at the end: 0 times what lies elsewhere could be NaN
            nothing = xp.zeros((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)
            x = xp.concatenate((x, nothing), axis=axis)
        along = (-1,) + (1,) * (x.ndim - axis - 1)
        total = None
        for tap, index in enumerate(table.index):
            part = x.take(xp.asarray(index), axis=axis)
            if table.weight is not None:
                part *= xp.asarray(table.weight[tap].astype(x.dtype)).reshape(along)
            if total is None:
                total = part
            else:
                total += part
        return total

    def backward(self, m: Any, g: Any) -> Any:
        table, axis = self.attrs
        return (m.resample(g, table.transposed, axis),)


@register("pad")
class Pad(Op):
    """pad(x, widths, value): widths has a pair for each dimension; negative ones cut off."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(x: Any, widths: tuple[tuple[int, int], ...], value: Any) -> Any:
        xp = module_of(x)
        shape = tuple(a + n + b for n, (a, b) in zip(x.shape, widths, strict=True))
        out = xp.full(shape, value, x.dtype) if value else xp.zeros(shape, x.dtype)
        here = tuple(slice(max(a, 0), n - max(b, 0)) for n, (a, b) in zip(shape, widths, strict=True))
        there = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, widths, strict=True))
        out[here] = x[there]
        return out

    def backward(self, m: Any, g: Any) -> Any:
        return (m.pad(g, tuple((-a, -b) for a, b in self.attrs[0]), 0),)

    def name(self) -> str:
        return "ConstantPadNdBackward0"
