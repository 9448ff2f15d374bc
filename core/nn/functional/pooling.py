"""Pooling: the largest, the mean or a norm of every window, and putting the largest back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...autocast import runs_in_float32
from ...backends import module_of
from ...dtypes import FLOATS
from ...functions import abs as _abs
from ...functions import relu, reshape, scatter, sign, squeeze, unsqueeze
from ...functions.catalogue import public
from ...grad_mode import state as grad_state
from ...ops import pooling as _pool
from ...ops.registry import apply
from ...ops.windows import Ints, Windows
from ...tensor import Tensor
from .sizes import in_both, integer, joined, tensor_argument

__all__ = [
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d", "max_pool1d_with_indices",
    "max_pool2d", "max_pool2d_with_indices", "max_pool3d", "max_pool3d_with_indices", "max_unpool1d", "max_unpool2d", "max_unpool3d",
]  # fmt: skip

_in_functional = public(namespace="torch.nn.functional", method=False)
_NUMBERS = {1: "one int", 2: "two ints", 3: "three ints"}


def window_ints(x: Any, n: int, name: str, argument: str, or_omitted: str = "") -> Ints:
    """n integers of an integer, or of a sequence of one or n."""
    if isinstance(x, (tuple, list)):
        found = tuple(integer(i, name, argument) for i in x)
        if len(found) not in (1, n):
            raise RuntimeError(
                f"{name}: {argument} must either be {or_omitted}a single int, or a tuple of {_NUMBERS[n]}"
            )
        return found * n if len(found) == 1 else found
    return (integer(x, name, argument),) * n


def output_count(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows PyTorch lays: with ceil_mode also one that reaches beyond the end, if it begins in the image."""
    count = (
        size + 2 * padding - dilation * (kernel - 1) - 1 + (stride - 1 if ceil_mode else 0)
    ) // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return count


