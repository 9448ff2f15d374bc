"""Functions that cut a tensor into parts, which are views of it."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from ..ops import shape as _sh
from ..ops import strided as _st
from ..ops.indexing import Getitem
from ..ops.registry import apply, apply_several
from ..tensor import Tensor
from ..versions import owner_of
from ..views import attach
from .arguments import one_dim, whole_number
from .catalogue import public
from .indexing import getitem

__all__ = [
    "as_strided", "chunk", "diagonal", "dsplit", "hsplit", "narrow", "select", "split", "split_with_sizes", "tensor_split", "unbind",
    "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes", "vsplit",
]  # fmt: skip
_builtin_max, _builtin_min = builtins.max, builtins.min
_builtin_sum = builtins.sum


@public()
def split(
    tensor: Tensor, split_size_or_sections: Any = None, dim: int = 0, *, split_size: Any = None
) -> tuple[Tensor, ...]:
    """Parts of one size (the last may be smaller), or of the sizes given; the method calls them split_size."""
    if (split_size_or_sections is None) == (split_size is None):
        raise TypeError("split(): expected split_size_or_sections")
    if split_size is not None:
        split_size_or_sections = split_size
    if not isinstance(split_size_or_sections, int):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    _has_dimensions(tensor, "split")
    n, step = tensor._array.shape[one_dim(dim, tensor.ndim)], split_size_or_sections
    if step < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={step}")
    if not step:
        if n:
            raise RuntimeError(
                f"split_size can only be 0 if dimension size is 0, but got dimension size of {n}"
            )
        return _cut(tensor, [0], dim)
    return _cut(tensor, [step] * (n // step) + ([n % step] if n % step or not n else []), dim)


def _cut(tensor: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    """Parts of these sizes, whose gradients are joined at once and not each in zeros of the whole."""
    d, each = one_dim(dim, tensor.ndim), tuple(sizes)
    if not each:
        return ()
    return _views(tensor, apply_several(_sh.Split, (tensor,), (d, each)), _sh.Split.indices(d, each))


def _views(tensor: Tensor, parts: tuple[Tensor, ...], indices: list[Any]) -> tuple[Tensor, ...]:
    """`parts`, each as the view of `tensor` that its index reads."""
    return tuple(
        [attach(part, Getitem, tensor, (index,)) for part, index in zip(parts, indices, strict=True)]
    )


def _has_dimensions(tensor: Tensor, name: str) -> None:
    if not tensor.ndim:
        raise RuntimeError(f"{name} expects at least a 1-dimensional tensor")


@public()
def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    _has_dimensions(input, "split_with_sizes")
    n = input._array.shape[one_dim(dim, input.ndim)]
    sizes = [whole_number(k, "split_sizes") for k in split_sizes]
    for k in sizes:
        if k < 0:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes={sizes}"
            )
    if _builtin_sum(sizes) != n:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {dim}), but got "
            f"split_sizes={sizes}"
        )
    return _cut(input, sizes, dim)


@public()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    _has_dimensions(input, "chunk")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input._array.shape[one_dim(dim, input.ndim)]
    return split(input, -(-n // chunks), dim) if n else _cut(input, [0] * chunks, dim)


# In PyTorch parts that may be written in place for themselves; here all may.
@public()
def unsafe_split(input: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    return split(input, split_size, dim)


@public()
def unsafe_split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    return split_with_sizes(input, split_sizes, dim)


@public()
def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    return chunk(input, chunks, dim)


@public()
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """That many parts, of sizes that differ by one at most; or the parts between the indices given."""
    if not input.ndim:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    where, n = indices_or_sections, input._array.shape[one_dim(dim, input.ndim)]
    if isinstance(where, Tensor):
        if where.device.type != "cpu" or where._array.dtype != "int64" or where.ndim > 1:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional int64 tensor "
                f"on cpu, but got {where.dtype} with {where.ndim} dims on {where.device}"
            )
        where = where.tolist()
    if isinstance(where, int):
        if where <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {where}")
        small, large = n // where, n % where
        return _cut(input, [small + 1] * large + [small] * (where - large), dim)
    if not isinstance(where, (tuple, list)):
        raise TypeError(
            f"tensor_split(): argument 'indices_or_sections' must be int, Tensor or tuple of ints, not {type(where).__name__}"
        )
    edges = [whole_number(i, "indices_or_sections") for i in where]
    lead = (slice(None),) * one_dim(dim, input.ndim)
    return tuple(
        getitem(input, (*lead, slice(a, b))) for a, b in zip([0, *edges], [*edges, None], strict=True)
    )


def _split_along(input: Tensor, where: Any, dim: int, least: int, name: str) -> tuple[Tensor, ...]:
    if input.ndim < least:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with "
            f"{input.ndim} dimensions!"
        )
    n = input._array.shape[dim]
    if isinstance(where, int):
        if where <= 0 or n % where:
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension {n} is not "
                f"divisible by the split_size {where}!"
            )
    elif not isinstance(where, (tuple, list)):
        raise TypeError(f"{name}(): expected an int or a tuple of ints, got {type(where).__name__}")
    return tensor_split(input, where, dim)


@public()
def hsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Parts by columns (of one dimension: by elements)."""
    return _split_along(input, indices_or_sections, 0 if input.ndim == 1 else 1, 1, "hsplit")


