"""Attention as one operation: scores are made, used and forgotten block by block, so that memory grows with the length, not its square.

The way of FlashAttention (Dao et al., arXiv:2205.14135): backward makes the scores again. A block is kept with the keys first,
`(keys, heads, queries)`: sums and maxima over keys are then over rows, where NumPy takes a fifth of the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..backends import module_of
from ..node import Op
from ..tensor import Tensor
from .matrix import column_sums
from .registry import register
from .scratch import scratch

__all__ = ["Attention"]

_QUERIES = 64  # of a block; fixed, as all sizes here: the bits go by them
_SCORES = 65536  # of a block of several heads, at most


class _Block(NamedTuple):
    """Of which batches, heads and queries; `keys`: how many of them the queries see, from the first."""

    at: tuple[slice, slice]
    first: int
    last: int
    keys: int


def _four(x: Any) -> Any:
    """`x` with two leading dimensions."""
    return x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:]) if x.ndim > 2 else x[None, None]


def _together(heads: int, queries: int, keys: int) -> tuple[int, int]:
    """Batches and heads in a block: some heads of one batch, or some batches with all heads."""
    n = max(1, _SCORES // (min(queries, _QUERIES) * keys))
    return (n // heads, heads) if n >= heads else (1, n)


@contextmanager
def _room(like: Any, heads: int, queries: int, keys: int, copies: int) -> Iterator[Any]:
    """Flat memory for the scores of a block, so many times."""
    b, h = _together(heads, queries, keys)
    shape = (copies, b * h * min(queries, _QUERIES) * keys)
    if like.__class__ is np.ndarray:
        with scratch(shape, like.dtype) as room:
            yield room
    else:
        yield module_of(like).empty(shape, like.dtype)


def _groups(batches: int, heads: int, queries: int, keys: int) -> Iterator[tuple[slice, slice]]:
    b, h = _together(heads, queries, keys)
    for i in range(0, batches, b):
        for j in range(0, heads, h):
            yield slice(i, i + b), slice(j, j + h)


def _blocks(at: tuple[slice, slice], queries: int, keys: int, causal: bool) -> list[_Block]:
    """The blocks of one group, the one that sees all keys first."""
    starts = range(0, queries, _QUERIES)
    ends = [min(i + _QUERIES, queries) for i in starts]
    return [
        _Block(at, i, end, min(end, keys) if causal else keys)
        for i, end in zip(reversed(starts), reversed(ends), strict=True)
    ]


def _merged(x: Any) -> Any:
    """(batches, heads, n, m) as (batches * heads, n, m)."""
    return x.reshape(-1, *x.shape[2:])


def _scaled(xp: Any, x: Any, scale: float) -> Any:
    """`x` times the scale, merged, in memory in its own order: a product with it turned over takes twice the time."""
    out = xp.empty(x.shape, x.dtype)
    xp.multiply(x, scale, out=out)
    return _merged(out)


def _multiply(a: Any, b: Any, out: Any) -> None:
    if out.__class__ is np.ndarray:
        np.matmul(a, b, out=out)
    else:
        out[...] = a @ b


def _scores(xp: Any, block: _Block, q: Any, k: Any, mask: Any, causal: bool, out: Any) -> Any:
    """Scores (keys, heads, queries) of a block of scaled queries (heads, size, queries), in the flat memory `out`."""
    n, _, rows = q.shape
    keys = block.keys
    s = out[: keys * n * rows].reshape(keys, n, rows)
    _multiply(k[:, :keys], q, s.transpose(1, 0, 2))
    if causal and keys > block.first:
        late = s[block.first :]
        late += (_later_on_host if xp is np else _later)(xp, s.dtype, late.shape)
    if mask is not None:
        part = mask[block.at][:, :, :keys, block.first : block.last]
        wide = s.reshape(keys, *part.shape[:2], rows)
        wide += part.transpose(2, 0, 1, 3)
    return s


def _later(xp: Any, dtype: Any, shape: tuple[int, int, int]) -> Any:
    """(keys, heads, queries) of a block on the diagonal: minus infinity where the key is later than the query."""
    keys, _, queries = shape
    out = xp.zeros(shape, dtype)
    out += xp.where(xp.arange(keys)[:, None] > xp.arange(queries), -math.inf, 0.0).astype(dtype)[:, None]
    return out  # whole, as adding it then takes a fourth of the time


_later_on_host = lru_cache(8)(_later)


def _turned(mask: Any, shape: tuple[int, ...]) -> Any:
    """The mask (…, queries, keys) as (batches, heads, keys, queries), in memory as it is read."""
    if mask is None:
        return None
    xp = module_of(mask)
    turned = xp.ascontiguousarray(mask.swapaxes(-1, -2))
    *lead, queries, keys = shape
    return _four(xp.broadcast_to(turned, (*lead, keys, queries)))


@register("attention", inputs=3, outputs=2)
class Attention(Op):
    """attention(q, k, v, scale, causal, mask): softmax(q k^T * scale + mask) v, of (…, L, E), (…, S, E), (…, S, Ev) with equal leading sizes.

    mask: a raw array that broadcasts to (…, L, S), or None. causal: query i sees keys up to i. Outputs: that, and the logarithms
    of the sums of exponentials (…, L). Where no key takes part because of the mask, zeros.
    """

    __slots__ = ()
    save = (0, 1, 2, "out")

    @staticmethod
    def forward(q: Any, k: Any, v: Any, scale: float, causal: bool, mask: Any) -> tuple[Any, Any]:
        xp, lead, dtype = module_of(q), q.shape[:-2], q.dtype
        queries, keys, width = q.shape[-2], k.shape[-2], v.shape[-1]
        turned = _turned(mask, (*lead, queries, keys))
        q, k, v = _four(q), _four(k), _four(v)
        batches, heads = q.shape[:2]
        # in memory as PyTorch has it: what follows puts the heads behind the queries
        out = xp.empty((batches, queries, heads, width), dtype).transpose(0, 2, 1, 3)
        logs = xp.empty((batches, heads, queries), dtype)
        with _room(q, heads, queries, keys, 1) as (room,):
            for at in _groups(batches, heads, queries, keys):
                kg, vg = _merged(k[at]), _merged(v[at])
                for block in _blocks(at, queries, keys, causal):
                    rows = (*at, slice(block.first, block.last))
                    qt = _scaled(xp, q[rows].swapaxes(2, 3), scale)
                    s = _scores(xp, block, qt, kg, turned, causal, room)
                    shift = s.max(axis=0)
                    if mask is not None:
                        shift[shift == -math.inf] = 0
                    s -= shift
                    xp.exp(s, out=s)
                    sums = column_sums(s.reshape(block.keys, -1)).reshape(shift.shape)
                    if mask is not None:
                        sums[sums == 0] = 1
                    part, to = s.transpose(1, 2, 0) @ vg[:, : block.keys], out[rows]
                    xp.divide(part.reshape(to.shape), sums.reshape(to.shape[:-1])[..., None], out=to)
                    logs[rows] = (xp.log(sums) + shift).reshape(to.shape[:-1])
        return out.reshape(*lead, queries, width), logs.reshape(*lead, queries)

    def backward(self, m: Any, g: Any, q: Any, k: Any, v: Any, out: Any, logs: Any) -> Any:
        g = g[0]
        scale, causal, mask = self.attrs
        if hasattr(g, "_array"):
            return _again(m, g, q, k, v, scale, causal, mask)
        xp, dtype = module_of(g), g.dtype
        lead, (queries, keys) = q.shape[:-2], (q.shape[-2], k.shape[-2])
        turned = _turned(mask, (*lead, queries, keys))
        # as the inputs are in memory, which is how the gradients are read
        grads = tuple(xp.empty_like(x) for x in (q, k, v))
        q, k, v, g, out, gq, gk, gv = map(_four, (q, k, v, g, out, *grads))
        logs = logs.reshape(q.shape[:-1])
        batches, heads = q.shape[:2]
        with _room(g, heads, queries, keys, 2) as (room, room_of_slopes):
            for at in _groups(batches, heads, queries, keys):
                kg, vg = _merged(k[at]), _merged(v[at])
                sum_k, sum_v = xp.empty(kg.shape, dtype), xp.empty(vg.shape, dtype)
                for block in _blocks(at, queries, keys, causal):
                    rows, seen = (*at, slice(block.first, block.last)), block.keys
                    qb, gb = _scaled(xp, q[rows], scale), _merged(g[rows])
                    qt = _scaled(xp, q[rows].swapaxes(2, 3), scale)
                    s = _scores(xp, block, qt, kg, turned, causal, room)
                    s -= logs[rows].reshape(s.shape[1:])
                    xp.exp(s, out=s)
                    slopes = room_of_slopes[: s.size].reshape(s.shape)
                    gt = xp.ascontiguousarray(gb.swapaxes(1, 2))
                    _multiply(vg[:, :seen], gt, slopes.transpose(1, 0, 2))
                    slopes -= xp.einsum("bhij,bhij->bhi", g[rows], out[rows]).reshape(s.shape[1:])
                    slopes *= s
                    if block.last == queries:  # the first one, which sees the most
                        _multiply(s.transpose(1, 0, 2), gb, sum_v[:, :seen])
                        _multiply(slopes.transpose(1, 0, 2), qb, sum_k[:, :seen])
                        sum_v[:, seen:] = sum_k[:, seen:] = 0
                    else:
                        sum_v[:, :seen] += s.transpose(1, 0, 2) @ gb
                        sum_k[:, :seen] += slopes.transpose(1, 0, 2) @ qb
                    part, to = slopes.transpose(1, 2, 0) @ kg[:, :seen], gq[rows]
                    xp.multiply(part.reshape(to.shape), scale, out=to)
                gk[at], gv[at] = sum_k.reshape(gk[at].shape), sum_v.reshape(gv[at].shape)
        return tuple(x if e is not None else None for x, e in zip(grads, self.edges, strict=True))

    def name(self) -> str:
        return "ScaledDotProductFlashAttentionForCpuBackward0"


def _again(m: Any, g: Any, q: Any, k: Any, v: Any, scale: float, causal: bool, mask: Any) -> Any:
    """backward on tensors, from whole scores: what is to be differentiated again."""
    scaled, shape = q * scale, (*q.shape[:-1], k.shape[-2])
    xp, dtype = module_of(q._array), g._array.dtype
    scores = m.matmul(scaled, m.swap_last(k))
    hidden = xp.zeros(shape, bool)
    if causal:
        hidden |= xp.arange(shape[-2])[:, None] < xp.arange(shape[-1])
    if mask is not None:
        none = mask == -math.inf
        hidden |= none
        scores = scores + Tensor._wrap(xp.where(none, dtype.type(0), mask))
    if causal or mask is not None:  # where nothing is seen all weigh the same, until they are taken away
        scores = m.where(Tensor._wrap(hidden), Tensor._wrap(xp.full(shape, -1e30, dtype)), scores)
    weights = m.softmax(scores, len(shape) - 1) * Tensor._wrap((~hidden).astype(dtype))
    slopes = m.matmul(g, m.swap_last(v))
    weighted = weights * slopes
    inner = weighted - weights * m.sum(weighted, (len(shape) - 1,), True, shape)
    return (
        m.matmul(inner, k) * scale,
        m.matmul(m.swap_last(inner), scaled),
        m.matmul(m.swap_last(weights), g),
    )
