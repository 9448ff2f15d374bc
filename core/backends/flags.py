"""What PyTorch's torch.backends tells: which libraries there are here. Switches that change nothing may be set.

cuDNN, MKL and the like are absent, and every algorithm is deterministic; a script may say so, or try to switch it off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp"]


class _Backend:
    """A library that is not here. Its switches keep what they are set to; names it does not have are refused."""

    _name: str

    def __init__(self, name: str, **switches: Any) -> None:
        object.__setattr__(self, "_name", name)
        for switch, value in switches.items():
            object.__setattr__(self, switch, value)

    def __setattr__(self, switch: str, value: Any) -> None:
        if switch not in self.__dict__:
            raise AttributeError(f"torch.backends.{self._name} has no switch {switch!r}")
        object.__setattr__(self, switch, value)

    def is_available(self) -> bool:
        """Whether the library is used here: it is not."""
        return False

    def is_built(self) -> bool:
        return False

    def version(self) -> None:
        """There is no version."""

    @contextmanager
    def flags(self, **switches: Any) -> Iterator[None]:
        """Within, the switches are set so."""
        before = {k: getattr(self, k) for k in switches}
        for k, v in switches.items():
            setattr(self, k, v)
        try:
            yield
        finally:
            for k, v in before.items():
                setattr(self, k, v)


cudnn = _Backend(
    "cudnn", enabled=False, benchmark=False, deterministic=True, allow_tf32=False, benchmark_limit=10
)
mkldnn = _Backend("mkldnn", enabled=False, deterministic=True, allow_tf32=False)
mkl = _Backend("mkl")
openmp = _Backend("openmp")
mps = _Backend("mps")
cuda = _Backend(
    "cuda", matmul=_Backend("cuda.matmul", allow_tf32=False, allow_fp16_reduced_precision_reduction=False)
)


class _Cpu(_Backend):
    def is_available(self) -> bool:
        return True

    def get_cpu_capability(self) -> str:
        """What NumPy's loops were chosen for: such as AVX2, or DEFAULT."""
        import numpy as np

        core: Any = np._core  # type: ignore[attr-defined]
        found = getattr(core._multiarray_umath, "__cpu_features__", {})
        return next((n for n in ("AVX512F", "AVX2") if found.get(n)), "DEFAULT")


cpu = _Cpu("cpu")
