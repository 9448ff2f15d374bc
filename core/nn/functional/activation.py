"""Activation functions."""

from __future__ import annotations

from ...functions import (
    erf,
    log_softmax,
    relu,
    sigmoid,
    softmax,
    tanh,
)
from ...ops import activation as _act
from ...ops.registry import apply
from ...tensor import Tensor

__all__ = ["gelu", "log_softmax", "logsigmoid", "relu", "sigmoid", "silu", "softmax", "softplus", "tanh"]


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Gaussian error linear unit (Hendrycks and Gimpel, arXiv:1606.08415)."""
    if approximate == "tanh":
        return input * 0.5 * (tanh((input + input * input * input * 0.044715) * 0.7978845608028654) + 1.0)
    if approximate != "none":
        raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}")
    return input * 0.5 * (erf(input * 0.7071067811865476) + 1.0)


def silu(input: Tensor) -> Tensor:
    return input * sigmoid(input)


def softplus(input: Tensor) -> Tensor:
    return apply(_act.Softplus, (input,))


def logsigmoid(input: Tensor) -> Tensor:
    return -softplus(-input)
