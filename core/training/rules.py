"""The numeric rules of a step after the sums: division, clipping, the update. Shared word for word by all ways of running."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from .layout import BLOCK

__all__ = ["block_sums", "clip_factor", "tree_sum"]

T = TypeVar("T")


def tree_sum(leaves: Sequence[Any]) -> Any:
    """The sum by the fixed binary tree: node (k, i) is (k-1, 2i) + (k-1, 2i+1). None is passed over, never added as zero."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else None
    middle = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = tree_sum(leaves[:middle]), tree_sum(leaves[middle:])
    if left is None or right is None:
        return right if left is None else left
    return left + right


def block_sums(xp: Any, gradient: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Sums of squares of whole blocks, in float64 on the host. `gradient` has a multiple of BLOCK elements."""
    wide = gradient.reshape(-1, BLOCK).astype(np.float64)
    sums = (wide * wide).sum(axis=1)
    result: np.ndarray[Any, Any] = sums if xp is np else xp.asnumpy(sums)
    return result


def clip_factor(sums: np.ndarray[Any, np.dtype[np.float64]], max_norm: float) -> tuple[float, float]:
    """(norm, factor) for all blocks' sums of squares: the gradient is multiplied by factor, at most 1."""
    norm = float(np.sqrt(tree_sum(list(sums))))
    return norm, min(1.0, max_norm / (norm + 1e-6))
