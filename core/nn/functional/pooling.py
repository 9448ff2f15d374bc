"""Pooling."""

from __future__ import annotations

from typing import Any

from ...ops import convolution as _conv
from ...ops.registry import apply
from ...tensor import Tensor
from .arguments import pair

__all__ = ["avg_pool2d", "max_pool2d"]


def _pool_args(input: Tensor, kernel_size: Any, stride: Any, padding: Any, name: str) -> tuple[Any, Any, Any]:
    kernel, pad = pair(kernel_size), pair(padding)
    if input.ndim != 4:
        raise RuntimeError(f"{name}: expected an input of shape (N, C, H, W), got {tuple(input.shape)}")
    if any(2 * p > k for p, k in zip(pad, kernel, strict=True)):
        raise RuntimeError(
            f"pad should be at most half of effective kernel size, but got pad={pad}, kernel_size={kernel}"
        )
    if any(n + 2 * p < k for n, p, k in zip(input._array.shape[2:], pad, kernel, strict=True)):
        raise RuntimeError(
            f"{name}: output size is too small: input {tuple(input.shape)} with padding {pad} is smaller than the kernel {kernel}"
        )
    step = kernel if stride is None else pair(stride)
    if min(step) <= 0:
        raise RuntimeError(f"{name}: stride should not be zero, got {step}")
    return kernel, step, pad


def max_pool2d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Tensor:
    return apply(_conv.MaxPool2d, (input,), _pool_args(input, kernel_size, stride, padding, "max_pool2d"))


def avg_pool2d(input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Tensor:
    args = _pool_args(input, kernel_size, stride, padding, "avg_pool2d")
    return apply(_conv.AvgPool2d, (input,), (*args, input._array.shape))