@public()
def vsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Parts by rows."""
    return _split_along(input, indices_or_sections, 0, 2, "vsplit")


@public()
def dsplit(input: Tensor, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Parts along the third dimension."""
    return _split_along(input, indices_or_sections, 2, 3, "dsplit")


@public()
def narrow(input: Tensor, dim: int, start: int | Tensor, length: int) -> Tensor:
    if not input.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    d = one_dim(dim, input.ndim)
    n, start, length = (
        input._array.shape[d],
        whole_number(start, "start"),
        whole_number(length, "length"),
    )
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= start <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {start})")
    first = start + n if start < 0 else start
    if first > n - length:
        raise RuntimeError(f"start ({first}) + length ({length}) exceeds dimension size ({n}).")
    return getitem(input, (slice(None),) * d + (slice(first, first + length),))


@public()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    if not input.ndim:
        raise IndexError("Dimension specified as 0 but tensor has no dimensions")
    d = one_dim(dim, input.ndim)
    n = input._array.shape[d]
    if not n:
        return ()
    return _views(input, apply_several(_sh.Unbind, (input,), (d, n)), _sh.Unbind.indices(d, n))


@public()
def select(input: Tensor, dim: int, index: int | Tensor) -> Tensor:
    if not input.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d, i = one_dim(dim, input.ndim), whole_number(index, "index")
    n = input._array.shape[d]
    if not -n <= i < n:
        raise IndexError(
            f"select(): index {i} out of range for tensor of size {list(input.shape)} at dimension {d}"
        )
    return getitem(input, (slice(None),) * d + (i,))


@public()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The elements where the indices of two dimensions are equal (but for `offset`), as the last dimension; a view."""
    d1, d2 = one_dim(dim1, input.ndim), one_dim(dim2, input.ndim)
    if d1 == d2:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return apply(_st.Diagonal, (input,), (whole_number(offset, "offset"), d1, d2))


@public(function=False)
def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` elements of a dimension, `step` apart, as a new last dimension; a view."""
    d = one_dim(dimension, input.ndim)
    n = input._array.shape[d] if input.ndim else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {dimension} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    return apply(_st.Unfold, (input,), (d, whole_number(size, "size"), whole_number(step, "step")))


@public()
def as_strided(
    input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """A view of the tensor's storage by any strides, in elements."""
    a = input._array
    if len(size) != len(stride):
        raise RuntimeError(
            f"mismatch in length of strides and shape: {len(size)} sizes, {len(stride)} strides"
        )
    if builtins.any(n < 0 for n in size):
        raise RuntimeError(f"as_strided: a negative size in {list(size)}")
    if builtins.any(s < 0 for s in stride):
        raise RuntimeError(
            f"as_strided: Negative strides are not supported at the moment, got strides: {list(stride)}"
        )
    own, item = _st.start_of(a), a.itemsize
    start = own // item if storage_offset is None else storage_offset
    if start < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {start}")
    room = owner_of(a).size
    last = start + _builtin_sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if 0 not in size and last >= room:
        raise RuntimeError(
            f"setStorage: sizes {list(size)}, strides {list(stride)}, storage offset {start}, and itemsize {item} requiring "
            f"a storage size of {(last + 1) * item} are out of bounds for storage of size {room * item}"
        )
    steps = tuple(s // item for s in a.strides)
    return apply(_st.AsStrided, (input,), (tuple(size), tuple(stride), start - own // item, steps))


@public(function=False)
def storage_offset(input: Tensor) -> int:
    """How many elements after the start of its storage the tensor begins."""
    return _st.start_of(input._array) // int(input._array.itemsize)
