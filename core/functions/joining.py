"""Functions that join tensors, or bring several to one shape."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ops import shape as _sh
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor
from .arguments import common_dtype, one_dim, sizes_differ
from .catalogue import public
from .indexing import getitem
from .shape import broadcast_shapes, expand, reshape

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_tensors", "cartesian_prod", "cat", "column_stack",
    "combinations", "dstack", "hstack", "meshgrid", "stack", "vstack",
]  # fmt: skip


def _sequence(tensors: Any, name: str) -> list[Tensor]:
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not {type(tensors).__name__}"
        )
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"expected Tensor as element {i} in argument 0, but got {type(t).__name__} ({name})"
            )
    return list(tensors)


def _of_one_dtype(tensors: list[Tensor]) -> tuple[Tensor, ...]:
    dtype = tensors[0]._array.dtype
    for t in tensors:
        if t._array.dtype is not dtype:
            to = common_dtype(tensors)
            return tuple([cast_inputs(t, to) for t in tensors])
    return tuple(tensors)


@public(alias="concat concatenate", out=True, method=False)
def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Joins along an existing dimension; empty one-dimensional tensors are passed over, as PyTorch has it."""
    given = _sequence(tensors, "cat")
    if not given:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    for i, p in enumerate(given):
        if not p._array.ndim:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
    parts = _of_one_dtype(given)
    parts = tuple([p for p in parts if p._array.shape != (0,)]) or parts
    d = one_dim(dim, parts[0]._array.ndim)
    first = parts[0]._array.shape
    for i, p in enumerate(parts):
        own = p._array.shape
        if len(own) != len(first):
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {len(first)} and {len(own)}"
            )
        if own[:d] + own[d + 1 :] != first[:d] + first[d + 1 :]:
            at = next(k for k, (n, m) in enumerate(zip(first, own, strict=True)) if k != d and n != m)
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {d}. Expected size {first[at]} but got size {own[at]} for "
                f"tensor number {i} in the list."
            )
    return apply(_sh.Cat, parts, ((d, tuple([p._array.shape[d] for p in parts])),))


@public(out=True, method=False)
def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Joins along a new dimension."""
    given = _sequence(tensors, "stack")
    if not given:
        raise RuntimeError("stack expects a non-empty TensorList")
    first = given[0]._array.shape
    for i, p in enumerate(given):
        if p._array.shape != first:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(given[0].shape)} at entry 0 and "
                f"{list(p.shape)} at entry {i}"
            )
    return apply(_sh.Stack, _of_one_dtype(given), (one_dim(dim, len(first) + 1),))


def _filled_up(name: str, tensors: Any) -> list[Tensor]:
    given = _sequence(tensors, name)
    if not given:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return given


@public(out=True, method=False)
def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side: along the second dimension, or the only one."""
    parts = [_atleast(1, t) for t in _filled_up("hstack", tensors)]
    return cat(parts, 0 if parts[0].ndim == 1 else 1)


@public(alias="row_stack", out=True, method=False)
def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """One below the other; tensors of one dimension are rows."""
    return cat([_atleast(2, t) for t in _filled_up("vstack", tensors)], 0)


@public(out=True, method=False)
def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """One behind the other, along the third dimension."""
    return cat([_atleast(3, t) for t in _filled_up("dstack", tensors)], 2)


@public(out=True, method=False)
def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """Side by side; tensors of one dimension are columns."""
    given = _filled_up("column_stack", tensors)
    return hstack([reshape(t, (t.numel(), 1)) if t.ndim <= 1 else t for t in given])


def _atleast(n: int, t: Tensor) -> Tensor:
    shape = tuple(t._array.shape)
    if len(shape) >= n:
        return t
    if n == 3 and len(shape) == 2:
        return reshape(t, (*shape, 1))
    if n == 3:
        return reshape(t, (1, *(shape or (1,)), 1))
    return reshape(t, (1,) * (n - len(shape)) + shape)


