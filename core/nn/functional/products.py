"""Products with weights."""

from __future__ import annotations

from ...functions import (
    matmul,
    reshape,
)
from ...ops import matrix as _mx
from ...ops.registry import apply
from ...tensor import Tensor
from .arguments import same_dtype

__all__ = ["linear"]


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input (…, in) @ weight (out, in) transposed + bias (out,)."""
    if not input.ndim or input._array.shape[-1] != weight._array.shape[-1]:
        raise RuntimeError(
            f"linear: expected an input whose last size is {weight._array.shape[-1]} (weight {tuple(weight.shape)}), got {tuple(input.shape)}"
        )
    if bias is None:
        return matmul(input, weight.t())
    same_dtype("linear", input, weight, bias)
    if input.ndim == 2:
        return apply(_mx.Linear, (input, weight, bias))
    out = apply(_mx.Linear, (reshape(input, -1, input._array.shape[-1]), weight, bias))
    return reshape(out, *input._array.shape[:-1], weight._array.shape[0])
