"""Normalisation over a set of dimensions: what the layers of that name share."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..node import Op
from .reduction import count, total
from .registry import register


@register("standardize")
class Standardize(Op):
    """standardize(x, dims, eps): (x - mean) / sqrt(var + eps) over `dims` (all non-negative), var without Bessel."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(x: Any, dims: tuple[int, ...], eps: float) -> Any:
        centered, scale = _parts(x, dims, eps)
        return centered * scale

    def backward(self, m: Any, g: Any, x: Any) -> Any:
        dims, eps = self.attrs
        shape = x.shape
        centered = x - m.mean(x, dims, True, shape)
        scale = 1 / m.sqrt(m.mean(centered * centered, dims, True, shape) + eps)
        normal = centered * scale
        dot = m.mean(g * normal, dims, True, shape)
        return ((g - m.mean(g, dims, True, shape) - normal * dot) * scale,)

    def name(self) -> str:
        return "NativeLayerNormBackward0"


def _parts(x: Any, dims: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    n = x.dtype.type(count(dims, x.shape))
    centered = x - total(x, dims, True) / n
    var = total(centered * centered, dims, True) / n
    return centered, 1 / module_of(x).sqrt(var + x.dtype.type(eps))


@register("rms_scale")
class RmsScale(Op):
    """rms_scale(x, dims, eps): x / sqrt(mean(x^2) + eps) over `dims`, which are all non-negative."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(x: Any, dims: tuple[int, ...], eps: float) -> Any:
        n = x.dtype.type(count(dims, x.shape))
        return x / module_of(x).sqrt(total(x * x, dims, True) / n + x.dtype.type(eps))

    def backward(self, m: Any, g: Any, x: Any) -> Any:
        dims, eps = self.attrs
        shape = x.shape
        scale = 1 / m.sqrt(m.mean(x * x, dims, True, shape) + eps)
        normal = x * scale
        return ((g - normal * m.mean(g * normal, dims, True, shape)) * scale,)

    def name(self) -> str:
        return "FusedRmsNormBackward0"
