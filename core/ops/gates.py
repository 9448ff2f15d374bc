"""Smooth activations that open with their argument: softplus, its kin, and the products with a gate."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..node import Op
from .activation import stable_sigmoid
from .blocks import backward_in_blocks, in_blocks
from .registry import register


def _log1p_exp(a: Any) -> Any:
    """log(1 + exp(a)), stable for large |a|."""
    xp = module_of(a)
    return xp.maximum(a, a.dtype.type(0)) + xp.log1p(xp.exp(-abs(a)))


@register("softplus")
class Softplus(Op):
    """softplus(a, beta, threshold): log(1 + exp(a * beta)) / beta, and a itself where a * beta is above the threshold."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    @in_blocks
    def forward(a: Any, beta: float, threshold: float) -> Any:
        z = a * beta
        return module_of(a).where(z > threshold, a, _log1p_exp(z) / beta)

    @backward_in_blocks
    def backward(self, m: Any, g: Any, a: Any) -> Any:
        beta, threshold = self.attrs
        z = a * beta
        return (m.where(z > threshold, g, g * m.sigmoid(z)),)


@register("logsigmoid")
class Logsigmoid(Op):
    """The logarithm of sigmoid(a)."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    @in_blocks
    def forward(a: Any) -> Any:
        return -_log1p_exp(-a)

    @backward_in_blocks
    def backward(self, m: Any, g: Any, a: Any) -> Any:
        return (g * m.sigmoid(-a),)

    def name(self) -> str:
        return "LogSigmoidBackward0"


@register("silu")
class Silu(Op):
    """a * sigmoid(a). Elfwing, Uchibe and Doya, arXiv:1702.03118."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    @in_blocks
    def forward(a: Any) -> Any:
        return a * stable_sigmoid(a)

    @backward_in_blocks
    def backward(self, m: Any, g: Any, a: Any) -> Any:
        s = m.sigmoid(a)
        return (g * (s * (a * (1 - s) + 1)),)


@register("mish")
class Mish(Op):
    """a * tanh(softplus(a)). Misra, arXiv:1908.08681."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    @in_blocks
    def forward(a: Any) -> Any:
        return a * module_of(a).tanh(_log1p_exp(a))

    @backward_in_blocks
    def backward(self, m: Any, g: Any, a: Any) -> Any:
        t = m.tanh(m.softplus(a, 1.0, 1e9))
        return (g * (t + a * m.sigmoid(a) * (1 - t * t)),)
