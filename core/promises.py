"""What PyTorch lets a program choose between speed and exactness, answered truthfully: here every algorithm is exact.

Each operation gives the same bits every time, and float32 products have float32's digits. So what asks for that is
granted, and what allows less changes nothing.
"""

from __future__ import annotations

import warnings

__all__ = [
    "are_deterministic_algorithms_enabled", "get_float32_matmul_precision", "set_float32_matmul_precision",
    "use_deterministic_algorithms",
]  # fmt: skip


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Changes nothing: all algorithms are deterministic, whether they must be or not."""
    if not isinstance(mode, bool):
        raise TypeError(f"use_deterministic_algorithms: expected a bool, got {type(mode).__name__}")


def are_deterministic_algorithms_enabled() -> bool:
    """True: all algorithms are deterministic."""
    return True


def set_float32_matmul_precision(precision: str) -> None:
    """Changes nothing: products of float32 always have its precision, "highest", which the others permit."""
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; this call has no effect.",
            stacklevel=2,
        )


def get_float32_matmul_precision() -> str:
    """The precision called highest: products of float32 are computed in float32."""
    return "highest"
