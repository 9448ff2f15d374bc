"""Channels into pixels and back, windows into columns and back."""

from __future__ import annotations

import math
from typing import Any

from ...functions import permute, reshape, squeeze, unsqueeze
from ...functions.catalogue import public
from ...ops import pooling as _pool
from ...ops.registry import apply
from ...ops.windows import Windows
from ...tensor import Tensor
from .sizes import in_both, integer, ints, tensor_argument

__all__ = ["channel_shuffle", "fold", "pixel_shuffle", "pixel_unshuffle", "unfold"]


@in_both
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C r², H, W) -> (*, C, H r, W r). Shi et al., arXiv:1609.05158."""
    r = integer(upscale_factor, "pixel_shuffle", "upscale_factor")
    tensor_argument(input, "pixel_shuffle")
    if input.ndim < 3:
        raise RuntimeError(f"pixel_shuffle expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)")  # fmt: skip
    if r <= 0:
        raise RuntimeError(f"pixel_shuffle expects a positive upscale_factor, but got {r}")
    *lead, c, h, w = input._array.shape
    if c % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
            f"input.size(-3)={c} is not divisible by {r * r}"
        )
    x = reshape(input, math.prod(lead), c // (r * r), r, r, h, w)
    return reshape(permute(x, 0, 1, 4, 2, 5, 3), *lead, c // (r * r), h * r, w * r)


@in_both
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H r, W r) -> (*, C r², H, W)."""
    r = integer(downscale_factor, "pixel_unshuffle", "downscale_factor")
    tensor_argument(input, "pixel_unshuffle")
    if input.ndim < 3:
        raise RuntimeError(f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)")  # fmt: skip
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *lead, c, h, w = input._array.shape
    for name, size in (("height", h), ("width", w)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but "
                f"input.size({-2 if name == 'height' else -1})={size} is not divisible by {r}"
            )
    x = reshape(input, math.prod(lead), c, h // r, r, w // r, r)
    return reshape(permute(x, 0, 1, 3, 5, 2, 4), *lead, c * r * r, h // r, w // r)


@in_both
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Takes the channels of (N, C, *) from `groups` groups by turns. Zhang et al., arXiv:1707.01083."""
    tensor_argument(input, "channel_shuffle")
    integer(groups, "channel_shuffle", "groups")
    if input.ndim <= 2:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}"
        )
    if groups <= 0:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    n, c, *rest = input._array.shape
    if c % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {c} channels and {groups} groups."
        )
    x = reshape(input, n, groups, c // groups, math.prod(rest))
    return reshape(permute(x, 0, 2, 1, 3), n, c, *rest)


def _pair(x: Any, name: str, argument: str) -> tuple[int, int]:
    if isinstance(x, (tuple, list)) and len(x) not in (1, 2):
        raise RuntimeError(f"It is expected {argument} equals to 2, but got size {len(x)}")
    a, b = ints(x, 2, name, argument)
    return a, b


def _windows(name: str, kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> Windows:
    kernel, spread = _pair(kernel_size, name, "kernel_size"), _pair(dilation, name, "dilation")
    margin, step = _pair(padding, name, "padding"), _pair(stride, name, "stride")
    for what, short, values in (
        ("kernel size", "kernel", kernel),
        ("stride", "stride", step),
        ("dilation", "dilation", spread),
    ):
        if min(values) < 1:
            raise RuntimeError(
                f"{what} should be greater than zero, but got {short}_height: {values[0]} {short}_width: {values[1]}"
            )
    if min(margin) < 0:
        raise RuntimeError(
            f"padding should be non-negative, but got pad_height: {margin[0]} pad_width: {margin[1]}"
        )
    return Windows(kernel, step, spread, margin, margin)


@public(namespace="torch.nn.functional", method=False)
def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Every window of (N, C, H, W) or (C, H, W) as a column: (N, C * cells, windows)."""
    tensor_argument(input, "unfold")
    windows = _windows("unfold", kernel_size, dilation, padding, stride)
    if input.ndim < 3:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-input.ndim}, {input.ndim - 1}], but got 2)"
        )
    if input.ndim > 4 or not all(input._array.shape[-3:]):
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: "
            f"{list(input.shape)}"
        )
    image = input._array.shape[-2:]
    counts = windows.counts(image)
    if min(counts) < 1:
        raise RuntimeError(
            f"Given input with spatial size {image}, kernel_size={windows.kernel}, dilation={windows.dilation}, "
            f"padding={windows.low}, calculated shape of the array of sliding blocks as {counts}, but its components must be at "
            "least one."
        )
    x = unsqueeze(input, 0) if input.ndim == 3 else input
    out = apply(_pool.ColumnsOfWindows, (x,), (windows, x._array.shape))
    return squeeze(out, 0) if input.ndim == 3 else out


@public(namespace="torch.nn.functional", method=False)
def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Columns (N, C * cells, windows) or (C * cells, windows) added into an image (N, C, *output_size)."""
    tensor_argument(input, "fold")
    image = _pair(output_size, "fold", "output_size")
    windows = _windows("fold", kernel_size, dilation, padding, stride)
    if input._array.dtype.kind == "b":
        raise NotImplementedError("fold: not implemented for bool; convert with .float() first")
    if input.ndim not in (2, 3) or not all(input._array.shape[-2:]):
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for input, but "
            f"got: {list(input.shape)}"
        )
    rows, count = input._array.shape[-2:]
    if rows % windows.cells:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={rows} and kernel_size={windows.kernel}."
        )
    counts = windows.counts(image)
    if min(counts) < 1 or count != math.prod(counts):
        raise RuntimeError(
            f"Given output_size={image}, kernel_size={windows.kernel}, dilation={windows.dilation}, padding={windows.low}, "
            f"stride={windows.stride}, expected size of input's dimension 2 to match the calculated number of sliding blocks "
            f"{' * '.join(map(str, counts))} = {math.prod(counts)}, but got input.size(2)={count}."
        )
    x = unsqueeze(input, 0) if input.ndim == 2 else input
    out = apply(_pool.WindowsOfColumns, (x,), (windows, (x._array.shape[0], rows // windows.cells, *image)))
    return squeeze(out, 0) if input.ndim == 2 else out
