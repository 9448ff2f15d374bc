"""Attention, whole and in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from .cases import Case, signed

_ADDED = np.where(np.arange(15).reshape(3, 5) % 4 == 1, -np.inf, signed(3, 5))
_ADDED[1] = -np.inf


def _case(
    note: str, q: Any, k: Any, v: Any, scale: float = 0.7, causal: bool = False, mask: Any = None
) -> Case:
    seen = None if mask is None else torch.from_numpy(mask)

    def expected(*inputs: Any) -> Any:
        return (F.scaled_dot_product_attention(*inputs, seen, 0.0, causal, scale=scale),)

    def attrs(move: Any, device: Any) -> tuple[Any, ...]:
        return scale, causal, None if mask is None else move(mask)

    return Case("attention", (q, k, v), expected, attrs, note, outputs=1)


CASES = [
    _case("matrix", signed(3, 2), signed(5, 2), signed(5, 4)),
    _case("batch", signed(2, 3, 2), signed(2, 5, 2), signed(2, 5, 1)),
    _case("heads", signed(2, 1, 3, 2), signed(2, 1, 2, 2), signed(2, 1, 2, 2)),
    _case("heads-within", signed(2, 3, 2, 2).swapaxes(1, 2), signed(2, 4, 2, 2).swapaxes(1, 2), signed(2, 4, 2, 1).swapaxes(1, 2)),
    _case("causal", signed(1, 3, 2), signed(1, 3, 2), signed(1, 3, 2), causal=True),
    _case("causal-long", signed(4, 2), signed(2, 2), signed(2, 2), causal=True),
    _case("causal-wide", signed(2, 2), signed(4, 2), signed(4, 2), causal=True),
    _case("mask", signed(2, 3, 2), signed(2, 5, 2), signed(2, 5, 2), mask=_ADDED),
    _case("mask-of-batch", signed(2, 1, 3, 2), signed(2, 1, 4, 2), signed(2, 1, 4, 2), mask=signed(2, 1, 1, 4)),
]  # fmt: skip
