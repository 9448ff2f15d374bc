"""Dropout."""

from __future__ import annotations

import numpy as np

from ... import random
from ...backends import module_of, to_device
from ...tensor import Tensor

__all__ = ["dropout"]


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zeroes elements with probability p and scales the rest by 1 / (1 - p)."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return input
    if inplace:
        return input.mul_(_kept(input, p))  # type: ignore[no-any-return]
    return input * _kept(input, p)


def _kept(input: Tensor, p: float) -> Tensor:
    """What dropout multiplies with: 0 for what is dropped, else 1 / (1 - p)."""
    dtype = input._array.dtype
    if p == 1.0:
        return Tensor._wrap(module_of(input._array).zeros(input._array.shape, dtype))
    kept = random.current().numpy.random(input._array.shape, np.float32) >= np.float32(p)
    scale = kept.astype(dtype) * dtype.type(1.0 / (1.0 - p))
    return Tensor._wrap(to_device(scale, input.device))
