"""Distinct elements and places in sorted rows, on raw arrays; nothing here has a gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from .order import comparable, order_of

__all__ = ["counted", "distinct", "places", "row_order", "starts_of"]


def places(rows: Any, values: Any, right: bool) -> Any:
    """For each value the first place in its row of `rows` that is not below it, or above it with `right`, by halving.

    rows: sorted in their last dimension; 1-D, or of the same leading dimensions as values. NaN lies beyond all.
    """
    xp = module_of(rows)
    rows, values = comparable(rows), comparable(values)
    n = rows.shape[-1]
    low = xp.zeros(values.shape, np.int64)
    high = low + n
    flat = rows.ndim == 1
    for _ in range(n.bit_length()):
        mid = low + (high - low) // 2
        at = xp.minimum(mid, n - 1)
        there = rows[at] if flat else xp.take_along_axis(rows, at, -1)
        below = (mid < high) & ~(there > values if right else there >= values)
        low = xp.where(below, mid + 1, low)
        high = xp.where(below, high, mid)
    return low


def starts_of(rows: Any) -> Any:
    """Which of the rows (dimension 0) differ from the one before; NaN differs from all."""
    xp = module_of(rows)
    differs = rows[1:] != rows[:-1]
    if differs.ndim > 1:
        differs = differs.any(axis=tuple(range(1, differs.ndim)))
    return xp.concatenate((xp.ones((min(rows.shape[0], 1),), bool), differs))


def row_order(rows: Any) -> Any:
    """The stable order of `rows` (dimension 0), by the first element, then the second, and so on."""
    xp = module_of(rows)
    order = xp.arange(rows.shape[0])
    columns = rows.reshape(rows.shape[0], rows.size // max(rows.shape[0], 1))
    for k in reversed(range(columns.shape[1])):
        order = order[order_of(columns[order, k], 0, False)]
    return order


def distinct(rows: Any, order: Any) -> tuple[Any, Any, Any]:
    """The distinct rows of `rows` in `order` (None: as they are, equal neighbours joined), where each went, and how many."""
    xp = module_of(rows)
    in_order = rows if order is None else rows[order]
    starts = starts_of(in_order)
    number = xp.cumsum(starts, dtype=np.int64) - 1
    if order is None:
        inverse = number
    else:
        inverse = xp.zeros(number.shape, np.int64)
        inverse[order] = number
    where = xp.arange(rows.shape[0])[starts]
    ends = xp.concatenate((where[1:], xp.full(where.shape, rows.shape[0], np.int64)[:1]))
    return in_order[starts], inverse, ends - where


def counted(numbers: Any, length: int) -> Any:
    """How often each of 0 to length - 1 is among the non-negative `numbers`, as int64."""
    return module_of(numbers).bincount(numbers, minlength=length).astype(np.int64, copy=False)
