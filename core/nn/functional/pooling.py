"""Pooling over windows: maxima, means, p-norms; and maxima put back where they came from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...backends import module_of, to_device
from ...functions import abs as _abs
from ...functions import relu, reshape, sign, squeeze, unsqueeze
from ...functions.catalogue import public
from ...ops import pooling as _pool
from ...ops.registry import apply
from ...ops.windows import Windows
from ...tensor import Tensor
from .arguments import sizes

__all__ = [
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d", "max_pool1d_with_indices",
    "max_pool2d", "max_pool2d_with_indices", "max_pool3d", "max_pool3d_with_indices", "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip


def _image(input: Tensor, n: int, name: str) -> tuple[Tensor, bool]:
    """The input as a batch, and whether it was a single image."""
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' must be Tensor, not {type(input).__name__}")
    shape = input._array.shape
    if len(shape) not in (n + 1, n + 2) or 0 in shape[len(shape) - n - 1 :]:
        raise RuntimeError(
            f"{name}: Expected {n + 1}D or {n + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got: {list(shape)}"
        )
    single = len(shape) == n + 1
    return (unsqueeze(input, 0) if single else input), single


def _windows(
    x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, n: int, name: str
) -> Windows:
    kernel = sizes(kernel, n, "kernel_size")
    empty = stride is None or (isinstance(stride, (list, tuple)) and not stride)
    stride = kernel if empty else sizes(stride, n, "stride")
    padding, dilation = sizes(padding, n, "padding"), sizes(dilation, n, "dilation")
    if min(kernel) <= 0:
        raise RuntimeError(f"{name}: kernel size should be greater than zero, but got {kernel}")
    if min(stride) <= 0:
        raise RuntimeError("stride should not be zero")
    if min(dilation) <= 0:
        raise RuntimeError(f"{name}: dilation should be greater than zero, but got {dilation}")
    if min(padding) < 0:
        raise RuntimeError(f"pad must be non-negative, but got pad: {min(padding)}")
    if any(2 * p > d * (k - 1) + 1 for p, k, d in zip(padding, kernel, dilation, strict=True)):
        raise RuntimeError(
            f"pad should be at most half of effective kernel size, but got pad={max(padding)}, kernel_size={max(kernel)} and "
            f"dilation={max(dilation)}"
        )
    out = []
    for size, k, s, p, d in zip(x._array.shape[2:], kernel, stride, padding, dilation, strict=True):
        room = size + 2 * p - d * (k - 1) - 1
        places = (room + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (places - 1) * s >= size + p:  # a last window would begin behind the image
            places -= 1
        if places < 1:
            raise RuntimeError(
                f"{name}: Given input size {tuple(x._array.shape[1:])}, the output size is too small: kernel {kernel}, padding {padding}"
            )
        out.append(places)
    return Windows(kernel, stride, padding, dilation, tuple(out))


def _flat_places(x: Tensor, spec: Windows) -> Tensor:
    """For each window the place of its first maximum, counted within one channel's image: int64 (N, C, *out)."""
    chosen = _pool.first_maximum(x._array, spec)
    xp, n = module_of(chosen), len(spec.kernel)
    flat = None
    for d in range(n):
        inner = math.prod(spec.kernel[d + 1 :])
        cell = (chosen // inner) % spec.kernel[d]
        starts = xp.arange(spec.out[d]) * spec.stride[d] - spec.padding[d]
        at = starts.reshape(*(-1 if i == d else 1 for i in range(n))) + cell * spec.dilation[d]
        flat = at if flat is None else flat * x._array.shape[2 + d] + at
    return Tensor._wrap(flat.astype(np.int64))  # type: ignore[union-attr]


def _max_pool(n: int, with_indices: bool) -> Callable[..., Any]:
    name = f"max_pool{n}d"

    def run(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = with_indices,
    ) -> Any:
        x, single = _image(input, n, name)
        spec = _windows(x, kernel_size, stride, padding, dilation, ceil_mode, n, name)
        if x._array.dtype.kind == "b":
            raise RuntimeError(f"\"{name}\" not implemented for 'Bool'; convert with .float()")
        out = apply(_pool.MaxPool, (x,), (spec,))
        results = [out, _flat_places(x, spec)] if return_indices else [out]
        results = [squeeze(r, 0) for r in results] if single else results
        return tuple(results) if return_indices else results[0]

    run.__name__ = run.__qualname__ = name + "_with_indices" * with_indices
    run.__doc__ = (
        f"Largest value of each window of (N, C, *{n} sizes); return_indices: and its place within its image."
    )
    return run


def _avg_pool(n: int) -> Callable[..., Tensor]:
    name = f"avg_pool{n}d"

    def run(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Tensor:
        x, single = _image(input, n, name)
        spec = _windows(x, kernel_size, stride, padding, 1, ceil_mode, n, name)
        if divisor_override == 0:
            raise RuntimeError("divisor must be not zero")
        if x._array.dtype.kind == "b":
            raise RuntimeError(f"\"{name}\" not implemented for 'Bool'; convert with .float()")
        divisors = divisor_override if divisor_override is not None else _counts(x, spec, count_include_pad)
        shape = tuple(x._array.shape)
        if x._array.dtype.kind in "iu":
            raise RuntimeError(f"\"{name}\" not implemented for '{x.dtype}'; convert with .float()")
        out = apply(_pool.AvgPool, (x,), (spec, divisors, shape))
        return squeeze(out, 0) if single else out

    def without_divisor(
        input: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> Tensor:
        return run(input, kernel_size, stride, padding, ceil_mode, count_include_pad)

    function = without_divisor if n == 1 else run
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Mean of each window of (N, C, *{n} sizes); count_include_pad: zeros around the image count among its elements."
    return function


def _counts(x: Tensor, spec: Windows, with_padding: bool) -> Any:
    """How many elements each window's sum is divided by: one number where it is the same for all."""
    per_dim = []
    for size, k, s, p, o in zip(
        x._array.shape[2:], spec.kernel, spec.stride, spec.padding, spec.out, strict=True
    ):
        start = np.arange(o) * s - p
        end = np.minimum(start + k, size + p)
        per_dim.append(end - start if with_padding else np.minimum(end, size) - np.maximum(start, 0))
    counts = per_dim[0]
    for more in per_dim[1:]:
        counts = counts[..., None] * more
    if (counts == counts.flat[0]).all():
        return int(counts.flat[0])
    return to_device(counts.astype(np.int64), x.device)


def _lp_pool(n: int) -> Callable[..., Tensor]:
    average = {1: avg_pool1d, 2: avg_pool2d, 3: avg_pool3d}[n]

    def run(
        input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> Tensor:
        cells = math.prod(sizes(kernel_size, n, "kernel_size"))
        out = average(input**norm_type, kernel_size, stride, 0, ceil_mode)
        return (sign(out) * relu(_abs(out)) * cells) ** (1.0 / norm_type)

    run.__name__ = run.__qualname__ = f"lp_pool{n}d"
    run.__doc__ = f"The root of the sum of powers norm_type of each window of (N, C, *{n} sizes)."
    return run


def _max_unpool(n: int) -> Callable[..., Tensor]:
    name = f"max_unpool{n}d"

    def run(
        input: Tensor,
        indices: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        output_size: Any = None,
    ) -> Tensor:
        kernel = sizes(kernel_size, n, "kernel_size")
        stride = kernel if stride is None else sizes(stride, n, "stride")
        padding = sizes(padding, n, "padding")
        if tuple(input.shape) != tuple(indices.shape):
            raise RuntimeError(
                f"Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got indices tensor "
                f"with shape: {list(indices.shape)}"
            )
        if indices.dtype.name != "int64":
            raise RuntimeError(f"elements in indices should be type int64 but got: {indices.dtype}")
        usual = [
            (i - 1) * s + k - 2 * p
            for i, s, k, p in zip(input._array.shape[-n:], stride, kernel, padding, strict=True)
        ]
        size = list(output_size)[-n:] if output_size is not None else usual
        if len(size) != n:
            raise ValueError(f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of '{len(size)}'")  # fmt: skip
        for got, fits, s in zip(size, usual, stride, strict=True):
            if not fits - s < got < fits + s:
                raise ValueError(
                    f'invalid output_size "{list(size)}" (each must be within a stride of {usual})'
                )
        places = math.prod(size)
        lead = tuple(input._array.shape[:-n])
        flat, at = reshape(input, *lead, -1), reshape(indices, *lead, -1)
        if at.numel() and not (int(at._array.min()) >= 0 and int(at._array.max()) < places):
            raise RuntimeError(f"Found an invalid max index: {int(at._array.max())} (output volumes are of size {'x'.join(map(str, size))})")  # fmt: skip
        out = flat.new_zeros((*lead, places)).scatter(-1, at, flat)
        return reshape(out, *lead, *size)

    run.__name__ = run.__qualname__ = name
    run.__doc__ = f"Puts values back to the places that max_pool{n}d's indices tell, with zeros elsewhere."
    return run


_nn: dict[str, Any] = {"namespace": "torch.nn.functional", "method": False}
max_pool1d = public(**_nn)(_max_pool(1, False))
max_pool2d = public(**_nn)(_max_pool(2, False))
max_pool3d = public(**_nn)(_max_pool(3, False))
max_pool1d_with_indices = _max_pool(1, True)
max_pool2d_with_indices = _max_pool(2, True)
max_pool3d_with_indices = _max_pool(3, True)
avg_pool1d = public(method=False)(_avg_pool(1))
avg_pool2d = public(**_nn)(_avg_pool(2))
avg_pool3d = public(**_nn)(_avg_pool(3))
lp_pool1d = public(**_nn)(_lp_pool(1))
lp_pool2d = public(**_nn)(_lp_pool(2))
lp_pool3d = public(**_nn)(_lp_pool(3))
max_unpool1d = public(**_nn)(_max_unpool(1))
max_unpool2d = public(**_nn)(_max_unpool(2))
max_unpool3d = public(**_nn)(_max_unpool(3))
