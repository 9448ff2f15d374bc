"""Memory for messages that is used again: a first touch of new pages costs several times a copy.

Used by the transports and the exchange.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np

__all__ = ["ReusedMemory"]

_SMALL = 1 << 16  # malloc keeps such small pieces itself


class ReusedMemory:
    """Gives out arrays, and gives the same memory out again when nothing refers to an array any more.

    limit: bytes kept at most; what is given out beyond that is ordinary memory.
    """

    def __init__(self, limit: int = 1 << 30) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._arrays: list[np.ndarray[Any, Any]] = []
        self._kept = 0

    def take(self, size: int) -> np.ndarray[Any, Any]:
        """An array of `size` bytes, uninitialized."""
        if size < _SMALL:
            return np.empty(size, np.uint8)
        with self._lock:
            for i in range(len(self._arrays)):
                # Two references: the list's and getrefcount's argument. Views and memoryviews hold one each.
                if size <= self._arrays[i].size <= 2 * size and sys.getrefcount(self._arrays[i]) == 2:
                    return self._arrays[i][:size]
            array = np.empty(size, np.uint8)
            self._make_room(size)
            if self._kept + size <= self._limit:
                self._arrays.append(array)
                self._kept += size
            return array[:]

    def _make_room(self, size: int) -> None:
        """Forgets free arrays, the oldest first, until `size` more bytes may be kept."""
        i = 0
        while i < len(self._arrays) and self._kept + size > self._limit:
            if sys.getrefcount(self._arrays[i]) == 2:
                self._kept -= self._arrays.pop(i).size
            else:
                i += 1
