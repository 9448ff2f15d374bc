"""Normalisation over a set of dimensions: what the layers of that name share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backends import module_of
from ..node import Op
from .matrix import column_sums
from .reduction import count, total
from .registry import register


@register("standardize")
class Standardize(Op):
    """standardize(x, dims, eps): (x - mean) / sqrt(var + eps) over `dims` (all non-negative), var without Bessel."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(x: Any, dims: tuple[int, ...], eps: float) -> Any:
        centered, scale = _parts(x, dims, eps)
        return centered * scale

    def backward(self, m: Any, g: Any, x: Any) -> Any:
        dims, eps = self.attrs
        shape = x.shape
        centered = x - m.mean(x, dims, True, shape)
        scale = 1 / m.sqrt(m.mean(centered * centered, dims, True, shape) + eps)
        normal = centered * scale
        dot = m.mean(g * normal, dims, True, shape)
        return ((g - m.mean(g, dims, True, shape) - normal * dot) * scale,)

    def name(self) -> str:
        return "NativeLayerNormBackward0"


def _parts(x: Any, dims: tuple[int, ...], eps: float) -> tuple[Any, Any]:
    n = x.dtype.type(count(dims, x.shape))
    centered = x - total(x, dims, True) / n
    var = total(centered * centered, dims, True) / n
    return centered, 1 / module_of(x).sqrt(var + x.dtype.type(eps))


@register("rms_scale")
class RmsScale(Op):
    """rms_scale(x, dims, eps): x / sqrt(mean(x^2) + eps) over `dims`, which are all non-negative."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(x: Any, dims: tuple[int, ...], eps: float) -> Any:
        n = x.dtype.type(count(dims, x.shape))
        return x / module_of(x).sqrt(total(x * x, dims, True) / n + x.dtype.type(eps))

    def backward(self, m: Any, g: Any, x: Any) -> Any:
        dims, eps = self.attrs
        shape = x.shape
        scale = 1 / m.sqrt(m.mean(x * x, dims, True, shape) + eps)
        normal = x * scale
        return ((g - normal * m.mean(g * normal, dims, True, shape)) * scale,)

    def name(self) -> str:
        return "FusedRmsNormBackward0"


@register("standardize_affine", inputs=3, outputs=5)
class StandardizeAffine(Op):
    """standardize_affine(x, w, b, dims, eps, shape): standardize times w plus b, which are in `shape` first.

    Outputs: that, and for backward and for running statistics the standardized x, 1 / sqrt(var + eps), mean and var, which
    keep the dimensions. One node in place of three: 32 x 64 and back takes half the time.
    """

    __slots__ = ()
    save = (0, 1, "out")
    first_saved = 1  # the first is the caller's, who may write to it: relu_() after a batch norm

    @staticmethod
    def forward(x: Any, w: Any, b: Any, dims: tuple[int, ...], eps: float, shape: tuple[int, ...]) -> Any:
        if _of_rows(x, dims, shape):
            return _rows(x, w, b, dims, eps)
        n = x.dtype.type(count(dims, x.shape))
        mean = total(x, dims, True) / n
        normal = x - mean
        var = _product_sum(normal, normal, dims) / n
        scale = 1 / module_of(x).sqrt(var + x.dtype.type(eps))
        normal *= scale
        out = normal * w.reshape(shape)
        out += b.reshape(shape)
        return out, normal, scale, mean, var

    def backward(self, m: Any, g: Any, x: Any, w: Any, *outs: Any) -> Any:
        dims, _, shape = self.attrs
        g = g[0]
        ex, ew, eb = self.edges
        if hasattr(g, "_array"):
            return self._again(m, g, x, w)
        normal, scale = outs[0], outs[1]
        if ex is not None and _of_rows(normal, dims, shape):
            return _rows_backward(g, w, normal, scale)
        others = tuple(i for i, k in enumerate((1,) * (x.ndim - len(shape)) + shape) if k == 1)
        gb = total(g, others, False).reshape(w.shape) if eb is not None else None
        gw = _product_sum(g, normal, others).reshape(w.shape) if ew is not None else None
        if ex is None:
            return None, gw, gb
        n = x.dtype.type(count(dims, x.shape))
        gx = g * w.reshape(shape)
        dot = _product_sum(gx, normal, dims) / n
        gx -= total(gx, dims, True) / n
        gx -= normal * dot
        gx *= scale
        return gx, gw, gb

    def _again(self, m: Any, g: Any, x: Any, w: Any) -> Any:
        """The same from x itself, on tensors: what is to be differentiated again."""
        dims, eps, shape = self.attrs
        size = x.shape
        centered = x - m.mean(x, dims, True, size)
        scale = 1 / m.sqrt(m.mean(centered * centered, dims, True, size) + eps)
        normal = centered * scale
        gn = g * m.reshape(w, shape)
        dot = m.mean(gn * normal, dims, True, size)
        gx = (gn - m.mean(gn, dims, True, size) - normal * dot) * scale
        gw = m.reshape(m.sum_to(g * normal, shape), tuple(w.shape))
        return gx, gw, m.reshape(m.sum_to(g, shape), tuple(w.shape))

    def name(self) -> str:
        return (
            "NativeLayerNormBackward0" if len(self.attrs[2]) < len(self.shape) else "NativeBatchNormBackward0"
        )


def _product_sum(a: Any, b: Any, dims: tuple[int, ...]) -> Any:
    """The sum of a * b over `dims`, which are kept; where layouts permit without the product in memory.

    At most 1024 numbers are added in a row.
    """
    if a.flags.c_contiguous and b.flags.c_contiguous:
        shape, xp = a.shape, module_of(a)
        if a.ndim == 2 and dims == (1,) and shape[1] <= 1024:
            return xp.einsum("ij,ij->i", a, b)[:, None]
        if a.ndim == 2 and dims == (0,):
            folds = 64 if shape[0] % 64 == 0 and shape[0] > 256 else 1
            if shape[0] <= 1024 * folds:
                folded = (folds, shape[0] // folds, shape[1])
                return xp.einsum("kij,kij->kj", a.reshape(folded), b.reshape(folded)).sum(axis=0)[None]
        inner = count(dims[1:], shape)
        if a.ndim > 2 and dims == (0, *range(2, a.ndim)) and inner <= 1024 >= shape[0]:
            flat = (*shape[:2], inner)
            found = xp.einsum("nci,nci->nc", a.reshape(flat), b.reshape(flat)).sum(axis=0)
            return found.reshape((1, -1) + (1,) * (a.ndim - 2))
    return total(a * b, dims, True)


_ROWS = 32768  # elements of a block of rows: what is in work stays in the cache


def _of_rows(x: Any, dims: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether whole rows of an array in NumPy's memory are normalized, of at most 1024 numbers."""
    return (
        x.__class__ is np.ndarray
        and dims == tuple(range(x.ndim - len(dims), x.ndim))
        and shape == x.shape[x.ndim - len(dims) :]
        and x.flags.c_contiguous
        and 0 < count(dims, x.shape) <= 1024
    )


