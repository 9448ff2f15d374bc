"""torch.cuda: what there is of CUDA here, answered truthfully."""

from __future__ import annotations

from typing import Any

from . import cuda_amp as amp
from . import random
from .backends import Device, cuda_device_count, cuda_module

__all__ = [
    "amp", "current_device", "device_count", "empty_cache", "get_device_capability", "get_device_name", "is_available",
    "is_bf16_supported", "is_initialized", "max_memory_allocated", "memory_allocated", "memory_reserved", "set_device", "get_rng_state", "initial_seed", "manual_seed", "manual_seed_all",
    "seed", "seed_all", "set_rng_state", "synchronize",
]  # fmt: skip


def device_count() -> int:
    """GPUs that CuPy sees; 0 without CuPy, a driver or a GPU."""
    return cuda_device_count()[0]


def is_available() -> bool:
    return device_count() > 0


def is_initialized() -> bool:
    """Whether CuPy has been asked for a GPU in this process."""
    return is_available()


def is_bf16_supported() -> bool:
    """CuPy's arrays carry no bfloat16."""
    return False


def _number(device: Any) -> int:
    if device is None:
        return current_device()
    found = Device(device) if isinstance(device, str) else device
    index = found.index if isinstance(found, Device) else found
    return current_device() if index is None else int(index)


def current_device() -> int:
    """The number of the GPU that new arrays go to."""
    return int(cuda_module().cuda.runtime.getDevice())


def set_device(device: Any) -> None:
    """Makes a GPU the one that new arrays go to."""
    cuda_module().cuda.Device(_number(device)).use()


def _properties(device: Any) -> dict[str, Any]:
    found: dict[str, Any] = cuda_module().cuda.runtime.getDeviceProperties(_number(device))
    return found


def get_device_name(device: Any = None) -> str:
    """The GPU's model."""
    name = _properties(device)["name"]
    return name.decode() if isinstance(name, bytes) else str(name)


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The GPU's compute capability: major, minor."""
    found = _properties(device)
    return int(found["major"]), int(found["minor"])


def memory_allocated(device: Any = None) -> int:
    """Bytes of arrays on the current GPU; 0 where there is none."""
    return int(cuda_module().get_default_memory_pool().used_bytes()) if is_available() else 0


def memory_reserved(device: Any = None) -> int:
    """Bytes that CuPy's pool holds on the current GPU; 0 where there is none."""
    return int(cuda_module().get_default_memory_pool().total_bytes()) if is_available() else 0


def max_memory_allocated(device: Any = None) -> int:
    """The most that CuPy's pool has held, in bytes: an upper bound of what arrays took."""
    return memory_reserved(device)


def empty_cache() -> None:
    """Gives memory that no array uses back to the driver."""
    if is_available():
        cuda_module().get_default_memory_pool().free_all_blocks()


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
