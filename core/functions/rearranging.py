"""Functions that copy a tensor's elements into another order, or several times."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ops import strided as _st
from ..ops.registry import apply
from ..tensor import Tensor
from .arguments import one_dim, shape_args, whole_number
from .catalogue import public
from .indexing import getitem
from .shape import clone, expand, reshape, transpose

__all__ = ["flip", "fliplr", "flipud", "repeat_interleave", "roll", "rot90", "tile"]
_builtin_any, _builtin_max = builtins.any, builtins.max


def _own(t: Tensor) -> Tensor:
    """`t`, copied where it is a view."""
    return t if t._view is None else clone(t)


@public(function=False)
def repeat(input: Tensor, *repeats: Any, **named: Any) -> Tensor:
    """The tensor as often as said along each dimension, copying."""
    counts = shape_args(repeats, named, "repeats")
    own = (1,) * (len(counts) - input.ndim) + tuple(input._array.shape)
    if len(counts) < input.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    if _builtin_any(c < 0 for c in counts):
        raise RuntimeError(f"Trying to create tensor with negative dimension: repeat by {list(counts)}")
    doubled = reshape(input, [k for n in own for k in (1, n)])
    wide = expand(doubled, [k for c, n in zip(counts, own, strict=True) for k in (c, n)])
    return _own(reshape(wide, [c * n for c, n in zip(counts, own, strict=True)]))


@public()
def tile(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """repeat, of the last dimensions where fewer numbers are given."""
    counts = shape_args(dims, named, "dims")
    return repeat(input, (1,) * (input.ndim - len(counts)) + counts)


def _counts(repeats: Tensor) -> Any:
    """The values of a tensor of repeats on the host."""
    if repeats._array.dtype.name not in ("int64", "int32"):
        raise RuntimeError("repeats has to be Long or Int tensor")
    if repeats.ndim > 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    counts = repeats.detach().cpu().numpy()
    if counts.size and counts.min() < 0:
        raise RuntimeError("repeats can not be negative")
    return counts


@public()
def repeat_interleave(
    input: Tensor, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (or part along `dim`) as often as said, one after the other. Of repeats alone: the numbers of its
    elements, each as often as it says."""
    if repeats is None:
        counts = _counts(input)
        if input.ndim != 1:
            raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
        _has_size(output_size, int(counts.sum()))
        numbers = np.repeat(np.arange(counts.size, dtype=counts.dtype), counts)
        return Tensor._wrap(numbers).to(input.device)
    if dim is None or not input.ndim:
        if dim is not None:
            one_dim(dim, 0)
        input, dim = reshape(input, -1), 0
    d = one_dim(dim, input.ndim)
    shape = tuple(input._array.shape)
    if isinstance(repeats, (tuple, list)):
        repeats = Tensor._wrap(np.array(repeats, np.int64))
    if isinstance(repeats, Tensor) and repeats.numel() == 1:
        repeats = int(_counts(repeats).reshape(-1)[0])
    if not isinstance(repeats, Tensor):
        count = whole_number(repeats, "repeats")
        if count < 0:
            raise RuntimeError(f"Repeats must be non-negative, got {count}")
        _has_size(output_size, count * shape[d])
        wide = expand(
            reshape(input, (*shape[: d + 1], 1, *shape[d + 1 :])), (*shape[: d + 1], count, *shape[d + 1 :])
        )
        return _own(reshape(wide, (*shape[:d], shape[d] * count, *shape[d + 1 :])))
    counts = _counts(repeats)
    if counts.size != shape[d]:
        raise RuntimeError(
            f"repeats must have the same size as input along dim, but got repeats.size(0) = {counts.size} and "
            f"input.size({d}) = {shape[d]}"
        )
    _has_size(output_size, int(counts.sum()))
    rows = Tensor._wrap(np.repeat(np.arange(counts.size), counts)).to(input.device)
    return getitem(input, (slice(None),) * d + (rows,))


def _has_size(output_size: int | None, size: int) -> None:
    if output_size is not None and output_size != size:
        raise RuntimeError(
            f"repeat_interleave: output_size {output_size} is not the size of the result, {size}"
        )


@public()
def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] = ()) -> Tensor:
    """The elements moved on by `shifts` along `dims`, round the end; without `dims` in the flattened tensor."""
    by = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    along = (dims,) if isinstance(dims, int) else tuple(dims)
    if not by:
        raise RuntimeError("`shifts` required")
    if not along and len(by) == 1:
        flat = apply(_st.Roll, (reshape(input, -1),), (by, (0,)))
        return reshape(flat, input._array.shape)
    if len(by) != len(along):
        raise RuntimeError(f"shifts and dimensions must align. shifts: {len(by)}, dims:{len(along)}")
    if not input.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    return apply(_st.Roll, (input,), (by, tuple(one_dim(d, input.ndim) for d in along)))


@public()
def flip(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    """A copy, turned round along `dims`."""
    each = tuple(one_dim(d, input.ndim) for d in shape_args(dims, named, "dims"))
    if len(set(each)) != len(each):
        raise RuntimeError(f"dim {each[0]} appears multiple times in the list of dims")
    return apply(_st.Flip, (input,), (each if input.ndim else (),))


@public()
def fliplr(input: Tensor) -> Tensor:
    """A copy, turned round along the second dimension."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return flip(input, 1)


@public()
def flipud(input: Tensor) -> Tensor:
    """A copy, turned round along the first dimension."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return flip(input, 0)


@public()
def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """A copy, turned by k quarters from the first of `dims` towards the second."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    a, b = (one_dim(d, input.ndim) for d in dims)
    if a == b:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    quarters = k % 4
    if quarters == 1:
        return transpose(flip(input, b), a, b)
    if quarters == 2:
        return flip(input, a, b)
    return transpose(flip(input, a), a, b) if quarters == 3 else clone(input)