def _each_atleast(n: int, tensors: tuple[Any, ...]) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], Tensor):
        return _atleast(n, tensors[0])
    given = tensors[0] if len(tensors) == 1 else tensors
    return tuple(_atleast(n, t) for t in _sequence(given, f"atleast_{n}d"))


@public(method=False)
def atleast_1d(*tensors: Any) -> Any:
    """Views with one dimension at least; a tuple of them for several tensors."""
    return _each_atleast(1, tensors)


@public(method=False)
def atleast_2d(*tensors: Any) -> Any:
    """Views with two dimensions at least: vectors become rows."""
    return _each_atleast(2, tensors)


@public(method=False)
def atleast_3d(*tensors: Any) -> Any:
    """Views with three dimensions at least: vectors lie along the second, matrices get a third."""
    return _each_atleast(3, tensors)


def _unpacked(tensors: tuple[Any, ...], name: str) -> list[Tensor]:
    """f(a, b) and f([a, b]) alike."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    return _sequence(given, name)


@public(method=False)
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Views of one shape."""
    given = _unpacked(tensors, "broadcast_tensors")
    shape: Any = ()
    for t in given:
        try:
            shape = broadcast_shapes(shape, tuple(t._array.shape))
        except RuntimeError:
            raise sizes_differ(shape, t._array.shape) from None
    return tuple(expand(t, shape) for t in given)


@public(method=False)
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """For each vector its values as a function of the place in the grid of all. indexing: "ij" (the default), or "xy", which
    swaps the first two dimensions."""
    given = _unpacked(tensors, "meshgrid")
    if not given:
        raise ValueError("meshgrid expects a non-empty TensorList")
    for t in given:
        if t.ndim > 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {list(t.shape)}"
            )
        if t.dtype is not given[0].dtype or t.device != given[0].device:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype and device")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    swap = indexing == "xy" and len(given) > 1
    if swap:
        given[:2] = given[1], given[0]
    sizes = tuple(t.numel() for t in given)
    grids = []
    for i, t in enumerate(given):
        along = tuple(n if i == j else 1 for j, n in enumerate(sizes))
        grids.append(expand(reshape(t, along), sizes))
    if swap:
        grids[:2] = grids[1], grids[0]
    return tuple(grids)


@public(method=False)
def cartesian_prod(*tensors: Any) -> Tensor:
    """All combinations of the vectors' elements, as rows."""
    given = _unpacked(tensors, "cartesian_prod")
    for t in given:
        if t.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.shape)}")
    if len(given) == 1:
        return given[0]
    return stack([reshape(g, -1) for g in meshgrid(*given, indexing="ij")], 1)


@public(method=False)
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of `r` elements of a vector, as rows."""
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if not r:
        return getitem(input, slice(0, 0))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = np.array(list(choose(range(input.numel()), r)), np.int64).reshape(-1, r)
    return getitem(input, Tensor._wrap(rows))


@public(method=False)
def block_diag(*tensors: Any) -> Tensor:
    """The matrices along the diagonal of one, zeros elsewhere; vectors are rows."""
    given = _unpacked(tensors, "block_diag")
    for i, t in enumerate(given):
        if t.ndim > 2:
            raise RuntimeError(
                "torch.block_diag: Input tensors must have 2 or fewer dimensions. "
                f"Input {i} has {t.ndim} dimensions"
            )
    if not given:
        return Tensor._wrap(np.zeros((1, 0), np.float32))
    to = common_dtype(given)
    blocks = [cast_inputs(_atleast(2, t), to) for t in given]
    width, left, rows = sum(b._array.shape[1] for b in blocks), 0, []
    for b in blocks:
        n, k = b._array.shape
        sides = [Tensor._wrap(np.zeros((n, w), to.numpy)).to(b.device) for w in (left, width - left - k)]
        rows.append(cat([sides[0], b, sides[1]], 1))
        left += k
    return cat(rows, 0)
