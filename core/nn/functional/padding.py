"""Images made larger, or smaller, at their ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ...functions import clone
from ...functions.catalogue import public
from ...limits import finfo, iinfo
from ...ops import resampling as _rs
from ...ops.registry import apply
from ...tensor import Tensor
from .sizes import tensor_argument

__all__ = ["pad"]

Pairs = list[tuple[int, int]]


@public(namespace="torch.nn.functional", method=False)
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Widens by pairs (before, after), the last dimension first; negative ones cut off.

    mode: constant (of `value`), reflect, replicate or circular; the last three for the last 1 to 3 dimensions of 2 to 5.
    """
    tensor_argument(input, "pad")
    if not isinstance(pad, (tuple, list)):
        raise TypeError(f"pad(): argument 'pad' (position 2) must be tuple of ints, not {type(pad).__name__}")
    for i, w in enumerate(pad):
        if isinstance(w, bool) or not hasattr(w, "__index__"):
            raise TypeError(
                f"pad(): argument 'pad' (position 2) must be tuple of ints, but found element of type {type(w).__name__} at pos {i}"
            )
    widths = [int(w.__index__()) for w in pad]
    if len(widths) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(widths) // 2 > input.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(widths)} and input of dimension {input.ndim}"
        )
    pairs = [(widths[i], widths[i + 1]) for i in range(0, len(widths), 2)]
    if mode == "constant":
        return _constant(input, pairs, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if len(pairs) not in (input.ndim - 1, input.ndim - 2) or not 1 <= len(pairs) <= 3:
        raise NotImplementedError(
            f"Padding size {len(widths)} is not supported for {input.ndim}D input tensor."
        )
    shape = input._array.shape
    if not all(shape[-len(pairs) - 1 :]):
        raise RuntimeError(
            f"Expected {len(pairs) + 1}D or {len(pairs) + 2}D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(shape)}"
        )
    if mode == "circular" and any(w > shape[-1 - i] for i, pair in enumerate(pairs) for w in pair):
        raise RuntimeError("Padding value causes wrapping around more than once.")
    _room(input, pairs)
    out = input
    for i, (before, after) in enumerate(pairs):
        if before or after:
            dim = input.ndim - 1 - i
            if mode == "reflect" and max(before, after) >= shape[dim]:
                raise RuntimeError(
                    f"Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
                    f"({before}, {after}) at dimension {dim} of input {list(shape)}"
                )
            out = apply(_rs.Resample, (out,), (_table(shape[dim], before, after, mode), dim))
    return clone(input) if out is input else out


def _room(input: Tensor, pairs: Pairs) -> None:
    for i, (before, after) in enumerate(pairs):
        size = input._array.shape[-1 - i]
        if size + before + after < 0 or min(before, after) < -size:
            raise RuntimeError(
                f"The input size {size}, plus negative padding {before} and {after}, resulted in a negative output size, which "
                f"is invalid. Check dimension {input.ndim - 1 - i} of your input."
            )


def _constant(input: Tensor, pairs: Pairs, value: Any) -> Tensor:
    _room(input, pairs)
    widths = ((0, 0),) * (input.ndim - len(pairs)) + tuple(pairs[::-1])
    return apply(_rs.Pad, (input,), (widths, _stored(value, input)))


def _stored(value: Any, input: Tensor) -> Any:
    """`value` as input's dtype has it; RuntimeError for what lies beyond."""
    if not isinstance(value, (bool, int, float)):
        raise TypeError(f"pad(): argument 'value' (position 4) must be float, not {type(value).__name__}")
    dtype = input.dtype
    if dtype.name == "bool":
        return bool(value)
    limits: Any = finfo(dtype) if dtype.is_floating_point else iinfo(dtype)
    if not limits.min <= value <= limits.max and (math.isfinite(value) or not dtype.is_floating_point):
        raise RuntimeError(f"value cannot be converted to type {dtype.name} without overflow: {value}")
    return value if dtype.is_floating_point else int(value)


@lru_cache(256)
def _table(size: int, before: int, after: int, mode: str) -> _rs.Table:
    """Which element stands at each place of the widened dimension."""
    at = np.arange(-before, size + after)
    if mode == "reflect":
        at = np.abs(at)
        at = np.where(at >= size, 2 * (size - 1) - at, at)
    elif mode == "replicate":
        at = np.clip(at, 0, size - 1)
    else:  # what is cut off is no part of the circle
        start, rest = max(-before, 0), size - max(-before, 0) - max(-after, 0)
        if max(before, after) > rest:
            raise RuntimeError(
                f"Padding value causes wrapping around more than once: padding ({before}, {after}) leaves {max(rest, 0)} of {size}"
            )
        at = start + np.arange(-max(before, 0), rest + max(after, 0)) % rest if rest else at[:0]
    return _rs.Table(at[None], None, size)
