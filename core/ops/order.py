"""Elements taken by their place in an order (extremes, medians, sorted values), and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .registry import arrays, register


@register("pick", inputs=2)
class Pick(Op):
    """pick(a, index, dim, keepdim, unique, name): elements along `dim` at `index`, which has a's other dimensions.

    keepdim: whether `index` has dimension `dim`. unique: no element is taken twice. name: the node's.
    """

    __slots__ = ()
    exact = True
    save = (1,)

    @staticmethod
    def forward(a: Any, index: Any, dim: int, keepdim: bool, unique: bool, name: str) -> Any:
        if not a.ndim:
            return a.copy()
        xp = module_of(a)
        if keepdim:
            return xp.take_along_axis(a, index, dim)
        out = xp.take_along_axis(a, xp.expand_dims(index, dim), dim)
        return out.reshape(index.shape)

    def backward(self, m: Any, g: Any, index: Any) -> Any:
        dim, keepdim, unique, _ = self.attrs
        shape = self.input_shape()
        if not shape:
            return g, None
        return m.put_along(g, index, dim, keepdim, unique, shape[dim]), None

    def name(self) -> str:
        return f"{self.attrs[3]}"


@register("put_along", inputs=2)
class PutAlong(Op):
    """put_along(g, index, dim, keepdim, unique, size): zeros with g added at `index`; the gradient of pick."""

    __slots__ = ()
    save = (1,)

    @staticmethod
    def forward(g: Any, index: Any, dim: int, keepdim: bool, unique: bool, size: int) -> Any:
        xp = module_of(g)
        if not keepdim:
            index, g = xp.expand_dims(index, dim), xp.expand_dims(g, dim)
        shape = (*index.shape[:dim], size, *index.shape[dim + 1 :])
        grid = [
            xp.arange(n).reshape((1,) * i + (n,) + (1,) * (index.ndim - 1 - i))
            for i, n in enumerate(index.shape)
        ]
        grid[dim] = index
        if not unique:
            return arrays.put_items(g, tuple(grid), shape)
        out = xp.zeros(shape, g.dtype)
        out[tuple(grid)] = g
        return out

    def backward(self, m: Any, g: Any, index: Any) -> Any:
        dim, keepdim, unique, _ = self.attrs
        return m.pick(g, index, dim, keepdim, unique, "GatherBackward0"), None

    def name(self) -> str:
        return "ScatterAddBackward0"


def comparable(a: Any) -> Any:
    """`a` in a dtype that NumPy and CuPy sort with NaN last."""
    return a if a.dtype.kind in "biuf" else a.astype(np.float32)


def order_of(a: Any, dim: int, descending: bool) -> Any:
    """The stable order along `dim`; NaN is the largest."""
    xp = module_of(a)
    a = comparable(a)
    if not descending:
        return xp.argsort(a, axis=dim, kind="stable").astype(np.int64, copy=False)
    back = xp.argsort(xp.flip(a, axis=dim), axis=dim, kind="stable")
    return (a.shape[dim] - 1 - xp.flip(back, axis=dim)).astype(np.int64, copy=False)


def middle(a: Any, dim: int, skip_nan: bool) -> tuple[Any, Any]:
    """The lower median along `dim`, kept as 1, and its place; NaN where there is one, or past it with skip_nan."""
    xp = module_of(a)
    order = order_of(a, dim, False)
    n = a.shape[dim]
    lead = (slice(None),) * dim
    if a.dtype.kind in "biu":
        k = order[(*lead, slice((n - 1) // 2, (n - 1) // 2 + 1))]
    else:
        holes = (a != a).sum(axis=dim, keepdims=True)
        at = xp.maximum((n - holes - 1) // 2, 0) if skip_nan else xp.where(holes > 0, n - holes, (n - 1) // 2)
        k = xp.take_along_axis(order, at, dim)
    return xp.take_along_axis(a, k, dim), k


def most_frequent(a: Any, dim: int) -> Any:
    """Where the most frequent value along `dim` is, kept as 1: the smallest of several, and its last place."""
    xp = module_of(a)
    order = order_of(a, dim, False)
    s = xp.take_along_axis(a, order, dim)
    lead, n = (slice(None),) * dim, a.shape[dim]
    places = xp.arange(n).reshape((n,) + (1,) * (a.ndim - 1 - dim)) + xp.zeros(a.shape, np.int64)
    begins = xp.where(
        s[(*lead, slice(1, None))] != s[(*lead, slice(0, -1))], places[(*lead, slice(1, None))], 0
    )
    run = xp.concatenate((0 * places[(*lead, slice(0, 1))], begins), axis=dim)
    step = 1
    while step < n:  # the last beginning before each place
        later, earlier = (*lead, slice(step, None)), (*lead, slice(None, n - step))
        run[later] = xp.maximum(run[later], run[earlier])
        step *= 2
    best = (places - run).argmax(axis=dim)
    return xp.take_along_axis(order, xp.expand_dims(best, dim), dim)
