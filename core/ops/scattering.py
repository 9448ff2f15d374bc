"""Writing into a copy of a tensor by index: values put, added, or the larger ones kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dtypes import FLOATS
from ..node import Op
from .ordered import combine_in_order
from .registry import register

__all__ = ["IndexPut", "PutNumber", "ScatterExtreme"]


@register("index_put", inputs=2)
class IndexPut(Op):
    """index_put(a, values, index, accumulate): a copy with values put, or added, at a raw index.

    What is put has no place twice. values has the shape of what the index reads.
    """

    __slots__ = ()

    @staticmethod
    def forward(a: Any, values: Any, index: Any, accumulate: bool) -> Any:
        out = a.copy(order="C")
        if not accumulate:
            out[index] = values
            return out
        combine_in_order("add", out, index, values)
        return out

    def backward(self, m: Any, g: Any) -> Any:
        index, accumulate = self.attrs
        old, values = self.edges
        return (
            (g if accumulate else m.put_number(g, index, 0)) if old is not None else None,
            m.index(g, index) if values is not None else None,
        )


@register("put_number")
class PutNumber(Op):
    """put_number(a, index, number): a copy with a number at a raw index."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(a: Any, index: Any, number: Any) -> Any:
        out = a.copy(order="C")
        out[index] = number
        return out

    def backward(self, m: Any, g: Any) -> Any:
        return (m.put_number(g, self.attrs[0], 0),)

    def name(self) -> str:
        return "IndexFillBackward0"


def _least(dtype: Any, largest: bool) -> Any:
    """What every other value of the dtype takes the place of."""
    if dtype.kind == "b":
        return not largest
    if dtype in FLOATS:
        return -np.inf if largest else np.inf
    return np.iinfo(dtype).min if largest else np.iinfo(dtype).max


@register("scatter_extreme", inputs=2)
class ScatterExtreme(Op):
    """scatter_extreme(a, values, index, largest, include_self): where the index leads the largest or smallest of the values
    and, with include_self, what is there. Ties share the gradient evenly."""

    __slots__ = ()
    save = (0, 1, "out")
    exact = True

    @staticmethod
    def forward(a: Any, values: Any, index: Any, largest: bool, include_self: bool) -> Any:
        out = a.copy(order="C")
        if not include_self:
            out[index] = _least(out.dtype, largest)
        combine_in_order("max" if largest else "min", out, index, values)
        return out

    def backward(self, m: Any, g: Any, a: Any, values: Any, out: Any) -> Any:
        index, _, include_self = self.attrs
        dtype = g.dtype if hasattr(g.dtype, "kind") else g.dtype.numpy
        kept = m.cast(a == out, dtype)
        if not include_self:
            kept = m.put_number(kept, index, 0)
        chosen = m.cast(values == m.index(out, index), dtype)
        share = g / m.index_put(kept, chosen, index, True)
        return kept * share, chosen * m.index(share, index)
