"""Tables of vectors, and classes as vectors."""

from __future__ import annotations

import numpy as np

from ...backends import module_of
from ...functions.indexing import getitem
from ...tensor import Tensor

__all__ = ["embedding", "one_hot"]


def embedding(input: Tensor, weight: Tensor) -> Tensor:
    """Rows of weight (count, size) by integer index."""
    if input._array.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            f"embedding: expected indices of int64 or int32, got {input.dtype}; convert them with .long()"
        )
    if input._array.size and (
        int(input._array.max()) >= weight._array.shape[0] or int(input._array.min()) < 0
    ):
        raise IndexError(f"embedding: index out of range: indices must be in [0, {weight._array.shape[0]})")
    return getitem(weight, input)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    if tensor._array.dtype != np.int64:
        raise RuntimeError(f"one_hot is only applicable to index tensor of type int64, got {tensor.dtype}")
    n = int(tensor._array.max()) + 1 if num_classes == -1 else num_classes
    if tensor._array.size and (int(tensor._array.min()) < 0 or int(tensor._array.max()) >= n):
        raise RuntimeError(f"one_hot: class values must be in [0, {n})")
    xp = module_of(tensor._array)
    return Tensor._wrap((tensor._array[..., None] == xp.arange(n)).astype(np.int64))
