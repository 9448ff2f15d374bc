"""Channels into pixels and back, windows into columns and back."""

from __future__ import annotations

import math
from typing import Any

from ...functions import permute, reshape, squeeze, unsqueeze
from ...functions.catalogue import public
from ...ops import windows as _win
from ...ops.registry import apply
from ...tensor import Tensor
from .arguments import sizes

__all__ = ["channel_shuffle", "fold", "pixel_shuffle", "pixel_unshuffle", "unfold"]


@public(method=False)
def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(*, C r², H, W) -> (*, C, H r, W r). Shi et al., arXiv:1609.05158."""
    r = upscale_factor
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


@public(method=False)
def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(*, C, H r, W r) -> (*, C r², H, W)."""
    r = downscale_factor
    if input.ndim < 3:
        raise RuntimeError(f"pixel_unshuffle expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)")  # fmt: skip
    if r <= 0:
        raise RuntimeError(f"pixel_unshuffle expects a positive downscale_factor, but got {r}")
    *lead, c, h, w = input._array.shape
    for name, size in (("height", h), ("width", w)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {name} to be divisible by downscale_factor, but {size} is not divisible by {r}"
            )
    x = reshape(input, math.prod(lead), c, h // r, r, w // r, r)
    return reshape(permute(x, 0, 1, 3, 5, 2, 4), *lead, c * r * r, h // r, w // r)


@public(method=False)
def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """Takes the channels of (N, C, *) from `groups` groups by turns. Zhang et al., arXiv:1707.01083."""
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


def _spec(
    image: tuple[int, ...], kernel_size: Any, dilation: Any, padding: Any, stride: Any, name: str
) -> Any:
    kernel, dilation = sizes(kernel_size, 2, "kernel_size"), sizes(dilation, 2, "dilation")
    padding, stride = sizes(padding, 2, "padding"), sizes(stride, 2, "stride")
    for what, values, least in (
        ("kernel_size", kernel, 1),
        ("dilation", dilation, 1),
        ("padding", padding, 0),
        ("stride", stride, 1),
    ):
        if min(values) < least:
            raise RuntimeError(
                f"{name}: {what} should be {'non-negative' if least == 0 else 'greater than zero'}, but got {values}"
            )
    out = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(image, padding, dilation, kernel, stride, strict=True)
    )
    if min(out) < 1:
        raise RuntimeError(
            f"{name}: given spatial size {image}, kernel_size={kernel}, dilation={dilation}, padding={padding}, stride={stride}, the "
            f"array of sliding blocks would have shape {out}, which is too small (non-positive)"
        )
    return _win.Windows(kernel, stride, padding, dilation, out)


@public(namespace="torch.nn.functional", method=False)
def unfold(input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Every window of (N, C, H, W) as a column: (N, C · cells, windows)."""
    if input.ndim not in (3, 4):
        raise RuntimeError(f"Expected 3D or 4D (batch mode) tensor for input with possibly 0 batch size, but got: {list(input.shape)}")  # fmt: skip
    x = unsqueeze(input, 0) if input.ndim == 3 else input
    out = apply(
        _win.TakeAllWindows,
        (x,),
        (_spec(x._array.shape[2:], kernel_size, dilation, padding, stride, "unfold"),),
    )
    return squeeze(out, 0) if input.ndim == 3 else out


@public(namespace="torch.nn.functional", method=False)
def fold(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Columns (N, C · cells, windows) added into an image (N, C, *output_size)."""
    if input.ndim not in (2, 3):
        raise RuntimeError(f"Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size, but got: {list(input.shape)}")  # fmt: skip
    image = sizes(output_size, 2, "output_size")
    spec = _spec(image, kernel_size, dilation, padding, stride, "fold")
    x = unsqueeze(input, 0) if input.ndim == 2 else input
    n, rows, windows = x._array.shape
    cells = math.prod(spec.kernel)
    if rows % cells:
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={rows} and kernel_size={spec.kernel}."
        )
    if windows != math.prod(spec.out):
        raise RuntimeError(
            f"Given output_size={image}, kernel_size={spec.kernel}, dilation={spec.dilation}, padding={spec.padding}, "
            f"stride={spec.stride}, expected size of input's dimension 2 to match the calculated number of sliding blocks "
            f"{' * '.join(map(str, spec.out))} = {math.prod(spec.out)}, but got input.size(2)={windows}."
        )
    out = apply(_win.PutAllWindows, (x,), (spec, (n, rows // cells, *image)))
    return squeeze(out, 0) if input.ndim == 2 else out
