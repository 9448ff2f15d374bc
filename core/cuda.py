"""torch.cuda: what there is of CUDA here, answered truthfully."""

from __future__ import annotations

from typing import Any

from . import cuda_amp as amp
from . import random
from .backends import cuda_device_count, cuda_module

__all__ = [
    "amp", "device_count", "is_available", "get_rng_state", "initial_seed", "manual_seed", "manual_seed_all",
    "seed", "seed_all", "set_rng_state", "synchronize",
]  # fmt: skip


def device_count() -> int:
    """GPUs that CuPy sees; 0 without CuPy, a driver or a GPU."""
    return cuda_device_count()[0]


def is_available() -> bool:
    return device_count() > 0


def synchronize() -> None:
    """Waits for all work on the current GPU."""
    cuda_module().cuda.runtime.deviceSynchronize()


# Random numbers are drawn on the host for every device: there is one generator.


def manual_seed_all(seed: int) -> None:
    """Seeds the generator."""
    random.manual_seed(seed)


def manual_seed(seed: int) -> None:
    """Seeds the generator."""
    random.manual_seed(seed)


def seed_all() -> None:
    """Seeds the generator with a number that nobody can foresee."""
    random.seed()


def seed() -> None:
    """Seeds the generator with a number that nobody can foresee."""
    random.seed()


def initial_seed() -> int:
    """The generator's seed."""
    return random.initial_seed()


def get_rng_state(device: Any = "cuda") -> Any:
    """The generator's place in its stream, as a uint8 tensor."""
    return random.get_rng_state()


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Brings the generator to a place that get_rng_state gave."""
    random.set_rng_state(new_state)
