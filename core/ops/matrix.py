"""Matrix products."""

from __future__ import annotations

import math
from typing import Any

from ..node import Op
from .registry import register


@register("matmul", inputs=2)
class Matmul(Op):
    """matmul(a, b) of two arrays with at least 2 dimensions; leading dimensions broadcast."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return a @ b

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ea, eb = self.edges
        ga = gb = None
        if ea is not None:
            ga = m.matmul(g, m.swap_last(b))
        if eb is not None:
            if (
                b.ndim == 2 and a.ndim > 2
            ):  # one product over all rows instead of one for each batch, then a sum
                k, n = a.shape[-1], g.shape[-1]
                rows = math.prod(a.shape[:-1])
                gb = m.matmul(m.swap_last(m.reshape(a, (rows, k))), m.reshape(g, (rows, n)))
            else:
                gb = m.matmul(m.swap_last(a), g)
        return ga, gb

    def name(self) -> str:
        return (
            "MmBackward0"
            if len(self.shape) == 2
            else "BmmBackward0"
            if len(self.shape) == 3
            else "MatmulBackward0"
        )


@register("linear", inputs=3)
class Linear(Op):
    """linear(x, w, b): x @ w.T + b, with x of shape (rows, in), w (out, in), b (out,)."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(x: Any, w: Any, b: Any) -> Any:
        out = x @ w.T
        out += b
        return out

    def backward(self, m: Any, g: Any, x: Any, w: Any) -> Any:
        ex, ew, eb = self.edges
        return (
            m.matmul(g, w) if ex is not None else None,
            m.matmul(m.swap_last(g), x) if ew is not None else None,
            m.sum(g, (0,), False, g.shape) if eb is not None else None,
        )

    def name(self) -> str:
        return "AddmmBackward0"
