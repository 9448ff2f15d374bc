"""Functions that read or write single elements: by mask, by their number, by place along a dimension."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..ops import indexing as _ix
from ..ops.registry import apply
from ..tensor import Size, Tensor
from .arguments import beside, on_one_device, one_dim, sizes_differ, spelled, tensor_of
from .arithmetic import where
from .catalogue import public
from .indexing import put as put_at
from .indexing import stored_number
from .scattering import gather
from .shape import broadcast_shapes, expand, reshape

__all__ = ["masked_fill", "masked_scatter", "masked_select", "put", "take", "take_along_dim", "unravel_index"]


def _together(a: Tensor, b: Tensor) -> tuple[int, ...]:
    """The shape that two tensors broadcast to."""
    own, other = tuple(a._array.shape), tuple(b._array.shape)
    try:
        return broadcast_shapes(own, other)
    except RuntimeError:
        raise sizes_differ(own, other) from None


def _boolean(mask: Any, name: str) -> Tensor:
    if tensor_of(mask, name, "mask")._array.dtype.kind != "b":
        raise RuntimeError(f"{name}_ only supports boolean masks, but got mask with dtype {mask.dtype.name}")
    return mask  # type: ignore[no-any-return]


@public(in_place=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value`, a number or a 0-d tensor, where the mask is true, the input elsewhere."""
    _boolean(mask, "masked_fill")
    on_one_device("masked_fill", input, mask)
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
                f"{value.ndim} dimension(s)."
            )
        filled = beside(value, input, input.dtype)
    elif input.dtype.name in ("float16", "bfloat16") and isinstance(value, float):
        filled = beside(value, input, input.dtype)
    else:
        filled = stored_number(value, input, "masked_fill")
    _together(input, mask)
    return where(mask, filled, input)


@public(out=True)
def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask is true, as a vector; input and mask broadcast."""
    if tensor_of(mask, "masked_select", "mask")._array.dtype.kind != "b":
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    on_one_device("masked_select", input, mask)
    shape = _together(mask, input)
    here = expand(mask, shape)._array
    if not shape:
        return apply(_ix.Index, (reshape(input, 1),), ((here.reshape(1),),))
    return apply(_ix.Index, (expand(input, shape),), ((here,),))


@public(in_place=True)
def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The elements of `source`, one after the other, where the mask is true, the input elsewhere; input and mask broadcast."""
    tensor_of(source, "masked_scatter", "source")
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same dtypes but got {spelled(input.dtype)} and {spelled(source.dtype)}"
        )
    _boolean(mask, "masked_scatter")
    on_one_device("masked_scatter", input, mask, source)
    shape = _together(input, mask)
    wide = reshape(expand(input, shape), -1)
    chosen = expand(mask, shape)._array.reshape(-1)
    count = int(chosen.sum())
    if source.numel() < count:
        raise RuntimeError("Number of elements of source < number of ones in mask")
    return reshape(put_at(wide, (chosen,), reshape(source, -1)[:count], False), shape)


def _numbers(index: Any, name: str, size: int) -> Any:
    """Raw numbers of elements in [0, size); negative ones count from the end."""
    if tensor_of(index, name, "index")._array.dtype != np.int64:
        raise RuntimeError(f"{name}(): Expected a long tensor for index, but got {spelled(index.dtype)}")
    raw = index._array
    if not raw.size:
        return raw
    if not size:
        raise IndexError(f"{name}(): tried to {name} from an empty tensor")
    low, high = int(raw.min()), int(raw.max())
    if low < -size or high >= size:
        raise IndexError(
            f"out of range: tried to access index {low if low < -size else high} on a tensor of {size} elements."
        )
    return module_of(raw).where(raw < 0, raw + size, raw) if low < 0 else raw


@public(out=True)
def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened tensor by their numbers, in the shape of the index."""
    raw = _numbers(index, "take", input.numel())
    on_one_device("take", input, index)
    if not raw.ndim:
        return reshape(apply(_ix.Index, (reshape(input, -1),), ((raw.reshape(1),),)), ())
    return apply(_ix.Index, (reshape(input, -1),), ((raw,),))


@public(in_place=True)
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with the elements of `source` put at, or added to, those of the flattened tensor with the numbers given."""
    tensor_of(source, "put", "source")
    tensor_of(index, "put", "index")
    if source.dtype is not input.dtype:
        raise RuntimeError(
            f"put_(): self and source expected to have the same dtype, but got self.dtype = {spelled(input.dtype)} and "
            f"source.dtype = {spelled(source.dtype)}"
        )
    if index._array.dtype == np.int64 and source.numel() != index.numel():
        raise IndexError(
            "put_(): Expected source and index to have the same number of elements, but got source.numel() = "
            f"{source.numel()}, index.numel() = {index.numel()}"
        )
    on_one_device("put", input, index, source)
    raw = _numbers(index, "put", input.numel()).reshape(-1)
    flat = put_at(reshape(input, -1), (raw,), reshape(source, -1), bool(accumulate))
    return reshape(flat, input._array.shape)


@public(out=True)
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """gather of tensors that broadcast in the other dimensions; without `dim` of the flattened ones. Negative indices count
    from the end."""
    name = "torch.take_along_dim()"
    if tensor_of(indices, "take_along_dim", "indices")._array.dtype != np.int64:
        raise RuntimeError(f"{name}: dtype of indices should be Long but got {spelled(indices.dtype)}")
    if dim is None:
        return gather(reshape(input, -1), 0, _from_the_start(reshape(indices, -1), input.numel()))
    if input.ndim != indices.ndim:
        raise RuntimeError(
            f"{name}: input and indices should have the same number of dimensions, but got {input.ndim} dimensions for "
            f"input, and {indices.ndim} dimensions for indices"
        )
    d = one_dim(dim, input.ndim)
    own, other = list(input._array.shape), list(indices._array.shape)
    n, k = own[d], other[d]
    own[d] = other[d] = 1
    try:
        shape = list(broadcast_shapes(own, other))
    except RuntimeError:
        raise sizes_differ(own, other) from None
    wide = expand(input, [*shape[:d], n, *shape[d + 1 :]])
    return gather(wide, d, _from_the_start(expand(indices, [*shape[:d], k, *shape[d + 1 :]]), n))


def _from_the_start(indices: Tensor, n: int) -> Tensor:
    raw = indices._array
    return Tensor._wrap(module_of(raw).where((raw < 0) & (raw >= -n), raw + n, raw))


@public(method=False)
def unravel_index(indices: Tensor, shape: Any) -> tuple[Tensor, ...]:
    """The coordinates in a tensor of `shape` of elements given by number, a tensor for each dimension."""
    if tensor_of(indices, "unravel_index", "indices")._array.dtype.kind not in "iu":
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    if not isinstance(shape, (int, tuple, list)):
        raise TypeError(f"expected 'shape' to be int or sequence of ints, but got {type(shape)}")
    sizes = Size((shape,) if isinstance(shape, int) else shape)
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {tuple(sizes)}")
    left, found = indices._array.astype(np.int64, copy=False), []
    for n in reversed(sizes):
        found.append(Tensor._wrap(left % n))
        left = left // n
    return tuple(reversed(found))
