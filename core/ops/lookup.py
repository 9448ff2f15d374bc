"""Rows of a table by index, and the ordered sum that is the table's gradient."""

from __future__ import annotations

from typing import Any

from ..node import Op
from .registry import register


@register("lookup")
class Lookup(Op):
    """lookup(table, index, factors): rows of the table by a raw index of integers.

    factors: None, or for each index what its row's gradient is multiplied by before it is added to the table's.
    """

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(table: Any, index: Any, factors: Any) -> Any:
        return table[index]

    def backward(self, m: Any, g: Any) -> Any:
        index, factors = self.attrs
        if factors is not None:
            g = g * (type(g)._wrap(factors) if hasattr(g, "_array") else factors)
        return (m.put_items(g, (index,), self.input_shape()),)

    def name(self) -> str:
        return "EmbeddingBackward0"
