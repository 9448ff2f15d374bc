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


def kth(a: Any, dim: int, k: int) -> Any:
    """Where the k-th smallest along `dim` is (k from 0), kept as 1: of equal ones as a stable sort would have it."""
    if a.__class__ is not np.ndarray or a.dtype.kind not in "iuf" or a.shape[dim] < 64:
        return order_of(a, dim, False)[(*(slice(None),) * dim, slice(k, k + 1))]
    value = np.partition(a, k, axis=dim)[(*(slice(None),) * dim, slice(k, k + 1))]
    below, equal = _beside(a, value, False)
    wanted = k + 1 - below.sum(axis=dim, keepdims=True)
    if (wanted == 1).all():
        return equal.argmax(axis=dim, keepdims=True)
    return (equal & (equal.cumsum(axis=dim) == wanted)).argmax(axis=dim, keepdims=True)


def foremost(a: Any, dim: int, k: int, largest: bool) -> Any:
    """Where the k largest (or smallest) along `dim` are, in order; of equal ones the first.

    On the CPU only the k are sorted, after a selection by value: 5 of 32,000 take a tenth of the time of a full sort. It
    is not left to argpartition, whose choice among equal ones depends on the processor.
    """
    n, lead = a.shape[dim], (slice(None),) * dim
    if a.__class__ is not np.ndarray or a.dtype.kind not in "iuf" or not 0 < 4 * k <= n or n < 64:
        return order_of(a, dim, largest)[(*lead, slice(0, k))]
    at = n - k if largest else k - 1
    edge = np.partition(a, at, axis=dim)[(*lead, slice(at, at + 1))]
    chosen, equal = _beside(a, edge, largest)
    wanted = k - chosen.sum(axis=dim, keepdims=True)
    if (equal.sum(axis=dim, keepdims=True) > wanted).any():
        equal &= equal.cumsum(axis=dim) <= wanted
    rows = np.moveaxis(chosen | equal, dim, -1)
    index = np.moveaxis(rows.nonzero()[-1].reshape(*rows.shape[:-1], k), -1, dim)
    return np.take_along_axis(index, order_of(np.take_along_axis(a, index, dim), dim, largest), dim)


def _beside(a: Any, value: Any, above: bool) -> tuple[Any, Any]:
    """Which elements are above (or below) `value`, and which equal it; NaN is the largest, and equals NaN."""
    beyond, equal = (a > value if above else a < value), a == value
    if a.dtype.kind == "f":
        holes, hole = a != a, value != value
        beyond |= (holes & ~hole) if above else (~holes & hole)
        equal |= holes & hole
    return beyond, equal


def middle(a: Any, dim: int, skip_nan: bool) -> tuple[Any, Any]:
    """The lower median along `dim`, kept as 1, and its place; NaN where there is one, or past it with skip_nan."""
    xp = module_of(a)
    n = a.shape[dim]
    holes = a != a
    if a.__class__ is np.ndarray and not holes.any():
        place = kth(a, dim, (n - 1) // 2)
    else:
        holes = holes.sum(axis=dim, keepdims=True)
        at = xp.maximum((n - holes - 1) // 2, 0) if skip_nan else xp.where(holes > 0, n - holes, (n - 1) // 2)
        place = xp.take_along_axis(order_of(a, dim, False), at, dim)
    return xp.take_along_axis(a, place, dim), place


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
