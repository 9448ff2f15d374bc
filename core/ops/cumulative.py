"""Running sums, products and their kin along one dimension.

What NumPy and CuPy do not both have is computed by doubling: round k joins each element with the one 2^k before it,
so that n elements take log2(n) calls on either.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .reduction import reverse, shifted
from .registry import register


def _wider(a: Any) -> Any:
    """The dtype that a running sum is kept in: thousands of float32 roundings in a row would show."""
    return np.dtype(np.float64) if a.dtype == np.float32 else a.dtype


def _accumulated(a: Any, dim: int, sums: bool) -> Any:
    """The running sums or products along `dim`, rounded to a's dtype at the end."""
    if not a.ndim:
        return a.copy()
    if a.__class__ is np.ndarray and a.dtype == np.float32:  # in place: a third of the time of dtype=
        wide = a.astype(np.float64)
        return (np.add if sums else np.multiply).accumulate(wide, axis=dim, out=wide).astype(np.float32)
    running = a.cumsum if sums else a.cumprod
    return running(axis=dim, dtype=_wider(a)).astype(a.dtype, copy=False)


@register("cumsum")
class Cumsum(Op):
    """cumsum(a, dim): running sums; dim is non-negative."""

    __slots__ = ()

    @staticmethod
    def forward(a: Any, dim: int) -> Any:
        return _accumulated(a, dim, True)

    def backward(self, m: Any, g: Any) -> Any:
        (dim,) = self.attrs
        if not g.shape:
            return (g,)
        turned = reverse(dim)
        return (m.getitem(m.cumsum(m.getitem(g, turned), dim), turned),)


@register("cumprod")
class Cumprod(Op):
    """cumprod(a, dim): running products; the gradient is right with zeros, too."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any, dim: int) -> Any:
        return _accumulated(a, dim, False)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        (dim,) = self.attrs
        if not g.shape or 0 in g.shape:
            return (g,)
        turned = reverse(dim)
        before = m.cumprod(shifted(m, a, dim), dim)
        after = m.recurrence(m.getitem(g, turned), shifted(m, m.getitem(a, turned), dim), dim)
        return (before * m.getitem(after, turned),)


@register("recurrence", inputs=2)
class Recurrence(Op):
    """recurrence(b, a, dim): y[k] = b[k] + a[k] * y[k - 1]; a's first element counts for nothing."""

    __slots__ = ()
    save = (1, "out")

    @staticmethod
    def forward(b: Any, a: Any, dim: int) -> Any:
        y, factor = b.astype(_wider(b)), a.astype(_wider(b))
        lead = (slice(None),) * dim
        step, n = 1, b.shape[dim]
        while step < n:
            later, earlier = (*lead, slice(step, None)), (*lead, slice(None, n - step))
            y[later] = y[later] + factor[later] * y[earlier]
            factor[later] = factor[later] * factor[earlier]
            step *= 2
        return y.astype(b.dtype, copy=False)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        (dim,) = self.attrs
        turned = reverse(dim)
        after = m.recurrence(m.getitem(g, turned), shifted(m, m.getitem(a, turned), dim), dim)
        total = m.getitem(after, turned)
        return total, total * shifted(m, out, dim, zero=True)


@register("logcumsumexp")
class Logcumsumexp(Op):
    """logcumsumexp(a, dim): logarithms of running sums of exp(a), without overflow."""

    __slots__ = ()
    save = (0, "out")

    @staticmethod
    def forward(a: Any, dim: int) -> Any:
        xp = module_of(a)
        y = a.astype(_wider(a))
        if not a.ndim:
            return y.astype(a.dtype)
        lead = (slice(None),) * dim
        step, n = 1, a.shape[dim]
        while step < n:
            later, earlier = (*lead, slice(step, None)), (*lead, slice(None, n - step))
            y[later] = xp.logaddexp(y[later], y[earlier])
            step *= 2
        return y.astype(a.dtype)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        (dim,) = self.attrs
        if not g.shape or 0 in g.shape:
            return (g,)
        # With r[j] = sum over i >= j of g[i] * exp(out[j] - out[i]), whose exponents are at most 0.
        turned = reverse(dim)
        before = shifted(m, m.getitem(out, turned), dim)
        own = m.getitem(out, turned)
        gap = m.where(own == before, m.zeros_like(own), own - before)
        lead = (slice(None),) * dim
        first = m.zeros_like(m.getitem(gap, (*lead, slice(0, 1))))
        rest = m.getitem(gap, (*lead, slice(1, None)))
        gap = m.cat(first, rest, (dim, (1, rest.shape[dim])))
        r = m.recurrence(m.getitem(g, turned), m.exp(gap), dim)
        return (m.exp(a - out) * m.getitem(r, turned),)


def running_extreme(a: Any, dim: int, largest: bool) -> Any:
    """Where the running maximum (or minimum) is: the last of equal ones, and a NaN from where it appears."""
    xp = module_of(a)
    n = a.shape[dim]
    if a.__class__ is np.ndarray and n:  # the doubling below takes up to a hundred times as long
        extreme = (np.maximum if largest else np.minimum).accumulate(a, axis=dim)
        own = np.arange(n).reshape((n,) + (1,) * (a.ndim - 1 - dim))
        return np.maximum.accumulate(np.where((a == extreme) | (a != a), own, 0), axis=dim)
    value = a.copy()
    index = xp.zeros(a.shape, np.int64) + xp.arange(n).reshape((n,) + (1,) * (a.ndim - 1 - dim))
    lead = (slice(None),) * dim
    step = 1
    while step < n:
        later, earlier = (*lead, slice(step, None)), (*lead, slice(None, n - step))
        new, old = value[later], value[earlier]
        stays = ((new >= old) if largest else (new <= old)) | (new != new)
        index[later] = xp.where(stays, index[later], index[earlier])
        value[later] = xp.where(stays, new, old)
        step *= 2
    return index
