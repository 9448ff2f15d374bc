"""Plan: which rows of the data each shard of each step sees. A function of (seed, sizes) alone; no state."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from .job import Job, JobFileError

__all__ = ["Permutation", "Plan", "owned_range", "split"]

Rows = np.ndarray[Any, np.dtype[np.int64]]


class Permutation:
    """A keyed permutation of 0 … n - 1 that is computed position by position, in constant memory.

    A balanced Feistel network over the next even number of bits, with cycle walking for the rest (Black and Rogaway,
    Ciphers with arbitrary finite domains, CT-RSA 2002). The round function is the finalizer of SplitMix64.
    """

    ROUNDS = 12

    def __init__(self, n: int, *key: int | str) -> None:
        self.n = n
        self._half = max(((max(n - 1, 1)).bit_length() + 1) // 2, 1)
        self._mask = np.uint64((1 << self._half) - 1)
        digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8 * self.ROUNDS // 2).digest()
        more = hashlib.blake2b(digest, digest_size=8 * self.ROUNDS // 2).digest()
        self._keys = np.frombuffer(digest + more, "<u8").astype(np.uint64)

    def __call__(self, positions: Any) -> Rows:
        """Values at `positions` (integers below n), as int64."""
        x = np.asarray(positions, np.int64)
        if x.size and (x.min() < 0 or x.max() >= self.n):
            raise IndexError(f"position out of range: expected 0 to {self.n - 1}, got {x.min()} to {x.max()}")
        out = self._walk(
            np.atleast_1d(x).astype(np.uint64)
        )  # one dimension at least: scalars would warn of overflow
        outside = out >= self.n
        while outside.any():  # expected fewer than four rounds: the domain is at most four times n
            out[outside] = self._walk(out[outside])
            outside = out >= self.n
        values: Rows = out.astype(np.int64).reshape(x.shape)
        return values

    def _walk(self, x: Any) -> Any:
        half = np.uint64(self._half)
        left, right = x >> half, x & self._mask
        for key in self._keys:
            left, right = right, left ^ (_mixed(right + key) & self._mask)
        return (left << half) | right


def _mixed(z: Any) -> Any:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def split(n: int, parts: int, i: int) -> tuple[int, int]:
    """Bounds of part i of n things in `parts`: the first n % parts have one more, as numpy.array_split has it."""
    size, extra = divmod(n, parts)
    start = i * size + min(i, extra)
    return start, start + size + (i < extra)


def owned_range(rank: int, world: int, count: int) -> range:
    """Which of `count` things (shards, blocks) rank r of W owns: contiguous, sizes differing by at most one."""
    return range(rank * count // world, (rank + 1) * count // world)


class Plan:
    """The course of a job over `n_train` training and `n_eval` held-out samples in `shards` shards. Steps count from 0."""

    def __init__(self, job: Job, n_train: int, n_eval: int, shards: int) -> None:
        if n_train < 1:
            raise JobFileError(
                f"{type(job).__name__}.train_data(): expected at least one sample, got an empty data set"
            )
        self.epochs, self.batch_size, self.seed, self.shards = job.epochs, job.batch_size, job.seed, shards
        self.n_train, self.n_eval = n_train, n_eval
        self.steps_per_epoch = -(-n_train // self.batch_size)
        self.total_steps = self.steps_per_epoch * self.epochs
        self.eval_batches = -(-n_eval // self.batch_size)
        self._checkpoint_every = job.checkpoint_every
        self._permutation: tuple[int, Permutation] | None = None
        self._batch: tuple[int, Rows] | None = None

    def epoch_of(self, step: int) -> int:
        """The epoch of a step, both from 0."""
        return step // self.steps_per_epoch

    def ends_epoch(self, step: int) -> bool:
        """Whether an epoch ends with this step."""
        return (step + 1) % self.steps_per_epoch == 0

    def checkpoints_after(self, step: int) -> bool:
        """Whether a checkpoint is due after this step."""
        if step + 1 == self.total_steps:
            return True
        return (step + 1) % self._checkpoint_every == 0 if self._checkpoint_every else self.ends_epoch(step)

    def batch_samples(self, step: int) -> int:
        """Samples in the global batch of a step."""
        start = step % self.steps_per_epoch * self.batch_size
        return min(self.batch_size, self.n_train - start)

    def shard_rows(self, step: int, shard: int) -> Rows:
        """Rows of the training data that `shard` sees in `step`; may be empty, but never for shard 0."""
        if self._batch is None or self._batch[0] != step:
            self._batch = (step, self._batch_rows(step))
        rows = self._batch[1]
        start, stop = split(len(rows), self.shards, shard)
        return rows[start:stop]

    def _batch_rows(self, step: int) -> Rows:
        epoch, within = divmod(step, self.steps_per_epoch)
        if self._permutation is None or self._permutation[0] != epoch:
            self._permutation = (epoch, Permutation(self.n_train, self.seed, "order", epoch))
        first = within * self.batch_size
        return self._permutation[1](np.arange(first, first + self.batch_samples(step)))

    def eval_rows(self, batch: int, shard: int) -> Rows:
        """Rows of the held-out data that `shard` sees in evaluation batch `batch`, in the data's own order."""
        first = batch * self.batch_size
        start, stop = split(min(self.batch_size, self.n_eval - first), self.shards, shard)
        return np.arange(first + start, first + stop)
