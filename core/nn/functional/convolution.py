"""Convolutions and transposed convolutions."""

from __future__ import annotations

from typing import Any

from ...autocast import runs_low
from ...functions import reshape, squeeze, unsqueeze
from ...ops import convolution as _conv
from ...ops import resampling as _rs
from ...ops.registry import apply
from ...ops.windows import Ints, Windows
from ...tensor import Tensor
from .arguments import same_dtype
from .sizes import in_both, ints, is_batched, joined, tensor_argument

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


@in_both
@runs_low("cpu", "cuda")
def conv1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """input (N, C, L) or (C, L) with weight (O, C / groups, k). padding: integers, "valid" or "same"."""
    return _convolve(1, "conv1d", input, weight, bias, stride, padding, dilation, groups)


@in_both
@runs_low("cpu", "cuda")
def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """input (N, C, H, W) or (C, H, W) with weight (O, C / groups, kh, kw). padding: integers, "valid" or "same"."""
    return _convolve(2, "conv2d", input, weight, bias, stride, padding, dilation, groups)


@in_both
@runs_low("cpu", "cuda")
def conv3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Tensor:  # fmt: skip
    """input (N, C, D, H, W) or (C, D, H, W) with weight (O, C / groups, kd, kh, kw). padding: integers, "valid" or "same"."""
    return _convolve(3, "conv3d", input, weight, bias, stride, padding, dilation, groups)


@in_both
@runs_low("cpu", "cuda")
def conv_transpose1d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """The gradient of conv1d for its input, as a layer: input (N, C, L) with weight (C, O / groups, k)."""
    return _transposed(1, "conv_transpose1d", input, weight, bias, stride, padding, output_padding, groups, dilation)  # fmt: skip


@in_both
@runs_low("cpu", "cuda")
def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """The gradient of conv2d for its input, as a layer: input (N, C, H, W) with weight (C, O / groups, kh, kw)."""
    return _transposed(2, "conv_transpose2d", input, weight, bias, stride, padding, output_padding, groups, dilation)  # fmt: skip


@in_both
@runs_low("cpu", "cuda")
def conv_transpose3d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Tensor:  # fmt: skip
    """The gradient of conv3d for its input, as a layer: input (N, C, D, H, W) with weight (C, O / groups, kd, kh, kw)."""
    return _transposed(3, "conv_transpose3d", input, weight, bias, stride, padding, output_padding, groups, dilation)  # fmt: skip


def _operands(
    n: int, name: str, input: Any, weight: Any, bias: Any, stride: Any, dilation: Any, groups: Any
) -> tuple[Ints, Ints]:
    """Checks what both kinds share."""
    tensor_argument(input, name)
    tensor_argument(weight, name, "weight")
    if bias is not None:
        tensor_argument(bias, name, "bias")
    if isinstance(groups, bool) or not isinstance(groups, int):
        raise TypeError(f"{name}(): argument 'groups' must be int, not {type(groups).__name__}")
    is_batched(input, n, name)
    step, spread = ints(stride, n, name, "stride"), ints(dilation, n, name, "dilation")
    if weight.ndim != n + 2:
        raise RuntimeError(
            f"{name}: expected a weight of {n + 2} dimensions for an input of size {list(input.shape)}, "
            f"but got weight of size {list(weight.shape)}"
        )
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if min(step) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(spread) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got {list(spread)}")
    shape = weight._array.shape
    if shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but got weight of size "
            f"{list(shape)} instead"
        )
    if shape[0] % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, but got weight of size "
            f"[{list(shape)}] instead"
        )
    if not all(shape[2:]):
        raise RuntimeError(f"kernel size should be greater than zero, but got {list(shape[2:])}")
    same_dtype(name, input, weight, bias)
    if input._array.dtype.kind == "b":
        raise NotImplementedError(f'"{name}" not implemented for bool; convert with .float() first')
    return step, spread


def _check_bias(weight: Tensor, bias: Tensor | None, channels: int, start: str = "Given ") -> None:
    if bias is not None and bias._array.shape != (channels,):
        raise RuntimeError(
            f"{start}weight of size {list(weight.shape)}, expected bias to be 1-dimensional with {channels} elements, "
            f"but got bias of size {list(bias.shape)} instead"
        )


