"""Views by strides (windows, diagonals, any), and copies that turn an array: flip and roll."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from ..versions import lend, owner_of
from .registry import register

__all__ = ["numbers_read", "start_of", "strided"]


def _dense_storage(a: Any) -> Any:
    """The memory that `a` lies in, as a one-dimensional view of the array that owns it."""
    owner = owner_of(a)
    order = sorted(range(owner.ndim), key=lambda i: -owner.strides[i])
    flat = owner.transpose(order).reshape(-1)
    if owner.size and not module_of(a).may_share_memory(flat, owner):
        raise RuntimeError(
            "as_strided: the array that owns this memory is not dense; call contiguous() on the tensor first"
        )
    return flat


def start_of(a: Any) -> int:
    """How many bytes after the start of its storage `a` begins."""
    owner = owner_of(a)
    if owner is a or not a.size:
        return 0
    if isinstance(a, np.ndarray):
        return int(a.__array_interface__["data"][0] - owner.__array_interface__["data"][0])
    return int(a.data.ptr - owner.data.ptr)


def strided(a: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> Any:
    """The view of `a`'s memory that begins `offset` bytes after `a` does; strides in bytes.

    NumPy's as_strided makes views that don't know the array that they belong to; CuPy's has that told to `lend`.
    """
    if isinstance(a, np.ndarray):
        memory = _dense_storage(a).view(np.uint8)
        if 0 in shape:
            return np.ndarray(shape, a.dtype, memory, 0, (0,) * len(shape))
        return np.ndarray(shape, a.dtype, memory, start_of(a) + offset, strides)
    source = a
    if offset:
        source = _dense_storage(a).view(a.dtype)[(start_of(a) + offset) // a.itemsize :]
    return lend(module_of(a).lib.stride_tricks.as_strided(source, shape, strides), owner_of(a))


@register("as_strided")
class AsStrided(Op):
    """as_strided(a, shape, strides, offset, own): a view of the storage of `a`, whose strides are `own`.

    All in elements; offset counts from the start of `a`. Of an array that is laid out otherwise it is a copy.
    """

    __slots__ = ()
    is_view = True

    @staticmethod
    def forward(
        a: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, own: tuple[int, ...]
    ) -> Any:
        item = a.itemsize
        if a.strides == tuple(s * item for s in own):
            return strided(a, shape, tuple(s * item for s in strides), offset * item)
        numbers, inside = numbers_read(a.shape, own, shape, strides, offset)
        if not inside.all():
            raise RuntimeError("as_strided: a gradient would flow to elements that the input does not have")
        return a.reshape(-1)[module_of(a).asarray(numbers)].reshape(shape)

    def backward(self, m: Any, g: Any) -> Any:
        shape, strides, offset, own = self.attrs
        input_shape = self.input_shape()
        numbers, inside = numbers_read(input_shape, own, shape, strides, offset)
        kept = np.flatnonzero(inside)
        asarray = module_of(g._array if hasattr(g, "_array") else g).asarray
        read = m.index(m.reshape(g, (numbers.size,)), (asarray(kept),))
        held = int(np.prod(input_shape))
        total = m.put_items(read, (asarray(numbers[kept]),), (held,))
        return (m.reshape(total, input_shape),)


def numbers_read(
    held_shape: tuple[int, ...],
    own: tuple[int, ...],
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
) -> tuple[Any, Any]:
    """For each element of the view the number of the input's element there, and whether there is one."""
    read, held = _places(shape, strides) + offset, _places(held_shape, own)
    low = min(read.min(initial=0), held.min(initial=0))
    table = np.full(int(max(read.max(initial=0), held.max(initial=0)) - low) + 1, -1)
    table[held - low] = np.arange(held.size)
    if (table >= 0).sum() != held.size:
        raise RuntimeError(
            "as_strided: the gradient for a tensor whose own elements overlap in memory (from expand) is not "
            "supported; clone() it first"
        )
    numbers = table[read - low]
    return numbers, numbers >= 0


def _places(shape: tuple[int, ...], strides: tuple[int, ...]) -> Any:
    """Where in memory, in elements, each element lies, in order."""
    places = np.zeros((), np.int64)
    for n, s in zip(shape, strides, strict=True):
        places = places[..., None] + np.arange(n) * s
    return places.reshape(-1)


@register("diagonal")
class Diagonal(Op):
    """diagonal(a, offset, dim1, dim2): a view; dims are non-negative, the diagonal becomes the last dimension."""

    __slots__ = ()
    is_view = True

    @staticmethod
    def forward(a: Any, offset: int, dim1: int, dim2: int) -> Any:
        out = a.diagonal(offset, dim1, dim2)
        if out.__class__ is np.ndarray and a.flags.writeable:
            out.flags.writeable = True  # NumPy's own is made read-only
        return out

    def backward(self, m: Any, g: Any) -> Any:
        return (m.put_diagonal(g, self.input_shape(), *self.attrs),)


@register("put_diagonal")
class PutDiagonal(Op):
    """put_diagonal(g, shape, offset, dim1, dim2): zeros of `shape` with g on a diagonal; the gradient of diagonal."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(g: Any, shape: tuple[int, ...], offset: int, dim1: int, dim2: int) -> Any:
        out = module_of(g).zeros(shape, g.dtype)
        Diagonal.forward(out, offset, dim1, dim2)[...] = g
        return out

    def backward(self, m: Any, g: Any) -> Any:
        return (m.diagonal(g, *self.attrs[1:]),)

    def name(self) -> str:
        return "DiagonalBackwardBackward0"


@register("unfold")
class Unfold(Op):
    """unfold(a, dim, size, step): windows of `dim` as a new last dimension, a view."""

    __slots__ = ()
    is_view = True

    @staticmethod
    def forward(a: Any, dim: int, size: int, step: int) -> Any:
        if not a.ndim:
            return a.reshape(1)[:size]
        count = (a.shape[dim] - size) // step + 1
        shape = (*a.shape[:dim], count, *a.shape[dim + 1 :], size)
        steps = (*a.strides[:dim], a.strides[dim] * step, *a.strides[dim + 1 :], a.strides[dim])
        return strided(a, shape, steps)

    def backward(self, m: Any, g: Any) -> Any:
        dim, size, step = self.attrs
        shape = self.input_shape()
        if not shape:
            return (m.sum(g, (0,), False, g.shape),)
        xp = module_of(g._array if hasattr(g, "_array") else g)
        n = len(g.shape)
        places = xp.arange(g.shape[dim])[:, None] * step + xp.arange(size)
        side_by_side = m.permute(g, (*range(dim + 1), n - 1, *range(dim + 1, n - 1)))
        return (m.put_items(side_by_side, (*[slice(None)] * dim, places), shape),)


@register("flip")
class Flip(Op):
    """flip(a, dims): a copy, turned round along dims."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(a: Any, dims: tuple[int, ...]) -> Any:
        return module_of(a).flip(a, dims).copy() if dims else a.copy()

    def backward(self, m: Any, g: Any) -> Any:
        return (m.flip(g, self.attrs[0]),)


@register("roll")
class Roll(Op):
    """roll(a, shifts, dims): a copy, each dimension turned by its shift."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(a: Any, shifts: tuple[int, ...], dims: tuple[int, ...]) -> Any:
        xp = module_of(a)
        return xp.ascontiguousarray(xp.roll(a, shifts, dims))

    def backward(self, m: Any, g: Any) -> Any:
        shifts, dims = self.attrs
        return (m.roll(g, tuple(-s for s in shifts), dims),)
