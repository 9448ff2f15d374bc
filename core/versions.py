"""Which storages were written in place, and when: so that no backward uses a value that is no longer there.

A storage is the array that owns the memory; all views of it, NumPy's own ones included, share its entry. The engine
compares one number with each node (`last_change`) and looks further only where something was written since.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

from .node import next_seq

__all__ = ["carry_detachment", "changed_since", "check_place", "note_change", "version_of"]

last_change = 0  # creation number at the newest write to any storage
last_rewrite = 0  # … at the newest write that gave a storage a new place in a graph
_lock = threading.Lock()
_entries: dict[int, _Entry] = {}


class _Entry:
    __slots__ = ("changed_at", "count", "owner", "rewritten_at", "writer")

    def __init__(self, owner: Any) -> None:
        key = id(owner)
        self.owner = weakref.ref(owner, lambda _: _entries.pop(key, None))
        self.changed_at = self.rewritten_at = self.count = 0
        self.writer: Any = None


def owner_of(array: Any) -> Any:
    """The array that owns the memory of `array`."""
    base = array.base
    while base is not None and hasattr(base, "base") and hasattr(base, "dtype"):
        array, base = base, base.base
    return array


def note_change(array: Any, rewrite_by: Any = None) -> None:
    """Notes that the storage of `array` is about to be written; `rewrite_by`: by a recorded operation on that tensor."""
    global last_change, last_rewrite
    owner = owner_of(array)
    with _lock:
        entry = _entries.get(id(owner))
        if entry is None:
            entry = _entries[id(owner)] = _Entry(owner)
        last_change = entry.changed_at = next_seq()
        entry.count += 1
        if rewrite_by is not None:
            last_rewrite = entry.rewritten_at = last_change
            entry.writer = weakref.ref(rewrite_by)


def changed_since(array: Any, seq: int) -> bool:
    """Whether the storage of `array` was written after creation number `seq`."""
    entry = _entries.get(id(owner_of(array)))
    return entry is not None and entry.changed_at > seq


def version_of(array: Any) -> int:
    """How often the storage of `array` was written in place."""
    entry = _entries.get(id(owner_of(array)))
    return 0 if entry is None else entry.count


def check_place(tensor: Any) -> None:
    """Raises RuntimeError for a tensor whose storage got a new place in the graph through another tensor.

    That would be a view taken before the write: gradients through it would be silently wrong. A detached tensor is
    meant to carry none.
    """
    if not last_rewrite:
        return
    entry = _entries.get(id(owner_of(tensor._array)))
    if entry is None or not entry.rewritten_at or entry.writer() is tensor:
        return
    if not tensor._requires_grad and tensor._cold is not None and tensor._cold.detached:
        return
    node = tensor._node
    seq = 0 if node is None else node.node.seq if hasattr(node, "node") else node.seq
    if seq < entry.rewritten_at:
        raise RuntimeError(
            "this tensor shares its storage with one that a recorded in-place operation has changed, and gradients "
            "through such views are not supported yet; use the out-of-place form, or clone() one of the two first"
        )


def carry_detachment(inputs: Any, result: Any) -> Any:
    """`result` of an unrecorded operation on `inputs`, after check_place; a view of a detached tensor is one, too."""
    for t in inputs:
        if hasattr(t, "_array"):
            check_place(t)
            if t._cold is not None and t._cold.detached:
                result._make_cold().detached = True
    return result
