"""The hash chain of a run: one value for each step that stands for the parameters after every step so far.

Each block of the flat vector has a checksum of its own bits, so whoever owns a slice makes its part alone, and no
slicing changes the chain. Two runs have the same value after a step if, and but for chance only if, they had the same bits
after every step up to it.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backends import module_of
from .layout import BLOCK

__all__ = ["block_checksums", "chain_next"]

Checksums = np.ndarray[Any, np.dtype[np.uint64]]
_AT_ONCE = 32
"""Blocks taken at once: their words, widened, stay in the second-level cache."""


@functools.cache
def _odd_numbers(words: int) -> Checksums:
    """A fixed odd 64-bit number for each word of a block."""
    key = hashlib.shake_128(b"gradwire chain").digest(8 * words)
    return np.frombuffer(key, "<u8").astype(np.uint64) | np.uint64(1)


def block_checksums(flat: Any) -> Checksums:
    """A 64-bit checksum for each whole block of `flat`, on the host.

    The sum of the block's 32-bit words, each times an odd number of its place, modulo 2^64 (multilinear hashing: Carter and
    Wegman, 1979): exact integers, so no order of adding matters. A change within one word always changes it, as does
    exchanging two unequal words; any other change goes unseen with a chance of about 2^-32 at most.
    """
    if flat.ndim != 1 or flat.size % BLOCK:
        raise ValueError(
            f"block_checksums: expected a flat array of whole blocks of {BLOCK}, got {flat.shape}"
        )
    xp = module_of(flat)
    words = BLOCK * flat.dtype.itemsize // 4
    blocks = flat.view(np.uint32).reshape(-1, words)
    factors = xp.asarray(_odd_numbers(words))
    step = _AT_ONCE if xp is np else max(len(blocks), 1)
    sums = [(blocks[at : at + step] * factors).sum(axis=1) for at in range(0, len(blocks), step)]
    if not sums:
        return np.empty(0, np.uint64)
    whole = xp.concatenate(sums)
    result: Checksums = whole if xp is np else xp.asnumpy(whole)
    return result


def chain_next(previous: bytes, step: int, sums: Checksums | Sequence[int]) -> bytes:
    """The chain's value (16 bytes) after `step` finished steps.

    previous: the value before; b"" for step 0, which stands for the initial parameters. sums: of all blocks, in order.
    """
    head = len(previous).to_bytes(8, "little") + previous + step.to_bytes(8, "little")
    return hashlib.blake2b(
        head + np.asarray(sums, "<u8").tobytes(), digest_size=16, person=b"gradwire chain"
    ).digest()
