"""The device that tensors are made on where none is named: torch.set_default_device, and `with torch.device(...)`."""

from __future__ import annotations

import threading
from typing import Any

from .backends import CPU, Device

__all__ = ["current", "get_default_device", "set_default_device"]


class _State(threading.local):
    default: Device = CPU
    entered: tuple[Device, ...] = ()


_state = _State()


def current() -> Device:
    """The device of the innermost `with torch.device(...)`, else the default."""
    return _state.entered[-1] if _state.entered else _state.default


def set_default_device(device: Any) -> None:
    """Makes this thread's new tensors on `device`; None is the CPU."""
    _state.default = CPU if device is None else Device(device)


def get_default_device() -> Device:
    """The device on which this thread makes tensors where none is named."""
    return current()


def _enter(self: Device) -> Device:
    _state.entered += (self,)
    return self


def _exit(self: Device, *exc: object) -> None:
    _state.entered = _state.entered[:-1]


Device.__enter__ = _enter  # type: ignore[attr-defined]
Device.__exit__ = _exit  # type: ignore[attr-defined]
