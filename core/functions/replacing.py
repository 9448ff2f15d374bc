"""Functions that give a copy of a tensor with one of its parts replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backends import module_of
from ..ops import indexing as _ix
from ..ops import strided as _st
from ..ops.overwriting import CopySlices
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor
from .arguments import one_dim, tensor_of, whole_number
from .catalogue import public
from .indexing import getitem, put
from .parts import as_strided, diagonal, select
from .shape import reshape

__all__ = ["as_strided_scatter", "diagonal_scatter", "select_scatter", "slice_scatter"]


def _replaced(name: str, input: Tensor, src: Tensor, part: Tensor, op: Any, attrs: Any) -> Tensor:
    """A copy of `input` with `src` where `op` leads, which reads `part`."""
    tensor_of(src, name, "src")
    _fits(src, part)
    return apply(CopySlices, (input, cast_inputs(src, input.dtype)), (((op, attrs),),))


def _fits(src: Tensor, part: Tensor) -> None:
    if src._array.shape != part._array.shape:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. "
            f"src size = {list(src.shape)}, slice size = {list(part.shape)}"
        )


def _index(d: int, item: Any) -> tuple[Any, ...]:
    return (*[slice(None)] * d, item)


@public()
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """A copy with `src` as the part number `index` along a dimension."""
    part = select(input.detach(), dim, index)
    where = _index(one_dim(dim, input.ndim), whole_number(index, "index"))
    return _replaced("select_scatter", input, src, part, _ix.Getitem, (where,))


@public()
def slice_scatter(
    input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """A copy with `src` in place of a slice of a dimension."""
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    if not input.ndim:
        raise RuntimeError("slice() cannot be applied to a 0-dim tensor.")
    where = _index(one_dim(dim, input.ndim), slice(start, end, step))
    return _replaced("slice_scatter", input, src, getitem(input.detach(), where), _ix.Getitem, (where,))


@public()
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A copy with `src` as a diagonal."""
    part = diagonal(input.detach(), offset, dim1, dim2)
    attrs = (whole_number(offset, "offset"), one_dim(dim1, input.ndim), one_dim(dim2, input.ndim))
    return _replaced("diagonal_scatter", input, src, part, _st.Diagonal, attrs)


@public()
def as_strided_scatter(
    input: Tensor,
    src: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    storage_offset: int | None = None,
) -> Tensor:
    """A copy with `src` where any strides lead, in elements of the input's storage."""
    part = as_strided(input.detach(), size, stride, storage_offset)
    _fits(tensor_of(src, "as_strided_scatter", "src"), part)
    a = input._array
    own = tuple(s // a.itemsize for s in a.strides)
    offset = 0 if storage_offset is None else storage_offset - _st.start_of(a) // a.itemsize
    numbers, inside = _st.numbers_read(a.shape, own, tuple(size), tuple(stride), offset)
    xp = module_of(a)
    chosen = reshape(cast_inputs(src, input.dtype), -1)
    if not inside.all():  # between the input's elements, which the copy has none
        chosen = apply(_ix.Index, (chosen,), ((xp.asarray(np.flatnonzero(inside)),),))
    out = put(reshape(input, -1), (xp.asarray(numbers[inside]),), chosen, False)
    return reshape(out, a.shape)
