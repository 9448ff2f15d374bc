"""Factorizations of raw matrices, by the array module's LAPACK or cuSOLVER and, where these stop at a singular matrix, by hand.

All work on batches: arrays (…, rows, columns) of float32 or float64.
"""

from __future__ import annotations

import importlib
import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from ..backends import module_of

__all__ = [
    "LinAlgError",
    "called",
    "eye",
    "factored",
    "info_of_cholesky",
    "info_of_lu",
    "pivoted",
    "raised",
    "triangular",
]


class LinAlgError(RuntimeError):
    """torch.linalg.LinAlgError: a matrix that is singular, not positive-definite, or on which an iteration fails."""


_BLOCK = 16


def _checked(xp: Any) -> AbstractContextManager[Any]:
    """Makes CuPy raise where a factorization fails, as NumPy does, instead of returning rubbish."""
    if xp.__name__ != "cupy":
        return nullcontext()
    context: AbstractContextManager[Any] = importlib.import_module("cupyx").errstate(linalg="raise")
    return context


def called(name: str, a: Any, *args: Any, **options: Any) -> Any:
    """The array module's linalg function, or None where it stops at a matrix it can't treat."""
    xp = module_of(a)
    with _checked(xp):
        try:
            return getattr(xp.linalg, name)(a, *args, **options)
        except np.linalg.LinAlgError:
            return None


def eye(a: Any) -> Any:
    """The identity as large as the columns of `a`."""
    xp = module_of(a)
    places = xp.arange(a.shape[-1])
    return (places[:, None] == places).astype(a.dtype)


def raised(name: str, info: Any, words: str) -> LinAlgError:
    """The error for the first matrix of a batch with info > 0, of which {} in `words` stands for the number."""
    flat = info.reshape(-1)
    first = int((flat > 0).argmax())
    batch = f"(Batch element {first}): " if info.ndim else ""
    return LinAlgError(f"{name}: {batch}{words.format(int(flat[first]))}")


def factored(a: Any) -> tuple[Any, Any, Any]:
    """LU with partial pivoting, column by column: the packed factors, pivots from 1 (int32), and the rows' order.

    Row i of the product of the factors is row order[i] of `a`.
    """
    xp = module_of(a)
    m, n = a.shape[-2:]
    count = math.prod(a.shape[:-2])
    k = min(m, n)
    lu = a.reshape(count, m, n).copy()
    pivots = xp.zeros((count, k), np.int32)
    order = xp.zeros((count, m), np.int64) + xp.arange(m)
    batch = xp.arange(count)
    for i in range(k if count else 0):
        p = abs(lu[:, i:, i]).argmax(axis=1) + i
        pivots[:, i] = (p + 1).astype(np.int32)
        for x in (lu, order):
            taken, own = x[batch, p], x[:, i].copy()
            x[batch, p] = own
            x[:, i] = taken
        pivot = lu[:, i, i]
        safe = xp.where(pivot == 0, a.dtype.type(1), pivot)  # LAPACK leaves a column of zeros as it is
        if i + 1 < m:
            lu[:, i + 1 :, i] = lu[:, i + 1 :, i] / safe[:, None]
            lu[:, i + 1 :, i + 1 :] = (
                lu[:, i + 1 :, i + 1 :] - lu[:, i + 1 :, i, None] * lu[:, i, None, i + 1 :]
            )
    shape = a.shape[:-2]
    return lu.reshape(a.shape), pivots.reshape((*shape, k)), order.reshape((*shape, m))


def info_of_lu(lu: Any) -> Any:
    """For each matrix the number, from 1, of the first pivot that is 0; 0 where there is none."""
    k = min(lu.shape[-2:])
    xp = module_of(lu)
    if not k:
        return xp.zeros(lu.shape[:-2], np.int32)
    zero = lu.diagonal(0, lu.ndim - 2, lu.ndim - 1) == 0
    return xp.asarray(zero.any(axis=-1) * (zero.argmax(axis=-1) + 1)).astype(np.int32)


def pivoted(order: Any, dtype: Any) -> Any:
    """The permutation matrix P with a = P @ L @ U, for the rows' order that `factored` gives."""
    xp = module_of(order)
    places = xp.arange(order.shape[-1])
    return (places[:, None] == order[..., None, :]).astype(dtype)


def info_of_cholesky(a: Any) -> tuple[Any, Any]:
    """The lower factor as far as it goes, and for each matrix the order of the first minor that is not positive."""
    xp = module_of(a)
    n = a.shape[-1]
    work = xp.tril(a)
    info = xp.zeros(a.shape[:-2], np.int32)
    for i in range(n):
        row = work[..., i, :i]
        pivot = work[..., i, i] - (row * row).sum(axis=-1)
        bad = ~(pivot > 0)
        info = xp.where((info == 0) & bad, np.int32(i + 1), info)
        root = xp.sqrt(xp.where(info > 0, a.dtype.type(1), pivot))
        work[..., i, i] = xp.where(info > 0, work[..., i, i], root)
        if i + 1 < n:
            below = work[..., i + 1 :, i] - (work[..., i + 1 :, :i] * row[..., None, :]).sum(axis=-1)
            work[..., i + 1 :, i] = xp.where(
                (info > 0)[..., None], work[..., i + 1 :, i], below / root[..., None]
            )
    return work, xp.asarray(info).astype(np.int32)


def triangular(a: Any, b: Any, upper: bool, unit: bool) -> Any:
    """The solution of a @ x = b by substitution, in blocks of 16; only the triangle of `a` is read. 0 gives inf or NaN."""
    n = a.shape[-1]
    if n > _BLOCK:
        half = n // 2
        low, high = slice(None, half), slice(half, None)
        first, second = (high, low) if upper else (low, high)
        x1 = triangular(a[..., first, first], b[..., first, :], upper, unit)
        x2 = triangular(a[..., second, second], b[..., second, :] - a[..., second, first] @ x1, upper, unit)
        return module_of(a).concatenate([x2, x1] if upper else [x1, x2], axis=-2)
    x = b.copy()
    for i in reversed(range(n)) if upper else range(n):
        known = slice(i + 1, None) if upper else slice(None, i)
        right = b[..., i, :] - (a[..., i, None, known] @ x[..., known, :])[..., 0, :]
        x[..., i, :] = right if unit else right / a[..., i, i, None]
    return x
