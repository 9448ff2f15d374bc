"""torch.cuda: what there is of CUDA here, answered truthfully."""

from __future__ import annotations

from . import cuda_amp as amp
from .backends import cuda_device_count, cuda_module

__all__ = ["amp", "device_count", "is_available", "manual_seed_all", "synchronize"]


def device_count() -> int:
    """GPUs that CuPy sees; 0 without CuPy, a driver or a GPU."""
    return cuda_device_count()[0]


def is_available() -> bool:
    return device_count() > 0


def synchronize() -> None:
    """Waits for all work on the current GPU."""
    cuda_module().cuda.runtime.deviceSynchronize()


def manual_seed_all(seed: int) -> None:
    """Seeds the generator; random numbers are drawn on the host for every device."""
    from .random import manual_seed

    manual_seed(seed)
