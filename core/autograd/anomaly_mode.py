"""Anomaly mode: backward looks for NaN and names the line of the forward pass that an error comes from."""

from __future__ import annotations

from typing import Any

from ..observers import anomaly, watch_nodes

__all__ = ["detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_detect_anomaly"]


def is_anomaly_enabled() -> bool:
    return anomaly.enabled


def is_anomaly_check_nan_enabled() -> bool:
    return anomaly.check_nan


def _set(enabled: bool, check_nan: bool) -> None:
    if enabled != anomaly.enabled:
        watch_nodes(enabled)
    anomaly.enabled, anomaly.check_nan = bool(enabled), bool(check_nan)


class set_detect_anomaly:
    """Turns anomaly mode on or off at once; as a context manager it puts back what was there before."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = anomaly.enabled, anomaly.check_nan
        _set(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        _set(*self._before)


class detect_anomaly:
    """Within, backward raises RuntimeError where an operation returns NaN (check_nan), and its errors carry, as a note,
    the traceback of the forward call that made the operation. Slow: for debugging."""

    def __init__(self, check_nan: bool = True) -> None:
        self._check_nan = check_nan
        self._before: list[Any] = []

    def __enter__(self) -> None:
        self._before.append((anomaly.enabled, anomaly.check_nan))
        _set(True, self._check_nan)

    def __exit__(self, *exc: object) -> None:
        _set(*self._before.pop())
