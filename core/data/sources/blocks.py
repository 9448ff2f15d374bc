"""Pieces of files in memory: bounded, the least recently used goes first. What is asked for never depends on it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from .files import File, Range

__all__ = ["Blocks", "Kept"]

LARGEST_REQUEST = 8 << 20
"""Bytes of neighbouring pieces that are asked for in one request."""


class Kept:
    """Values by key, of at most `limit` bytes together. Any thread may use it; a copy in another process begins empty."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._begin()

    def _begin(self) -> None:
        self._values: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.size = 0

    def get(self, key: Any) -> Any:
        """The value, or None."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: Any, value: Any, size: int) -> None:
        """Keeps a value of `size` bytes, where it fits at all."""
        with self._lock:
            if size > self.limit or key in self._values:
                return
            self._values[key] = value, size
            self.size += size
            while self.size > self.limit:
                self.size -= self._values.popitem(last=False)[1][1]

    def __getstate__(self) -> dict[str, Any]:
        return {"limit": self.limit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.limit = state["limit"]
        self._begin()


class Blocks:
    """Ranges of one file, through what is kept of it."""

    def __init__(self, file: File, kept: Kept, number: int) -> None:
        """`number`: of the file within what is kept."""
        self.file, self._kept, self._number = file, kept, number

    def fetch(self, ranges: Sequence[Range]) -> None:
        """Fetches ranges into what is kept, where half of that holds them: more would push out what is to be used."""
        if sum(stop - start for start, stop in ranges) <= self._kept.limit // 2:
            self.get(sorted(set(ranges)))

    def get(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes of ranges that rise and don't overlap."""
        found: dict[Range, Any] = {each: self._kept.get((self._number, *each)) for each in ranges}
        missing = [each for each in ranges if found[each] is None]
        merged: list[list[int]] = []
        for start, stop in missing:
            if merged and merged[-1][1] == start and stop - merged[-1][0] <= LARGEST_REQUEST:
                merged[-1][1] = stop
            else:
                merged.append([start, stop])
        got = self.file.read_many([(start, stop) for start, stop in merged])
        at = 0
        for start, stop in missing:
            if start >= merged[at][1]:
                at += 1
            first = merged[at][0]
            piece = got[at] if [start, stop] == merged[at] else got[at][start - first : stop - first]
            found[start, stop] = piece
            self._kept.put((self._number, start, stop), piece, len(piece))
        return [found[each] for each in ranges]
