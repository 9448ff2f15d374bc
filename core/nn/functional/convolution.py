"""Convolutions."""

from __future__ import annotations

from typing import Any

from ...functions import (
    reshape,
)
from ...ops import convolution as _conv
from ...ops.registry import apply
from ...tensor import Tensor
from .arguments import pair, same_dtype

__all__ = ["conv2d"]


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """input (N, C, H, W) with weight (O, C, kh, kw) -> (N, O, oh, ow)."""
    if pair(dilation) != (1, 1) or groups != 1:
        raise NotImplementedError(
            f"conv2d: dilation 1 and groups 1 are supported, got dilation={dilation}, groups={groups}"
        )
    if input.ndim != 4 or input._array.shape[1] != weight._array.shape[1]:
        raise RuntimeError(
            f"conv2d: expected an input of shape (N, {weight._array.shape[1]}, H, W) for weight {tuple(weight.shape)}, got {tuple(input.shape)}"
        )
    same_dtype("conv2d", input, weight, bias)
    stride, padding = pair(stride), pair(padding)
    if min(padding) < 0:
        raise RuntimeError(f"negative padding is not supported, got {padding}")
    if min(stride) <= 0:
        raise RuntimeError(f"non-positive stride is not supported, got {stride}")
    if bias is not None and bias._array.shape != weight._array.shape[:1]:
        raise RuntimeError(
            f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with {weight._array.shape[0]} "
            f"elements, but got bias of size {list(bias.shape)} instead"
        )
    for axis in (0, 1):
        if input._array.shape[2 + axis] + 2 * padding[axis] < weight._array.shape[2 + axis]:
            raise RuntimeError(
                f"Calculated padded input size per channel is smaller than the kernel: input {tuple(input.shape)}, padding {padding}, weight {tuple(weight.shape)}"
            )
    out = apply(_conv.Conv2d, (input, weight), (stride, padding))
    return out if bias is None else out + reshape(bias, 1, -1, 1, 1)
