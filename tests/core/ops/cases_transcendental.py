"""Trigonometric, hyperbolic and logarithmic operations."""

from __future__ import annotations

import numpy as np
import torch

from .cases import Case, _binary, _unary, positive, signed


def _within_one(*shape: int) -> np.ndarray:
    return np.asarray(signed(*shape) / 2)


def _above_one(*shape: int) -> np.ndarray:
    return np.asarray(positive(*shape) + 1.0)


CASES: list[Case] = [
    *(c for op in ("tan", "sinh", "cosh", "atan", "asinh", "exp2") for c in _unary(op, getattr(torch, op), _within_one)),
    *(c for op in ("asin", "acos", "atanh") for c in _unary(op, getattr(torch, op), _within_one)),
    *(c for op in ("log2", "log10") for c in _unary(op, getattr(torch, op), positive)),
    *_unary("acosh", torch.acosh, _above_one),
    *(c for op in ("atan2", "hypot", "logaddexp") for c in _binary(op, getattr(torch, op))),
]  # fmt: skip