def _convolve(
    n: int,
    name: str,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
) -> Tensor:
    step, spread = _operands(n, name, input, weight, bias, stride, dilation, groups)
    kernel = weight._array.shape[2:]
    low, high = _margins(n, name, padding, kernel, step, spread)
    shape = input._array.shape
    channels = weight._array.shape[1] * groups
    if shape[-n - 1] != channels:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(shape)} to have {channels} "
            f"channels, but got {shape[-n - 1]} channels instead"
        )
    _check_bias(weight, bias, weight._array.shape[0])
    room = [s + a + b for s, a, b in zip(shape[-n:], low, high, strict=True)]
    reach = [d * (k - 1) + 1 for d, k in zip(spread, kernel, strict=True)]
    if any(r < k for r, k in zip(room, reach, strict=True)):
        raise RuntimeError(
            f"Calculated padded input size per channel: {joined(room)}. Kernel size: {joined(reach)}. "
            "Kernel size can't be greater than actual input size"
        )
    if not all(shape[-n:]):
        raise RuntimeError(
            f"Only zero batch or zero channel inputs are supported, but got input shape: {list(shape)}"
        )
    windows = Windows(kernel, step, spread, low, high)
    if len(shape) == n + 1:
        return squeeze(_applied(unsqueeze(input, 0), weight, bias, windows, groups), 0)
    return _applied(input, weight, bias, windows, groups)


def _applied(input: Tensor, weight: Tensor, bias: Tensor | None, windows: Windows, groups: int) -> Tensor:
    if bias is None:
        return apply(_conv.Convolution, (input, weight), (windows, groups))
    return apply(_conv.ConvolutionWithBias, (input, weight, bias), (windows, groups))


def _margins(n: int, name: str, padding: Any, kernel: Ints, step: Ints, spread: Ints) -> tuple[Ints, Ints]:
    """What is added before and after each dimension."""
    if isinstance(padding, str):
        if padding == "valid":
            return (0,) * n, (0,) * n
        if padding != "same":
            raise RuntimeError(f"Invalid padding string: '{padding}'")
        if max(step) > 1:
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        total = [d * (k - 1) for d, k in zip(spread, kernel, strict=True)]
        return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    both = ints(padding, n, name, "padding")
    if min(both) < 0:
        raise RuntimeError("negative padding is not supported")
    return both, both


def _transposed(
    n: int, name: str, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any, groups: Any,
    dilation: Any,
) -> Tensor:  # fmt: skip
    step, spread = _operands(n, name, input, weight, bias, stride, dilation, groups)
    margin = ints(padding, n, name, "padding")
    extra = ints(output_padding, n, name, "output_padding")
    if min(margin) < 0:
        raise RuntimeError("negative padding is not supported")
    if min(extra) < 0:
        raise RuntimeError("negative output_padding is not supported")
    shape, kernel = input._array.shape, weight._array.shape[2:]
    if shape[-n - 1] != weight._array.shape[0]:
        raise RuntimeError(
            f"Given transposed=1, weight of size {list(weight.shape)}, expected input{list(shape)} to have "
            f"{weight._array.shape[0]} channels, but got {shape[-n - 1]} channels instead"
        )
    channels = weight._array.shape[1] * groups
    _check_bias(weight, bias, channels, "Given transposed=1, ")
    if any(e >= s and e >= d for e, s, d in zip(extra, step, spread, strict=True)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got output_padding={extra}, stride={step}, "
            f"dilation={spread}"
        )
    sizes = tuple(
        (i - 1) * s - 2 * p + d * (k - 1) + e + 1
        for i, s, p, d, k, e in zip(shape[-n:], step, margin, spread, kernel, extra, strict=True)
    )
    if min(sizes) < 1:
        raise RuntimeError(
            f"Given input size per channel: {joined(shape[-n:])}. Calculated output size per channel: {joined(sizes)}. "
            "Output size is too small"
        )
    x = input if len(shape) == n + 2 else unsqueeze(input, 0)
    # Of the end that padding cuts off, output_padding takes back what it can; beyond lies what no window reaches, zeros. Less
    # than a step of it may stay in the room that windows are counted in.
    within = [e < s for e, s in zip(extra, step, strict=True)]
    high = tuple(p if w else max(p - e, 0) for p, e, w in zip(margin, extra, within, strict=True))
    beyond = tuple(0 if w else max(e - p, 0) for p, e, w in zip(margin, extra, within, strict=True))
    reached = tuple(n - e for n, e in zip(sizes, beyond, strict=True))
    if min(reached) < 1:
        raise NotImplementedError(
            f"{name}: an output of which output_padding alone makes up a whole dimension is not supported, got {sizes}"
        )
    windows = Windows(kernel, step, spread, margin, high)
    out = apply(
        _conv.ConvolutionInput, (x, weight), (windows, groups, (x._array.shape[0], channels, *reached))
    )
    if any(beyond):
        out = apply(_rs.Pad, (out,), (((0, 0), (0, 0), *((0, e) for e in beyond)), 0))
    if bias is not None:
        out = out + reshape(bias, (1, channels, *(1,) * n))
    return out if len(shape) == n + 2 else squeeze(out, 0)
