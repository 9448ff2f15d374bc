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

__all__ = ["Generator", "current", "drawing_from", "initial_seed", "keyed", "manual_seed", "seed"]


class Generator:
    """A stream of random numbers; see PyTorch's torch.Generator. Seeded with a fixed number until told otherwise."""

    def __init__(self, device: Any = "cpu") -> None:
        self.device = device
        self.manual_seed(67280421310721)

    def manual_seed(self, seed: int) -> Generator:
        """Starts the stream of `seed` (any 64-bit integer) from its first number."""
        if isinstance(seed, bool) or not isinstance(seed, int) or not -(2**63) <= seed < 2**64:
            raise ValueError(f"manual_seed: expected an integer of at most 64 bits, got {seed!r}")
        self._seed = seed % 2**64  # as PyTorch counts negative ones
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
        raw = np.ascontiguousarray(new_state._array)
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


_default = Generator()
_thread = threading.local()


def current() -> Generator:
    """The generator that draws when none is given: the keyed one within `keyed`, else the process's default."""
    return getattr(_thread, "generator", None) or _default


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator."""
    return current().manual_seed(seed)


def seed() -> int:
    return current().seed()


def initial_seed() -> int:
    return current().initial_seed()


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
