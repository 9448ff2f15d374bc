"""What a program is given: the same numbers and the same initial weights, whichever library it runs under."""

from __future__ import annotations

import inspect
import textwrap
from functools import cache
from typing import Any

import numpy as np


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images.reshape(-1, 1, 8, 8) / 16, labels


class Given:
    """A seeded source of tensors of one library; `weights` holds the initial weights, module by module.

    The library that runs first fills `weights` with what its modules drew; the one after it loads them, which fails
    where the two name or shape anything differently.
    """

    def __init__(self, torch: Any, seed: int, weights: list[dict[str, np.ndarray]], *, first: bool) -> None:
        self.torch = torch
        self.random = np.random.default_rng(seed)
        self._weights = weights
        self._first = first
        self._started = 0

    def start(self, module: Any) -> Any:
        """The module, with the same initial weights under both libraries."""
        if self._first:
            self._weights.append({k: v.detach().numpy().copy() for k, v in module.state_dict().items()})
        weights = self._weights[self._started]
        self._started += 1
        mine = list(module.state_dict())
        if mine != list(weights):
            raise AssertionError(f"the state dict's keys are {mine}, the other library's {list(weights)}")
        # A copy: from_numpy shares memory, and both libraries train in place.
        module.load_state_dict({k: self.torch.tensor(v) for k, v in weights.items()})
        return module

    def tensor(self, array: Any) -> Any:
        """Floats as float32, all else as it is."""
        array = np.asarray(array)
        return self.torch.tensor(array.astype(np.float32) if array.dtype.kind == "f" else array)

    def normal(self, *shape: int) -> Any:
        return self.tensor(self.random.standard_normal(shape))

    def uniform(self, *shape: int) -> Any:
        return self.tensor(self.random.random(shape))

    def integers(self, high: int, *shape: int) -> Any:
        return self.tensor(self.random.integers(high, size=shape))

    def kept(self, p: float, *shape: int) -> Any:
        """A mask of dropout: 1 / (1 - p) where a number is kept, 0 where it is dropped."""
        return self.tensor((self.random.random(shape) >= p) / (1 - p))

    def digits(self, count: int) -> tuple[Any, Any]:
        """Images (count, 1, 8, 8) between 0 and 1, and labels, in an order of this source."""
        images, labels = _digits()
        chosen = self.random.permutation(len(images))[:count]
        return self.tensor(images[chosen]), self.tensor(labels[chosen].astype(np.int64))

    def words(self, count: int) -> tuple[np.ndarray, int]:
        """The first words of a text as numbers, and how many different ones there are."""
        words = inspect.getsource(textwrap).split()[:count]
        known = {word: i for i, word in enumerate(dict.fromkeys(words))}
        return np.array([known[word] for word in words], dtype=np.int64), len(known)
