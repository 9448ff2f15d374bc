"""Images made larger, or smaller, at their ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...creation import tensor
from ...functions import index_select
from ...functions.catalogue import public
from ...functions.indexing import getitem
from ...ops import pooling as _pool
from ...ops.registry import apply
from ...tensor import Tensor

__all__ = ["pad"]


@public(namespace="torch.nn.functional", method=False)
def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Widens by pairs (before, after), the last dimension first; negative ones cut off.

    mode: constant (of `value`), reflect, replicate or circular; the last three for the last 1 to 3 dimensions of 2 to 5.
    """
    widths = [int(w) for w in pad]
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
        raise ValueError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    if len(pairs) not in (input.ndim - 1, input.ndim - 2) or not 1 <= len(pairs) <= 3:
        raise NotImplementedError(
            "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now"
        )
    for i, (before, after) in enumerate(pairs):
        if before or after:
            dim = input.ndim - 1 - i
            rows = _places(input._array.shape[dim], before, after, mode, dim)
            input = index_select(input, dim, tensor(rows, device=input.device))
    return input


def _constant(input: Tensor, pairs: list[tuple[int, int]], value: Any) -> Tensor:
    n = input.ndim
    all_pairs = [(0, 0)] * (n - len(pairs)) + pairs[::-1]
    for size, (before, after) in zip(input._array.shape, all_pairs, strict=True):
        if size + before + after < 0:
            raise RuntimeError(
                f"The input size {size}, plus negative padding {before} and {after}, resulted in a negative output size, which "
                "is invalid. Check the padding of your input."
            )
    if any(w < 0 for pair in all_pairs for w in pair):
        cut = tuple(
            slice(max(0, -before), size - max(0, -after))
            for size, (before, after) in zip(input._array.shape, all_pairs, strict=True)
        )
        input = getitem(input, cut)
        all_pairs = [(max(0, a), max(0, b)) for a, b in all_pairs]
    if not any(w for pair in all_pairs for w in pair):
        return input.clone()
    return apply(_pool.Pad, (input,), (tuple(all_pairs), value))


def _places(size: int, before: int, after: int, mode: str, dim: int) -> Any:
    """Which row stands at each place of the widened dimension."""
    at = np.arange(-before, size + after)
    if mode == "reflect":
        if before >= size or after >= size:
            raise RuntimeError(
                f"Padding size should be less than the corresponding input dimension, but got: padding ({before}, {after}) at "
                f"dimension {dim} of input of size {size}"
            )
        at = np.abs(at)
        return np.where(at >= size, 2 * (size - 1) - at, at)
    if not len(at):
        raise RuntimeError(f"padding ({before}, {after}) leaves nothing of dimension {dim} of size {size}")
    if mode == "replicate":
        if not size:
            raise RuntimeError(f"Expected a non-empty dimension {dim} to replicate")
        return np.clip(at, 0, size - 1)
    if before > size or after > size:
        raise RuntimeError("Padding value causes wrapping around more than once.")
    return at % size
