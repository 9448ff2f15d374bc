"""What watches nodes as they are made: anomaly mode, which keeps where each was called, and hooks on saved tensors.

Both are cold: `versions.watch` is nonzero while one of them is on, and only then `observe` is called.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import versions
from .node import FREED, KIND_LEAF

__all__ = ["Packed", "anomaly", "caller", "observe", "saved_hooks", "unpacked", "watched_outputs"]

_PACKAGE = str(Path(__file__).parent)


class _Anomaly:
    """enabled: whether nodes keep their call. check_nan: whether backward looks for NaN in what each node returns."""

    enabled = False
    check_nan = True


class _SavedHooks(threading.local):
    """The (pack, unpack) pairs of this thread, the innermost last; or in their place a message that forbids saving."""

    def __init__(self) -> None:
        self.stack: list[tuple[Callable[[Any], Any], Callable[[Any], Any]] | str] = []


anomaly = _Anomaly()
saved_hooks = _SavedHooks()


class Packed:
    """A saved tensor as a pack hook left it. place: of the tensor in the graph, None where it needs no gradient."""

    __slots__ = ("place", "unpack", "value")

    def __init__(self, value: Any, unpack: Callable[[Any], Any], place: Any) -> None:
        self.value, self.unpack, self.place = value, unpack, place


Look = Callable[[Any, tuple[Any, ...]], None]


class _Looks(threading.local):
    """What looks at the outputs of this thread's operations."""

    def __init__(self) -> None:
        self.all: list[Look] = []


_looks = _Looks()


@contextmanager
def watched_outputs(look: Look) -> Iterator[None]:
    """Within, `look` is called with each operation that this thread records, and its raw outputs."""
    _looks.all.append(look)
    watch_nodes(True)
    try:
        yield
    finally:
        watch_nodes(False)
        _looks.all.remove(look)


def observe(node: Any, outputs: tuple[Any, ...] = ()) -> None:
    """Called for each node that is made while something watches."""
    for look in _looks.all:
        look(node, outputs)
    if anomaly.enabled:
        node.extras.trace = caller()
    if saved_hooks.stack and node.saved and node.saved is not FREED:
        pack_saved(node)


def pack_saved(node: Any) -> None:
    """Passes the saved tensors of `node` through the innermost pack hook."""
    from .tensor import Tensor

    pair = saved_hooks.stack[-1]
    if isinstance(pair, str):
        raise RuntimeError(pair)
    pack, unpack = pair
    first_output = len(node.saved) - (node.n_outputs - node.first_saved if node.saves_output else 0)
    packed = []
    for i, s in enumerate(node.saved):
        if isinstance(s, Tensor):
            place = (s._node or s) if s._requires_grad else None
            packed.append(Packed(_packed(pack, s.detach()), unpack, place))
        elif hasattr(s, "dtype"):
            packed.append(Packed(_packed(pack, Tensor._wrap(s)), unpack, i - first_output))
        else:
            packed.append(s)
    node.saved = tuple(packed)
    node.extras.packed = True


def _packed(pack: Callable[[Any], Any], t: Any) -> Any:
    before = versions.version_of(t._array)
    value = pack(t)
    if versions.version_of(t._array) != before:
        raise RuntimeError(
            "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook can not be modified "
            "by in-place operations as this can lead to unexpected side-effects."
        )
    return value


def unpacked(node: Any, create_graph: bool) -> tuple[Any, ...]:
    """The saved values of `node` after the unpack hooks, outputs as raw arrays; create_graph: at their place in the graph."""
    from .ops import tensors
    from .tensor import Tensor

    values = []
    for s in node.saved:
        if not isinstance(s, Packed):
            values.append(s)
            continue
        t = s.unpack(s.value)
        if not isinstance(t, Tensor):
            raise TypeError(
                f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(t).__name__}"
            )
        if isinstance(s.place, int):
            values.append(t._array)
        elif s.place is None or not create_graph:
            values.append(t)
        elif s.place.kind == KIND_LEAF:
            values.append(tensors.overwrite(s.place, t))  # its value, and all of its gradient to the leaf
            values[-1]._node.edges = (None, s.place)
        else:
            values.append(Tensor._recorded(t._array, s.place))
    return tuple(values)


def caller() -> str:
    """The innermost lines of the user's own code, as a traceback prints them."""
    frames = [f for f in traceback.extract_stack() if not f.filename.startswith(_PACKAGE)]
    return "".join(traceback.format_list(frames[-8:]))


def watch_nodes(on: bool) -> None:
    """Has observe() called for new nodes from now on; calls with True and False must pair."""
    versions.count_observer(1 if on else -1)
