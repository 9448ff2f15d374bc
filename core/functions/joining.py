"""Functions that join tensors."""

from __future__ import annotations

from collections.abc import Sequence

from ..ops import shape as _sh
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor
from .arguments import common_dtype, one_dim
from .catalogue import public
from .shape import unsqueeze

__all__ = ["cat", "stack"]


@public(out=True, method=False)
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Joins along an existing dimension; empty one-dimensional tensors are passed over, as PyTorch has it."""
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    to = common_dtype(tensors)
    full = [p for p in tensors if p._array.shape != (0,)] or list(tensors)
    if not full[0].ndim:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    d = one_dim(dim, full[0].ndim)
    parts = tuple(cast_inputs(p, to) for p in full)
    first = parts[0]._array.shape
    for i, p in enumerate(parts):
        own = p._array.shape
        if len(own) != len(first) or own[:d] + own[d + 1 :] != first[:d] + first[d + 1 :]:
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {d}. Expected {list(first)} but got {list(own)} for tensor number {i} in the list."
            )
    return apply(_sh.Cat, parts, ((d, tuple(p._array.shape[d] for p in parts)),))


@public(out=True, method=False)
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Joins along a new dimension."""
    if not tensors:
        raise ValueError("stack expects a non-empty TensorList")
    for i, p in enumerate(tensors):
        if p._array.shape != tensors[0]._array.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0].shape)} at entry 0 and {list(p.shape)} at entry {i}"
            )
    return cat([unsqueeze(p, dim) for p in tensors], one_dim(dim, tensors[0].ndim + 1))
