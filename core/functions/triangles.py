"""Functions of triangles and diagonals of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import Device, to_device
from ..dtypes import dtype as DType
from ..dtypes import int64
from ..in_place import in_place
from ..ops import solving as _so
from ..ops import strided as _st
from ..ops.registry import apply
from ..tensor import Tensor
from .arguments import one_dim, whole_number
from .catalogue import public
from .parts import diagonal
from .shape import clone, reshape

__all__ = ["diag", "diag_embed", "diagflat", "tril", "tril_indices", "triu", "triu_indices"]


@public(in_place=True, out=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix (or batch of matrices) with zeros above the diagonal."""
    return _triangle(_so.Tril, input, diagonal, "tril")


@public(in_place=True, out=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix (or batch of matrices) with zeros below the diagonal."""
    return _triangle(_so.Triu, input, diagonal, "triu")


def _triangle(op: Any, input: Tensor, diagonal: int, name: str) -> Tensor:
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
    return apply(op, (input,), (whole_number(diagonal, "diagonal"),))


@public(method=False)
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: DType = int64, device: Any = None) -> Tensor:
    """The places of a matrix on and below a diagonal: a row of row numbers and one of column numbers."""
    return _places("tril_indices", row, col, offset, dtype, device)


@public(method=False)
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: DType = int64, device: Any = None) -> Tensor:
    """The places of a matrix on and above a diagonal: a row of row numbers and one of column numbers."""
    return _places("triu_indices", row, col, offset, dtype, device)


def _places(name: str, row: int, col: int, offset: int, dtype: DType, device: Any) -> Tensor:
    sizes = [whole_number(n, a) for n, a in ((row, "row"), (col, "col"))]
    for n, a in zip(sizes, ("row", "col"), strict=True):
        if n < 0:
            raise RuntimeError(f"{a} must be non-negative, got{n}")
    if dtype.name not in ("int64", "int32"):
        raise RuntimeError(f'"{name}" not implemented for {dtype}')
    make = np.tril_indices if name == "tril_indices" else np.triu_indices
    places = np.stack(make(sizes[0], whole_number(offset, "offset"), sizes[1])).astype(dtype.numpy)
    return Tensor._wrap(to_device(places, Device("cpu" if device is None else device)))


@public(out=True)
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with the vector on a diagonal, or a copy of a matrix's diagonal."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return clone(_diagonal(input, diagonal, 0, 1))


_diagonal = diagonal


@public()
def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last dimension as a diagonal of two new ones, zeros elsewhere."""
    if not input.ndim:
        raise IndexError("Dimension specified as -1 but tensor has no dimensions")
    n = input.ndim + 1
    d1, d2 = one_dim(dim1, n), one_dim(dim2, n)
    if d1 == d2:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    k = whole_number(offset, "offset")
    size = input._array.shape[-1] + abs(k)
    rest = iter(input._array.shape[:-1])
    shape = tuple(size if d in (d1, d2) else next(rest) for d in range(n))
    return apply(_st.PutDiagonal, (input,), (shape, k, d1, d2))


@public()
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with the flattened tensor on a diagonal."""
    return diag_embed(reshape(input, -1), offset)


@public(function=False, name="fill_diagonal_")
def _fill_diagonal_(input: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Puts a number on the main diagonal of a matrix, or of a tensor of equal sizes; wrap: begins anew below the bottom."""
    shape = tuple(input._array.shape)
    if len(shape) < 2:
        raise RuntimeError("dimensions must larger than 1")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    size = input._array.size
    step = int(np.sum([np.prod(shape[i + 1 :], dtype=np.int64) for i in range(len(shape))]))
    end = shape[1] * shape[1] if len(shape) == 2 and not wrap and shape[0] > shape[1] else size
    numbers = np.arange(0, end, step)  # below the bottom one row is left out between two diagonals
    mask = np.zeros(size, bool)
    mask[numbers] = True
    chosen = Tensor._wrap(to_device(mask.reshape(shape), input.device))
    return in_place(input, lambda old: old.masked_fill(chosen, fill_value), "fill_diagonal_")
