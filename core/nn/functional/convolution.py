"""Convolutions and transposed convolutions in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...functions import reshape, squeeze, unsqueeze
from ...functions.catalogue import public
from ...ops import convolution as _conv
from ...ops.registry import apply
from ...ops.windows import Windows
from ...tensor import Tensor
from .arguments import same_dtype, sizes
from .padding import pad

__all__ = [
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
]  # fmt: skip


def _checked(name: str, input: Tensor, weight: Tensor, bias: Tensor | None, n: int) -> bool:
    """Whether the input is a single image; raises where operands don't go together."""
    for what, t in (("input", input), ("weight", weight)):
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}(): argument '{what}' must be Tensor, not {type(t).__name__}")
    if weight.ndim != n + 2:
        raise RuntimeError(f"{name}: expected a weight of {n + 2} dimensions, got shape {list(weight.shape)}")
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to {name}, but got input of size: {list(input.shape)}"
        )
    same_dtype(name, input, weight, bias)
    return input.ndim == n + 1


def _positive(stride: Any, dilation: Any, groups: Any) -> None:
    if min(stride) <= 0:
        raise RuntimeError("non-positive stride is not supported")
    if min(dilation) <= 0:
        raise RuntimeError("dilation should be greater than zero")
    if not isinstance(groups, int) or groups <= 0:
        raise RuntimeError("non-positive groups is not supported")


def _with_bias(out: Tensor, bias: Tensor | None, n: int) -> Tensor:
    return out if bias is None else out + reshape(bias, 1, -1, *(1,) * n)


def _convolution(n: int) -> Callable[..., Tensor]:
    name = f"conv{n}d"

    def run(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:
        single = _checked(name, input, weight, bias, n)
        stride, dilation = sizes(stride, n, "stride"), sizes(dilation, n, "dilation")
        _positive(stride, dilation, groups)
        x = unsqueeze(input, 0) if single else input
        kernel = tuple(weight._array.shape[2:])
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise RuntimeError(f"Invalid padding string: '{padding}'")
            if padding == "same" and any(s != 1 for s in stride):
                raise RuntimeError("padding='same' is not supported for strided convolutions")
            whole = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
            padding = tuple(w // 2 for w in whole)
            if any(w % 2 for w in whole):  # what is left over goes behind the image
                x = pad(x, [v for w in reversed(whole) for v in (0, w % 2)])
        padding = sizes(padding, n, "padding")
        if min(padding) < 0:
            raise RuntimeError("negative padding is not supported")
        o, per_group = weight._array.shape[:2]
        channels, image = x._array.shape[1], x._array.shape[2:]
        if o < groups or o % groups:
            raise RuntimeError(
                f"Given groups={groups}, expected weight to be at least {groups} at dimension 0 and divisible by it, "
                f"but got weight of size {list(weight.shape)} instead"
            )
        if channels != per_group * groups:
            raise RuntimeError(
                f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have "
                f"{per_group * groups} channels, but got {channels} channels instead"
            )
        if bias is not None and bias._array.shape != (o,):
            raise RuntimeError(
                f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with {o} elements, but got "
                f"bias of size {list(bias.shape)} instead"
            )
        reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        room = [s + 2 * p for s, p in zip(image, padding, strict=True)]
        if any(r > s for r, s in zip(reach, room, strict=True)):
            raise RuntimeError(
                f"Calculated padded input size per channel: ({' x '.join(map(str, room))}). Kernel size: "
                f"({' x '.join(map(str, kernel))}). Kernel size can't be greater than actual input size"
            )
        places = tuple((s - r) // step + 1 for s, r, step in zip(room, reach, stride, strict=True))
        spec = Windows(kernel, stride, padding, dilation, places)
        out = _with_bias(apply(_conv.Conv, (x, weight), (spec, groups)), bias, n)
        return squeeze(out, 0) if single else out

    run.__name__ = run.__qualname__ = name
    run.__doc__ = (
        f"Cross-correlation: input (N, C, *{n} sizes), weight (O, C / groups, *kernel), bias (O,) -> (N, O, *{n} sizes). "
        "padding: ints, 'same' or 'valid'."
    )
    return run


def _transposed(n: int) -> Callable[..., Tensor]:
    name = f"conv_transpose{n}d"

    def run(
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Tensor:
        single = _checked(name, input, weight, bias, n)
        stride, dilation = sizes(stride, n, "stride"), sizes(dilation, n, "dilation")
        padding, output_padding = sizes(padding, n, "padding"), sizes(output_padding, n, "output_padding")
        _positive(stride, dilation, groups)
        if min(padding) < 0:
            raise RuntimeError("negative padding is not supported")
        if min(output_padding) < 0:
            raise RuntimeError("negative output_padding is not supported")
        if any(o >= s and o >= d for o, s, d in zip(output_padding, stride, dilation, strict=True)):
            raise RuntimeError(
                f"output padding must be smaller than either stride or dilation, but got output_padding={output_padding}, "
                f"stride={stride}, dilation={dilation}"
            )
        x = unsqueeze(input, 0) if single else input
        channels, per_group, *kernel = weight._array.shape
        if channels % groups:
            raise RuntimeError(f"Given groups={groups}, expected weight to be divisible by it at dimension 0, got {list(weight.shape)}")  # fmt: skip
        if x._array.shape[1] != channels:
            raise RuntimeError(
                f"Given transposed=1, weight of size {list(weight.shape)}, expected input{list(x.shape)} to have {channels} "
                f"channels, but got {x._array.shape[1]} channels instead"
            )
        if bias is not None and bias._array.shape != (per_group * groups,):
            raise RuntimeError(
                f"Given transposed=1, weight of size {list(weight.shape)}, expected bias to be 1-dimensional with "
                f"{per_group * groups} elements, but got bias of size {list(bias.shape)} instead"
            )
        image = x._array.shape[2:]
        spatial = tuple(
            (i - 1) * s - 2 * p + d * (k - 1) + o + 1
            for i, s, p, d, k, o in zip(image, stride, padding, dilation, kernel, output_padding, strict=True)
        )
        if min(spatial) <= 0:
            raise RuntimeError(
                f"Given input size per channel: ({' x '.join(map(str, image))}). Calculated output size per channel: "
                f"({' x '.join(map(str, spatial))}). Output size is too small"
            )
        spec = Windows(tuple(kernel), stride, padding, dilation, image)
        shape = (x._array.shape[0], per_group * groups, *spatial)
        out = _with_bias(apply(_conv.ConvInput, (x, weight), (spec, groups, shape)), bias, n)
        return squeeze(out, 0) if single else out

    run.__name__ = run.__qualname__ = name
    run.__doc__ = f"Transposed convolution: input (N, C, *{n} sizes), weight (C, O / groups, *kernel), bias (O,) -> (N, O, *{n} sizes)."
    return run


conv1d = public(method=False)(_convolution(1))
conv2d = public(method=False)(_convolution(2))
conv3d = public(method=False)(_convolution(3))
conv_transpose1d = public(method=False)(_transposed(1))
conv_transpose2d = public(method=False)(_transposed(2))
conv_transpose3d = public(method=False)(_transposed(3))
