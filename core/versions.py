"""Which storages were written in place, and when: so that no backward uses a value that is no longer there.

A storage is the array that owns the memory; all views of it, NumPy's own ones included, share its entry. The engine
compares one number with each node (`last_change`) and looks further only where something was written since.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .node import next_seq

__all__ = [
    "changed_since", "lend", "note_change", "note_changes", "owner_of", "rewritten_since", "telling_writes", "version_of",
]  # fmt: skip

last_change = 0  # creation number at the newest write to any storage
# What the ordinary path looks at: nonzero where a storage has got a new place in a graph, so that views of it may be out
# of date (see views.refresh), or where something watches nodes as they are made (see observers).
watch = 0
_lock = threading.Lock()


class _Told(threading.local):
    """by: what this thread's writes are told to."""

    by: Callable[[Any], None] | None = None


_told = _Told()
_entries: dict[int, _Entry] = {}
# id of an array -> (weak reference to it, the array whose memory it shows)
_lent: dict[int, tuple[Any, Any]] = {}


class _Entry:
    __slots__ = ("changed_at", "count", "owner", "rewritten_at")

    def __init__(self, owner: Any) -> None:
        key = id(owner)
        self.owner = weakref.ref(owner, lambda _: _entries.pop(key, None))
        self.changed_at = self.rewritten_at = self.count = 0


def owner_of(array: Any) -> Any:
    """The array that owns the memory of `array`."""
    base = array.base
    while base is not None and hasattr(base, "base") and hasattr(base, "dtype"):
        array, base = base, base.base
    return _lent[id(array)][1] if _lent and id(array) in _lent else array


def lend(array: Any, owner: Any) -> Any:
    """`array`, whose memory is `owner`'s although its `base` doesn't say so: CuPy's as_strided leaves that out."""
    key = id(array)
    _lent[key] = (weakref.ref(array, lambda _: _lent.pop(key, None)), owner)
    return array


def note_change(array: Any, rewrites: bool = False) -> None:
    """Notes that the storage of `array` is about to be written; `rewrites`: by an operation that is recorded."""
    global last_change, watch
    owner = owner_of(array)
    if _told.by is not None:
        _told.by(owner)
    with _lock:
        entry = _entries.get(id(owner))
        if entry is None:
            entry = _entries[id(owner)] = _Entry(owner)
        last_change = entry.changed_at = next_seq()
        entry.count += 1
        if rewrites:
            entry.rewritten_at = last_change
            watch |= 1


def note_changes(arrays: Any) -> None:
    """`note_change` for many arrays that own their memory, none of them in a graph's new place."""
    global last_change
    if _told.by is not None:
        for array in arrays:
            _told.by(array)
    with _lock:
        last_change = change = next_seq()
        for array in arrays:
            entry = _entries.get(id(array))
            if entry is None:
                entry = _entries[id(array)] = _Entry(array)
            entry.changed_at = change
            entry.count += 1


@contextmanager
def telling_writes(listener: Callable[[Any], None]) -> Iterator[None]:
    """Within, `listener` is called with each storage that this thread is about to write; what it raises stops the write."""
    outer = _told.by

    def both(owner: Any) -> None:
        listener(owner)
        if outer is not None:
            outer(owner)

    _told.by = both
    try:
        yield
    finally:
        _told.by = outer


def count_observer(change: int) -> None:
    """Notes that one thing more (1) or less (-1) watches nodes as they are made."""
    global watch
    with _lock:
        watch += 2 * change


def changed_since(array: Any, seq: int) -> bool:
    """Whether the storage of `array` was written after creation number `seq`."""
    entry = _entries.get(id(owner_of(array)))
    return entry is not None and entry.changed_at > seq


def rewritten_since(array: Any, seq: int) -> bool:
    """Whether the storage of `array` got a new place in a graph after creation number `seq`."""
    entry = _entries.get(id(owner_of(array)))
    return entry is not None and entry.rewritten_at > seq


def version_of(array: Any) -> int:
    """How often the storage of `array` was written in place."""
    entry = _entries.get(id(owner_of(array)))
    return 0 if entry is None else entry.count