def _row_blocks(rows: int, n: int) -> Iterator[slice]:
    step = max(1, _ROWS // n)
    for start in range(0, rows, step):
        yield slice(start, start + step)


def _rows(x: Any, w: Any, b: Any, dims: tuple[int, ...], eps: float) -> tuple[Any, ...]:
    """StandardizeAffine's forward; sums over a row are products with ones, which take a fifth of the time."""
    n, dtype = count(dims, x.shape), x.dtype
    flat, w, b = x.reshape(-1, n), w.reshape(n), b.reshape(n)
    rows = flat.shape[0]
    out, normal = np.empty(flat.shape, dtype), np.empty(flat.shape, dtype)
    scale, mean, var = (np.empty((rows, 1), dtype) for _ in range(3))
    mean[:, 0] = flat.dot(np.full(n, 1 / n, dtype))
    for at in _row_blocks(rows, n):
        part, whole = normal[at], out[at]
        np.subtract(flat[at], mean[at], out=part)
        v = np.einsum("ij,ij->i", part, part)
        v /= n
        var[at, 0] = v
        v += dtype.type(eps)
        np.sqrt(v, out=v)
        np.divide(1, v, out=v)
        scale[at, 0] = v
        part *= scale[at]
        np.multiply(part, w, out=whole)
        whole += b
    kept = x.shape[: x.ndim - len(dims)] + (1,) * len(dims)
    return out.reshape(x.shape), normal.reshape(x.shape), *(t.reshape(kept) for t in (scale, mean, var))


def _rows_backward(g: Any, w: Any, normal: Any, scale: Any) -> tuple[Any, Any, Any]:
    n, dtype, shape, of_weight = w.size, normal.dtype, normal.shape, w.shape
    normal, w, scale = normal.reshape(-1, n), w.reshape(n), scale.reshape(-1, 1)
    flat = np.ascontiguousarray(g).reshape(-1, n)
    rows = flat.shape[0]
    gx, weighted = np.empty(flat.shape, dtype), w / n
    blocks = list(_row_blocks(rows, n))
    gw = np.empty((len(blocks), n), dtype)
    product = np.empty(flat[blocks[0]].shape, dtype)
    mean = flat.dot(weighted)[:, None]
    for i, at in enumerate(blocks):
        part, own, whole = normal[at], flat[at], gx[at]
        work = product[: part.shape[0]]
        np.multiply(own, part, out=work)
        gw[i] = column_sums(work)
        dot = work.dot(weighted)[:, None]
        np.multiply(own, w, out=whole)
        whole -= mean[at]
        np.multiply(part, dot, out=work)
        whole -= work
        whole *= scale[at]
    return gx.reshape(shape), column_sums(gw).reshape(of_weight), column_sums(flat).reshape(of_weight)
