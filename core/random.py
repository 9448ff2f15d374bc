"""Random numbers from counter-based generators (Philox): a draw depends on the key and its number, on nothing else.

The numbers are drawn on the host for every device, so that CPU and GPU see the same ones.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .backends import Device, to_numpy

__all__ = [
    "Generator", "current", "default_generator", "drawing_from", "fork_rng", "get_rng_state", "initial_seed", "keyed",
    "manual_seed", "seed", "set_rng_state",
]  # fmt: skip


class Generator:
    """A stream of random numbers; see PyTorch's torch.Generator. Seeded with a fixed number until told otherwise."""

    def __init__(self, device: Any = "cpu") -> None:
        self.device = Device(device)
        self.manual_seed(67280421310721)

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream of `seed` (any 64-bit integer) from its first number."""
        whole = not isinstance(seed, (bool, np.bool_)) and hasattr(seed, "__index__")
        if not whole or not -(2**63) <= seed < 2**64:
            raise ValueError(f"manual_seed: expected an integer of at most 64 bits, got {seed!r}")
        self._seed = seed.__index__() % 2**64  # as PyTorch counts negative ones
        self.numpy = np.random.Generator(np.random.Philox(key=self._seed))
        return self

    def seed(self) -> int:
        """Starts a stream that nobody can foresee, and returns its seed."""
        self.manual_seed(secrets.randbits(63))
        return self._seed

    def initial_seed(self) -> int:
        return self._seed

    def get_state(self) -> Any:
        """The place in the stream, as a uint8 tensor."""
        from .tensor import Tensor

        state = self.numpy.bit_generator.state
        inner = state["state"]
        words = [
            *inner["counter"],
            *inner["key"],
            *state["buffer"],
            state["buffer_pos"],
            state["has_uint32"],
            state["uinteger"],
            self._seed % 2**64,
        ]
        return Tensor._wrap(np.array(words, "<u8").view(np.uint8).copy())

    def set_state(self, new_state: Any) -> Generator:
        """Goes to a place that get_state gave."""
        from .tensor import Tensor

        if not isinstance(new_state, Tensor):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(new_state).__name__}")
        raw = np.ascontiguousarray(to_numpy(new_state._array))
        if raw.dtype != np.uint8 or raw.size != 14 * 8:
            raise TypeError("set_state: expected a state that get_state() returned (112 bytes of uint8)")
        w = raw.view("<u8")
        self.manual_seed(int(w[13]))
        self.numpy.bit_generator.state = {
            "bit_generator": "Philox",
            "state": {"counter": w[0:4].copy(), "key": w[4:6].copy()},
            "buffer": w[6:10].copy(), "buffer_pos": int(w[10]), "has_uint32": int(w[11]), "uinteger": int(w[12]),
        }  # fmt: skip
        return self

    def clone_state(self) -> Generator:
        """Another generator at the same place in the stream."""
        return Generator(self.device).set_state(self.get_state())


default_generator = _default = Generator()
_thread = threading.local()


def current() -> Generator:
    """The generator that draws when none is given: the keyed one within `keyed`, else the process's default."""
    return getattr(_thread, "generator", None) or _default


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator."""
    return current().manual_seed(seed)


def seed() -> int:
    """Seeds the default generator with a number that nobody can foresee, and returns it."""
    return current().seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return current().initial_seed()


def get_rng_state() -> Any:
    """The default generator's place in its stream, as a uint8 tensor."""
    return current().get_state()


def set_rng_state(new_state: Any) -> None:
    """Brings the default generator to a place that get_rng_state gave."""
    current().set_state(new_state)


@contextmanager
def fork_rng(
    devices: Any = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str = "cuda",
) -> Iterator[None]:
    """Within, draws leave the default generator where it is outside. One generator serves all devices."""
    if not enabled:
        yield
        return
    generator = current()
    before = generator.get_state()
    try:
        yield
    finally:
        generator.set_state(before)


@contextmanager
def drawing_from(generator: Any) -> Iterator[None]:
    """Within, `generator` draws in this thread when none is given."""
    before = getattr(_thread, "generator", None)
    _thread.generator = generator
    try:
        yield
    finally:
        _thread.generator = before


@contextmanager
def keyed(*key: int | str) -> Iterator[None]:
    """Within, this thread draws from the stream of `key` (such as seed, step, shard), from its first number."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=16).digest()
    generator = Generator()
    generator.numpy = np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))
    with drawing_from(generator):
        yield
