"""What PyTorch has on its own namespace only, or in another form there than in nn.functional, such as torch.max_pool2d."""

from __future__ import annotations

from typing import Any

from ...functions import permute
from ...functions.catalogue import public
from ...tensor import Tensor
from . import adaptive_pooling as _adaptive
from . import convolution as _conv
from . import padding as _padding
from . import pooling as _pool
from . import sampling as _sampling
from . import shuffling as _shuffling
from .sizes import ints

__all__ = [
    "adaptive_max_pool1d", "affine_grid_generator", "constant_pad_nd", "conv_tbc", "convolution", "grid_sampler", "max_pool1d", "max_pool1d_with_indices", "max_pool2d", "max_pool3d", "native_channel_shuffle",
]  # fmt: skip


@public(method=False)
def max_pool1d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest of every window of (N, C, L) or (C, L)."""
    return _pool.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode)  # type: ignore[no-any-return]


@public(method=False)
def max_pool2d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest of every window of (N, C, H, W) or (C, H, W)."""
    return _pool.max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode)  # type: ignore[no-any-return]


@public(method=False)
def max_pool3d(
    input: Tensor,
    kernel_size: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Tensor:
    """The largest of every window of (N, C, D, H, W) or (C, D, H, W)."""
    return _pool.max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode)  # type: ignore[no-any-return]


@public(method=False)
def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor]:
    """The largest of every window of (N, C, L) or (C, L), and where it stands."""
    return _pool.max_pool1d_with_indices(input, kernel_size, stride, padding, dilation, ceil_mode)


@public(method=False)
def adaptive_max_pool1d(input: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """The largest of as many even windows of (N, C, L) or (C, L) as output_size says, and where they stand."""
    return _adaptive.adaptive_max_pool1d(input, output_size, True)  # type: ignore[no-any-return]


@public(method=False)
def constant_pad_nd(input: Tensor, pad: Any, value: float = 0) -> Tensor:
    """nn.functional.pad with a constant."""
    return _padding.pad(input, pad, "constant", value)


@public(method=False)
def convolution(
    input: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int,
) -> Tensor:  # fmt: skip
    """A convolution over weight.ndim - 2 dimensions, or a transposed one."""
    n = weight.ndim - 2
    if n not in (1, 2, 3):
        raise RuntimeError(f"convolution: expected a weight of 3 to 5 dimensions, got {list(weight.shape)}")
    if transposed:
        back = (_conv.conv_transpose1d, _conv.conv_transpose2d, _conv.conv_transpose3d)[n - 1]
        return back(input, weight, bias, stride, padding, output_padding, groups, dilation)
    if any(ints(output_padding, n, "convolution", "output_padding")):
        raise RuntimeError("convolution: output_padding goes with transposed=True only")
    return (_conv.conv1d, _conv.conv2d, _conv.conv3d)[n - 1](
        input, weight, bias, stride, padding, dilation, groups
    )


@public(method=False)
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """conv1d of (time, batch, channels) with weight (k, channels, outputs)."""
    if input.ndim != 3 or weight.ndim != 3:
        raise RuntimeError(
            "Input must have 3 dims: time, batch, in_channel, and weight: kernel, in_channel, out_channel"
        )
    out = _conv.conv1d(permute(input, 1, 2, 0), permute(weight, 2, 1, 0), bias, padding=pad)
    return permute(out, 2, 0, 1)


_MODES, _BEYOND = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


@public(method=False)
def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """nn.functional.grid_sample with modes as numbers."""
    if interpolation_mode not in (0, 1, 2) or padding_mode not in (0, 1, 2):
        raise RuntimeError(
            f"grid_sampler: expected modes from 0 to 2, got interpolation_mode={interpolation_mode}, padding_mode={padding_mode}"
        )
    return _sampling.grid_sample(
        input, grid, _MODES[interpolation_mode], _BEYOND[padding_mode], align_corners
    )


@public(method=False)
def affine_grid_generator(theta: Tensor, size: Any, align_corners: bool) -> Tensor:
    """nn.functional.affine_grid."""
    return _sampling.affine_grid(theta, size, align_corners)


@public(method=False)
def native_channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """channel_shuffle."""
    return _shuffling.channel_shuffle(input, groups)
