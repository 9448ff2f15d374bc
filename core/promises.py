"""What PyTorch lets a program choose between speed and exactness, answered truthfully: here every algorithm is exact.

Each operation gives the same bits every time, and float32 products have float32's digits. So what asks for that is
granted, and what allows less changes nothing.
"""

from __future__ import annotations

import warnings

__all__ = [
    "are_deterministic_algorithms_enabled", "get_deterministic_debug_mode", "get_float32_matmul_precision", "get_num_interop_threads",
    "is_deterministic_algorithms_warn_only_enabled", "set_deterministic_debug_mode", "set_float32_matmul_precision",
    "set_num_interop_threads", "use_deterministic_algorithms",
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


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """False: there is nothing to warn of."""
    return False


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """Changes nothing; see use_deterministic_algorithms."""
    if debug_mode not in (0, 1, 2, "default", "warn", "error"):
        raise RuntimeError(
            f"invalid value of debug_mode, expected 0, 1, 2, 'default', 'warn' or 'error', but got {debug_mode!r}"
        )


def get_deterministic_debug_mode() -> int:
    """2, "error": no algorithm that is not deterministic is ever used."""
    return 2


def get_num_interop_threads() -> int:
    """Operations that run beside one another: one."""
    return 1


def set_num_interop_threads(num: int) -> None:
    """Changes nothing: operations run one after the other."""
    if num < 1:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