def _windows(
    n: int, name: str, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Windows:
    """Checks the arguments that all pooling shares and lays the windows."""
    tensor_argument(input, name)
    if input._array.dtype.kind == "b":
        raise NotImplementedError(f'"{name}" not implemented for bool; convert with .float() first')
    kernel = window_ints(kernel_size, n, name, "kernel_size")
    step = kernel if stride is None or (isinstance(stride, (tuple, list)) and not stride) else None
    step = step or window_ints(stride, n, name, "stride", "omitted, ")
    margin = window_ints(padding, n, name, "padding")
    spread = window_ints(dilation, n, name, "dilation")
    if n > 1 and input.ndim not in (n + 1, n + 2):
        raise RuntimeError(f"non-empty {n + 1}D or {n + 2}D (batch mode) tensor expected for input")
    if n == 1 and input.ndim not in (2, 3):
        raise RuntimeError(
            f"{name}: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:"
            f"{list(input.shape)}"
        )
    if min(step) <= 0:
        raise RuntimeError(
            "stride should not be zero"
            if n > 1
            else f"{name}() stride must be greater than zero, but got {step[0]}"
        )
    if min(kernel) <= 0:
        raise RuntimeError(f"{name}() kernel_size must be greater than zero, but got {list(kernel)}")
    if min(spread) <= 0:
        raise RuntimeError(f"dilation should be greater than zero, but got {list(spread)}")
    for p, k, d in zip(margin, kernel, spread, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > (d * (k - 1) + 1) // 2:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={p}, kernel_size={k} and dilation={d}"
            )
    sizes = input._array.shape[-n:]
    if not all(input._array.shape[-n - 1 :]):
        raise RuntimeError(
            f"Expected {n + 1}D or {n + 2}D (batch mode) tensor with optional 0 dim batch size for input, but got:"
            f"{list(input.shape)}"
        )
    counts = [
        output_count(s, k, t, p, d, ceil_mode)
        for s, k, t, p, d in zip(sizes, kernel, step, margin, spread, strict=True)
    ]
    if min(counts) < 1:
        c = input._array.shape[-n - 1]
        raise RuntimeError(
            f"Given input size: {joined((c, *sizes), 'x')}. Calculated output size: {joined((c, *counts), 'x')}. "
            "Output size is too small"
        )
    if max(spread) > 1 and max(margin) and "max" in name:
        _refuse_windows_of_margin(name, sizes, counts, kernel, step, margin, spread)
    high = tuple(
        max((c - 1) * t + d * (k - 1) + 1 - s - p, 0)
        for c, s, k, t, p, d in zip(counts, sizes, kernel, step, margin, spread, strict=True)
    )
    return Windows(kernel, step, spread, margin, high)


def _refuse_windows_of_margin(name: str, sizes: Ints, counts: Any, *of: Ints) -> None:
    for size, count, k, t, p, d in zip(sizes, counts, *of, strict=True):
        at = np.arange(count)[:, None] * t - p + np.arange(k) * d
        if not ((at >= 0) & (at < size)).any(axis=1).all():
            raise RuntimeError(
                f"{name}: with padding {p} and dilation {d} a window of size {k} has no cell in {size} elements"
            )


def _as_batch(input: Tensor, n: int) -> Tensor:
    return input if input.ndim == n + 2 else unsqueeze(input, 0)


def _as_given(out: Tensor, input: Tensor) -> Tensor:
    return out if out.ndim == input.ndim else squeeze(out, 0)


def _max_pool(n: int, name: str, input: Tensor, *arguments: Any) -> Tensor:
    windows = _windows(n, name, input, *arguments)
    return _as_given(apply(_pool.MaxPool, (_as_batch(input, n),), (windows,)), input)


def _max_pool_with_indices(n: int, name: str, input: Tensor, *arguments: Any) -> tuple[Tensor, Tensor]:
    windows = _windows(n, name, input, *arguments)
    image = _as_batch(input, n)
    chosen = grad_state.quiet(_pool.largest, image._array, windows)
    values = apply(_pool.TakeWindows, (image,), (chosen, windows))
    indices = Tensor._wrap(_pool.places(chosen, windows, image._array.shape[2:]))
    return _as_given(values, input), _as_given(indices, input)


@_in_functional
def max_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest of every window of (N, C, L) or (C, L); return_indices: also where it stands."""
    run = _max_pool_with_indices if return_indices else _max_pool
    return run(1, "max_pool1d", input, kernel_size, stride, padding, dilation, ceil_mode)


@_in_functional
def max_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest of every window of (N, C, H, W) or (C, H, W); return_indices: also its place in the flattened image."""
    run = _max_pool_with_indices if return_indices else _max_pool
    return run(2, "max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode)


@_in_functional
def max_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:  # fmt: skip
    """The largest of every window of (N, C, D, H, W) or (C, D, H, W); return_indices: also its place."""
    run = _max_pool_with_indices if return_indices else _max_pool
    return run(3, "max_pool3d", input, kernel_size, stride, padding, dilation, ceil_mode)


@_in_functional
def max_pool1d_with_indices(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """max_pool1d with return_indices."""
    return _max_pool_with_indices(1, "max_pool1d", input, kernel_size, stride, padding, dilation, ceil_mode)


@_in_functional
def max_pool2d_with_indices(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """max_pool2d with return_indices."""
    return _max_pool_with_indices(2, "max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode)


@_in_functional
def max_pool3d_with_indices(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """max_pool3d with return_indices."""
    return _max_pool_with_indices(3, "max_pool3d", input, kernel_size, stride, padding, dilation, ceil_mode)


def _avg_pool(
    n: int, name: str, input: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool,
    divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    tensor_argument(input, name)
    if n == 1 and input.ndim not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {input.ndim}-dimensional tensor for argument #1 'self' "
            f"(while checking arguments for {name})"
        )
    if n == 2 and input.ndim < 3:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-input.ndim}, {input.ndim - 1}], but got -3)"
        )
    if input._array.dtype not in FLOATS and input._array.dtype != np.int64:
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}; convert with .float() first')
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    windows = _windows(n, name, input, kernel_size, stride, padding, 1, ceil_mode)
    image = _as_batch(input, n)
    shape = image._array.shape
    if n == 3 and any(size < k for size, k in zip(shape[2:], windows.kernel, strict=True)):
        pairs = [" ".join(f"{a}: {i}" for a, i in zip(names, ints_, strict=True)) for names, ints_ in
                 ((("T", "H", "W"), shape[2:]), (("kT", "kH", "kW"), windows.kernel))]  # fmt: skip
        raise RuntimeError(f"input image ({pairs[0]}) smaller than kernel size ({pairs[1]})")
    divisor: Any = (
        windows.cells if divisor_override is None else integer(divisor_override, name, "divisor_override")
    )
    if divisor_override is None and (any(windows.high) or any(windows.low)):
        divisor = _cells_that_count(windows, shape[2:], count_include_pad)
        divisor = module_of(image._array).asarray(divisor)
    return _as_given(apply(_pool.AvgPool, (image,), (windows, divisor, shape)), input)


def _cells_that_count(windows: Windows, sizes: Ints, include_pad: bool) -> Any:
    """For each window how many of its cells lie in the image, or with include_pad in its margins too."""
    total = np.ones((), np.int64)
    for n, k, s, p, count in zip(
        sizes, windows.kernel, windows.stride, windows.low, windows.counts(sizes), strict=True
    ):
        start = np.arange(count) * s - p
        end = np.minimum(start + k, n + p)
        along = end - start if include_pad else np.minimum(end, n) - np.maximum(start, 0)
        total = total[..., None] * along
    return total


def avg_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """The mean of every window of (N, C, L) or (C, L); count_include_pad: zeros of the padding count."""
    return _avg_pool(1, "avg_pool1d", input, kernel_size, stride, padding, ceil_mode, count_include_pad)


avg_pool1d = in_both(avg_pool1d)


@_in_functional
def avg_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of every window of (N, C, H, W) or (C, H, W); divisor_override: what sums are divided by instead."""
    return _avg_pool(
        2, "avg_pool2d", input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@_in_functional
@runs_in_float32("cpu")
def avg_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: int | None = None,
) -> Tensor:  # fmt: skip
    """The mean of every window of (N, C, D, H, W) or (C, D, H, W); divisor_override: what sums are divided by instead."""
    return _avg_pool(
        3, "avg_pool3d", input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _lp_pool(
    n: int, name: str, input: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Tensor:
    cells = math.prod(window_ints(kernel_size, n, name, "kernel_size"))
    powered = tensor_argument(input, name).pow(norm_type)
    out = _avg_pool(n, f"avg_pool{n}d", powered, kernel_size, stride, 0, ceil_mode, True)
    return (sign(out) * relu(_abs(out))).mul(cells).pow(1.0 / norm_type)


@_in_functional
def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """The norm_type-th root of the sum of every window's powers, for (N, C, L) or (C, L)."""
    return _lp_pool(1, "lp_pool1d", input, norm_type, kernel_size, stride, ceil_mode)


@_in_functional
def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """The norm_type-th root of the sum of every window's powers, for (N, C, H, W) or (C, H, W)."""
    return _lp_pool(2, "lp_pool2d", input, norm_type, kernel_size, stride, ceil_mode)


@_in_functional
def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Tensor:
    """The norm_type-th root of the sum of every window's powers, for (N, C, D, H, W) or (C, D, H, W)."""
    return _lp_pool(3, "lp_pool3d", input, norm_type, kernel_size, stride, ceil_mode)


def _unpooled_sizes(n: int, input: Tensor, kernel: Ints, step: Ints, margin: Ints, output_size: Any) -> Ints:
    """The given output size, checked, or the smallest that pooling turns into input's."""
    sizes = input._array.shape[-n:]
    default = tuple((i - 1) * s + k - 2 * p for i, s, k, p in zip(sizes, step, kernel, margin, strict=True))
    if output_size is None:
        return default
    wanted = list(output_size)
    if len(wanted) == n + 2:
        wanted = wanted[2:]
    if len(wanted) != n:
        raise ValueError(
            f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a length of '{len(wanted)}'"
        )
    for d in range(n):
        low, high = default[d] - step[d], default[d] + step[d]
        if not low < wanted[d] < high:
            raise ValueError(
                f'invalid output_size "{output_size}" (dim {d} must be between {low} and {high})'
            )
    return tuple(wanted)


def _max_unpool(
    n: int, name: str, input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Tensor:
    tensor_argument(input, name)
    tensor_argument(indices, name, "indices")
    kernel = window_ints(kernel_size, n, name, "kernel_size")
    step = kernel if stride is None else window_ints(stride, n, name, "stride")
    margin = window_ints(padding, n, name, "padding")
    if input.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"Input to max_unpooling{n}d should be a {n + 1}d or {n + 2}d Tensor, but got a tensor with {input.ndim} dimensions."
        )
    if indices._array.dtype != np.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {indices.dtype}")
    if input._array.shape != indices._array.shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(input.shape)}) but got indices tensor "
            f"with shape: {list(indices.shape)}"
        )
    if input._array.dtype not in FLOATS:
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}; convert with .float() first')
    sizes = _unpooled_sizes(n, input, kernel, step, margin, output_size)
    lead = input._array.shape[:-n]
    room, rows = math.prod(sizes), math.prod(lead)
    place = indices._array
    if place.size and (int(place.min()) < 0 or int(place.max()) >= room):
        wrong = int(place.min()) if int(place.min()) < 0 else int(place.max())
        raise RuntimeError(
            f"Found an invalid max index: {wrong} (output volumes are of size {'x'.join(map(str, sizes))})"
        )
    zeros = Tensor._wrap(module_of(input._array).zeros((rows, room), input._array.dtype))
    count = math.prod(input._array.shape[-n:])
    out = scatter(zeros, 1, reshape(indices, (rows, count)), reshape(input, (rows, count)))
    return reshape(out, (*lead, *sizes))


@_in_functional
def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """What max_pool1d took, put back where `indices` says, with zeros elsewhere."""
    return _max_unpool(1, "max_unpool1d", input, indices, kernel_size, stride, padding, output_size)


@_in_functional
def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """What max_pool2d took, put back where `indices` says, with zeros elsewhere."""
    return _max_unpool(2, "max_unpool2d", input, indices, kernel_size, stride, padding, output_size)


@_in_functional
def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Tensor:
    """What max_pool3d took, put back where `indices` says, with zeros elsewhere."""
    return _max_unpool(3, "max_unpool3d", input, indices, kernel_size, stride, padding, output_size)
