"""Matrix products."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from ..backends import module_of
from ..backends.products import host_product
from ..node import Op
from .registry import register

__all__ = ["column_sums", "ones", "product"]


def product(a: Any, b: Any) -> Any:
    """a @ b of raw arrays: matrices, or batches of them that broadcast."""
    if b.ndim == 2:
        if a.ndim == 2:
            return host_product(a, b) if b.__class__ is np.ndarray else a.dot(b)
        if a.flags.c_contiguous:  # one product over all rows instead of one for each batch
            rows = math.prod(a.shape[:-1])
            return a.reshape(rows, a.shape[-1]).dot(b).reshape(*a.shape[:-1], b.shape[1])
    return a @ b


@lru_cache(64)
def ones(n: int, dtype: Any) -> Any:
    """That many, in memory that is kept: to be read alone."""
    return np.ones(n, dtype)


def column_sums(g: Any) -> Any:
    """The sums over the rows of a raw matrix. In NumPy a product with ones: 0.4 us for 32 x 64 where sum takes 1.1.

    At most 256 numbers are added in a row, for rounding errors grow with it.
    """
    if g.__class__ is not np.ndarray or g.dtype.char not in "fd":
        return g.sum(axis=0)
    rows = g.shape[0]
    if rows <= _IN_A_ROW:
        return ones(rows, g.dtype).dot(g)
    blocks, rest = divmod(rows, _IN_A_ROW)
    head = g[: rows - rest].reshape(blocks, _IN_A_ROW, g.shape[1])
    found = column_sums(np.matmul(ones(_IN_A_ROW, g.dtype), head))
    if rest:
        found += column_sums(g[rows - rest :])
    return found


_IN_A_ROW = 256


@register("matmul", inputs=2)
class Matmul(Op):
    """matmul(a, b) of two arrays with at least 2 dimensions; leading dimensions broadcast."""

    __slots__ = ()
    save = (0, 1)
    spares = (0, 1)
    forward = staticmethod(product)

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ea, eb = self.edges
        ga = gb = None
        if len(self.shape) == 2:
            return (
                m.matmul(g, b.T) if ea is not None else None,
                m.matmul(a.T, g) if eb is not None else None,
            )
        if ea is not None:
            if (
                b.ndim == 3 and len(self.input_shape()) == 2
            ):  # one product instead of one for each batch, then a sum
                count, k, n = b.shape
                side = m.reshape(m.permute(g, (1, 0, 2)), (g.shape[1], count * n))
                ga = m.matmul(side, m.reshape(m.permute(b, (0, 2, 1)), (count * n, k)))
            else:
                ga = m.matmul(g, m.swap_last(b))
        if eb is not None:
            if len(self.input_shape(1)) == 2:  # likewise, over all rows
                k, n = self.input_shape(1)
                rows = math.prod(a.shape[:-1])
                gb = m.matmul(m.swap_last(m.reshape(a, (rows, k))), m.reshape(g, (rows, n)))
            else:
                gb = m.matmul(m.swap_last(a), g)
        return ga, gb

    def name(self) -> str:
        return {2: "MmBackward0", 3: "BmmBackward0"}.get(len(self.shape), "UnsafeViewBackward0")


@register("mv", inputs=2)
class Mv(Op):
    """mv(a, v): a matrix with a vector."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, v: Any) -> Any:
        return a.dot(v)

    def backward(self, m: Any, g: Any, a: Any, v: Any) -> Any:
        ea, ev = self.edges
        return (
            m.reshape(g, (*g.shape, 1)) * v if ea is not None else None,
            m.mv(a.T, g) if ev is not None else None,
        )


@register("dot", inputs=2)
class Dot(Op):
    """dot(a, b) of two vectors of one length."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any) -> Any:
        return module_of(a).asarray(a.dot(b))

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ea, eb = self.edges
        return g * b if ea is not None else None, g * a if eb is not None else None


@register("linear", inputs=3)
class Linear(Op):
    """linear(x, w, b): x @ w.T + b, with x of shape (rows, in), w (out, in), b (out,)."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(x: Any, w: Any, b: Any) -> Any:
        out = product(x, w.T)
        out += b
        return out

    def backward(self, m: Any, g: Any, x: Any, w: Any) -> Any:
        ex, ew, eb = self.edges
        return (
            m.matmul(g, w) if ex is not None else None,
            m.matmul(g.T, x) if ew is not None else None,
            m.sum_to(g, g.shape[1:]) if eb is not None else None,
        )

    def name(self) -> str:
        return "AddmmBackward0"


@register("addmm", inputs=3)
class Addmm(Op):
    """addmm(c, a, b, beta, alpha): beta * c + alpha * (a @ b), where c broadcasts to the product; beta 0 ignores c."""

    __slots__ = ()
    save = (1, 2)

    @staticmethod
    def forward(c: Any, a: Any, b: Any, beta: Any, alpha: Any) -> Any:
        out = product(a, b)
        if alpha != 1:
            out *= alpha
        if beta != 0:
            out += c if beta == 1 else c * beta
        return out

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ec, ea, eb = self.edges
        beta, alpha = self.attrs
        scaled = g if alpha == 1 else g * alpha
        return (
            (g if beta == 1 else g * beta) if ec is not None else None,
            m.matmul(scaled, m.swap_last(b)) if ea is not None else None,
            m.matmul(m.swap_last(a), scaled) if eb is not None else None,
        )

    def name(self) -> str:
        return "AddmmBackward0" if len(self.shape) == 2 else "BaddbmmBackward0"


@register("cross", inputs=2)
class Cross(Op):
    """cross(a, b, dim) of arrays of one shape, 3 along dim, which is non-negative."""

    __slots__ = ()
    save = (0, 1)

    @staticmethod
    def forward(a: Any, b: Any, dim: int) -> Any:
        at = [(*(slice(None),) * dim, i) for i in range(3)]
        out = module_of(a).empty(a.shape, a.dtype)
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            out[at[i]] = a[at[j]] * b[at[k]] - a[at[k]] * b[at[j]]
        return out

    def backward(self, m: Any, g: Any, a: Any, b: Any) -> Any:
        ea, eb = self.edges
        (dim,) = self.attrs
        return (
            m.cross(b, g, dim) if ea is not None else None,
            m.cross(g, a, dim) if eb is not None else None,
        )

    def name(self) -> str:
        return "LinalgCrossBackward0"
