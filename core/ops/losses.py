"""Losses with gradients of their own."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..node import Op
from .registry import register

_LEAST = -100.0  # what logarithms of 0 count as
_SMALLEST = 1e-12


@register("bce", inputs=2)
class Bce(Op):
    """bce(x, t): -(t log(x) + (1 - t) log(1 - x)), of probabilities; logarithms are at least -100."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(x: Any, t: Any) -> Any:
        xp = module_of(x)
        least = x.dtype.type(_LEAST)
        return (t - 1) * xp.maximum(xp.log1p(-x), least) - t * xp.maximum(xp.log(x), least)

    def backward(self, m: Any, g: Any, x: Any, t: Any) -> Any:
        ex, et = self.edges
        gx = gt = None
        if ex is not None:
            gx = g * (x - t) / m.clamp((1 - x) * x, _SMALLEST, None)
        if et is not None:
            gt = g * (m.log1p(-x) - m.log(x))
        return gx, gt

    def name(self) -> str:
        return "BinaryCrossEntropyBackward0"
