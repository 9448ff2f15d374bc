"""Array modules by device: NumPy for "cpu", CuPy for "cuda". The only package that imports CuPy.

Everything else is written against the module that `module_of(array)` or `Device.module` gives.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from .flags import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp

__all__ = [
    "cpu",
    "cuda",
    "cudnn",
    "mkl",
    "mkldnn",
    "mps",
    "openmp",
    "Device",
    "check_carried",
    "device_of",
    "module_of",
    "to_device",
    "to_numpy",
    "use_cuda_module",
]

Array = Any
_cuda_module: Any = None  # CuPy once a cuda device is first used, or the module a test put in its place


class Device:
    """Where a tensor lives: Device("cpu"), Device("cuda"), Device("cuda:1"), Device("cuda", 1)."""

    __slots__ = ("index", "type")

    def __init__(self, type: str | int | Device, index: int | None = None) -> None:
        if isinstance(type, Device):
            self.type: str = type.type
            self.index: int | None = type.index if index is None else index
            return
        if isinstance(type, int) and not isinstance(type, bool) and index is None:
            self.type, self.index = "cuda", type
            return
        if not isinstance(type, str):
            raise TypeError(f"device: expected a string such as 'cpu' or 'cuda:0', got {type!r}")
        kind, colon, number = type.partition(":")
        if kind not in ("cpu", "cuda") or (colon and not number.isdecimal()) or (colon and index is not None):
            raise RuntimeError(f"device: expected 'cpu', 'cuda' or 'cuda:N', got {type!r}")
        if index is not None and index < 0:
            raise RuntimeError("Device index must not be negative")
        self.type = kind
        self.index = int(number) if colon else index

    def __repr__(self) -> str:
        return f"device(type='{self.type}'" + (f", index={self.index})" if self.index is not None else ")")

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Device, (str(self),))

    @property
    def module(self) -> Any:
        """The array module: numpy or cupy. Raises RuntimeError where CUDA cannot be had, saying why."""
        return np if self.type == "cpu" else cuda_module()

    def context(self) -> AbstractContextManager[Any]:
        """Makes this device current for allocations."""
        if self.type == "cpu":
            return nullcontext()
        context: AbstractContextManager[Any] = cuda_module().cuda.Device(self.index)
        return context


CPU = Device("cpu")


def cuda_module() -> Any:
    """CuPy, imported at the first use."""
    global _cuda_module
    if _cuda_module is None:
        try:
            module: ModuleType = importlib.import_module("cupy")
        except ImportError as e:
            raise RuntimeError(
                f"device 'cuda' needs CuPy, which does not import here ({e}); "
                "install gradwire[cuda12] or gradwire[cuda13], or use device 'cpu'"
            ) from None
        count, reason = cuda_device_count(module)
        if not count:
            raise RuntimeError(
                f"device 'cuda' needs an NVIDIA GPU and its driver, found none ({reason}); use device 'cpu'"
            )
        _cuda_module = module
    return _cuda_module


def cuda_device_count(module: Any = None) -> tuple[int, str]:
    """How many GPUs CuPy sees, and in words why none where it sees none."""
    if module is None:
        if _cuda_module is not None:
            module = _cuda_module
        else:
            try:
                module = importlib.import_module("cupy")
            except ImportError as e:
                return 0, f"CuPy does not import: {e}"
    try:
        return int(module.cuda.runtime.getDeviceCount()), ""
    except Exception as e:  # CUDARuntimeError, or a missing driver library: both mean that there is none
        return 0, str(e)


def use_cuda_module(module: Any) -> Any:
    """Puts `module` in CuPy's place for device "cuda" and returns what stood there (tests: the strict stand-in)."""
    global _cuda_module
    before, _cuda_module = _cuda_module, module
    _current_cuda.cache_clear()
    return before


@lru_cache(maxsize=64)
def _current_cuda(index: int) -> Device:
    return Device("cuda", index)


def module_of(array: Array) -> Any:
    """numpy for a NumPy array, else the CUDA array module."""
    return np if isinstance(array, (np.ndarray, np.generic)) else cuda_module()


def device_of(array: Array) -> Device:
    """The device an array lives on."""
    return CPU if isinstance(array, np.ndarray) else _current_cuda(int(array.device.id))


def check_carried(module: Any, dtype: Any) -> None:
    """Raises RuntimeError for a dtype that the arrays of `module` don't have."""
    if module is not np and dtype.kind == "V":
        raise RuntimeError(
            f"device 'cuda' does not carry {dtype.name}, which CuPy's arrays lack; use float16 or float32, or device 'cpu'"
        )


def to_device(array: Array, device: Device) -> Array:
    """The array on `device`; itself where it is there already."""
    if device.type == "cpu":
        return to_numpy(array)
    if not isinstance(array, np.ndarray) and device.index in (None, int(array.device.id)):
        return array
    check_carried(device.module, array.dtype)
    with device.context():
        return device.module.asarray(array)


def to_numpy(array: Array) -> np.ndarray[Any, Any]:
    """The array's values as a NumPy array, by an explicit copy from the GPU where it is on one."""
    if isinstance(array, np.ndarray):
        return array
    if isinstance(array, np.generic):
        return np.asarray(array)
    result: np.ndarray[Any, Any] = cuda_module().asnumpy(array)
    return result
