"""Pooling to a given share of the size, over windows whose places are drawn. Graham, arXiv:1412.6071."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import random
from ...backends import module_of, to_device, to_numpy
from ...dtypes import FLOATS
from ...functions import gather, reshape, squeeze, unsqueeze
from ...grad_mode import state as grad_state
from ...tensor import Tensor
from .arguments import entered
from .pooling import window_ints
from .sizes import tensor_argument

__all__ = [
    "fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d", "fractional_max_pool3d_with_indices",
]  # fmt: skip


def _starts(samples: Any, size: int, out: int, kernel: int) -> Any:
    """Where the windows begin: int64 (N, C, out), of numbers in [0, 1) that are (N, C)."""
    last = np.full((*samples.shape, 1), size - kernel)
    if out == 1:
        return last
    step = samples.dtype.type(size - kernel) / samples.dtype.type(out - 1)
    at = np.arange(out - 1).astype(samples.dtype)
    found = ((at + samples[..., None]) * step).astype(np.int64) - (samples * step).astype(np.int64)[..., None]
    return np.concatenate((found, last), axis=-1)


def _sizes(n: int, name: str, image: Any, output_size: Any, output_ratio: Any) -> tuple[int, ...]:
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if output_size is not None:
        return window_ints(output_size, n, name, "output_size")
    if not isinstance(output_ratio, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'output_ratio' must be tuple of floats, not {type(output_ratio).__name__}"
        )
    if len(output_ratio) != n:
        raise ValueError(f"{name} requires output_ratio to either be a single Int or tuple of Ints.")
    return tuple(int(s * r) for s, r in zip(image, output_ratio, strict=True))


def _pooled(
    n: int, name: str, input: Any, kernel_size: Any, output_size: Any, output_ratio: Any, samples: Any
) -> tuple[Tensor, Tensor]:
    shape = tensor_argument(input, name)._array.shape
    if input._array.dtype not in FLOATS:
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}; convert with .float() first')
    if len(shape) < n + 1:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-len(shape)}, {len(shape) - 1}], but got {-n - 1})"
        )
    if len(shape) not in (n + 1, n + 2) or not all(shape[-n - 1 :]):
        raise RuntimeError(
            f"{name}(): Expected {n + 1}D or {n + 2}D tensor with non-zero sizes beside the batch's, but got: {list(shape)}"
        )
    kernel = window_ints(kernel_size, n, name, "kernel_size")
    out = _sizes(n, name, shape[-n:], output_size, output_ratio)
    for dimension, k, o, size in zip(
        ("time", "height", "width")[3 - n :], kernel, out, shape[-n:], strict=True
    ):
        if k < 1 or o < 1:
            raise RuntimeError(
                f"{name}(): kernel_size and output_size must be greater than zero, got {kernel} and {out}"
            )
        if o + k - 1 > size - (n == 3):  # PyTorch wants one element more of volumes
            raise RuntimeError(
                f"{name}(): pool {dimension} {k} too large relative to input {dimension} {size}"
            )
    x = input if len(shape) == n + 2 else unsqueeze(input, 0)
    lead, image = x._array.shape[:2], x._array.shape[2:]
    if samples is None:
        drawn = random.current().numpy.random((*lead, n), np.float32)
    else:
        if grad_state.enabled and tensor_argument(samples, name, "_random_samples").requires_grad:
            raise RuntimeError(
                f"The function '{name}' is not differentiable with respect to argument 'random_samples'. This input cannot have "
                "requires_grad True."
            )
        drawn = to_numpy(tensor_argument(samples, name, "_random_samples")._array)
        if drawn.shape != (*lead, n):
            raise RuntimeError(f"Expect _random_samples of shape {[*lead, n]}, got {list(drawn.shape)}")
    drawn = drawn.astype(x._array.dtype if x._array.dtype.itemsize > 2 else np.float32)
    flat: Any = np.zeros((*lead, *(1,) * (2 * n)), np.int64)
    for d in range(n):
        number = (1, 0)[d] if n == 2 else d  # PyTorch's order: of images the width comes first
        rows = _starts(drawn[..., number], image[d], out[d], kernel[d])[..., None] + np.arange(kernel[d])
        along = [1] * (2 * n)
        along[d], along[n + d] = out[d], kernel[d]
        flat = flat * image[d] + rows.reshape(*lead, *along)
    count = math.prod(out)
    flat = to_device(np.ascontiguousarray(flat.reshape(*lead, count, -1)), x.device)
    raw = x._array.reshape(*lead, -1) if x._array.size else x._array.reshape(*lead, math.prod(image))
    xp = module_of(raw)
    a, b = xp.arange(lead[0]).reshape(-1, 1, 1), xp.arange(lead[1]).reshape(-1, 1)
    if lead[0]:
        best = raw[a[..., None], b[..., None], flat].argmax(axis=-1)
        places = flat[a, b, xp.arange(count), best]
    else:
        places = xp.zeros((*lead, count), np.int64)
    indices = Tensor._wrap(places)
    values = reshape(gather(reshape(x, (*lead, math.prod(image))), 2, indices), (*lead, *out))
    indices = reshape(indices, (*lead, *out))
    return (values, indices) if x is input else (squeeze(values, 0), squeeze(indices, 0))


@entered
def fractional_max_pool2d(
    input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest of windows of (N, C, H, W) or (C, H, W), as many as output_size says; _random_samples (N, C, 2) in [0, 1)."""
    found = _pooled(
        2, "fractional_max_pool2d", input, kernel_size, output_size, output_ratio, _random_samples
    )
    return found if return_indices else found[0]


@entered
def fractional_max_pool3d(
    input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The largest of windows of (N, C, D, H, W) or (C, D, H, W), as many as output_size says; _random_samples (N, C, 3)."""
    found = _pooled(
        3, "fractional_max_pool3d", input, kernel_size, output_size, output_ratio, _random_samples
    )
    return found if return_indices else found[0]


@entered
def fractional_max_pool2d_with_indices(
    input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """fractional_max_pool2d with return_indices."""
    return _pooled(2, "fractional_max_pool2d", input, kernel_size, output_size, output_ratio, _random_samples)


@entered
def fractional_max_pool3d_with_indices(
    input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """fractional_max_pool3d with return_indices."""
    return _pooled(3, "fractional_max_pool3d", input, kernel_size, output_size, output_ratio, _random_samples)
