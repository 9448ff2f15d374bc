"""Flat buffers: many parameters updated at once, as one array, with the bits of one after the other.

A block holds parameters of one group, dtype, device and step count in one array, and their state likewise; the parameters
and the state tensors are views of it. Only memory that nobody else refers to is moved there, so that no alias goes
stale. A block is a shortcut and nothing more: each step first looks whether everything is still where it was put, and
what is not is updated by itself, where it lies.
"""

from __future__ import annotations

import sys
from operator import is_
from typing import Any

import numpy as np

from ..backends import device_of, module_of
from ..tensor import Tensor
from ..versions import note_changes, owner_of

__all__ = ["Plan", "apply_rule"]

Array = Any

CHUNK = 1 << 15
"""Elements updated at a time on the CPU: what a rule's temporaries and operands need of the cache (32768 float32: 128 KiB each)."""


def apply_rule(
    optimizer: Any, p: Array, g: Array, state: dict[str, Any], group: dict[str, Any], step: int
) -> None:
    """`optimizer.update`, in pieces that stay in the cache where the arrays are long and in order."""
    if not isinstance(p, np.ndarray):
        with device_of(p).context():
            optimizer.update(p, g, state, group, step)
        return
    n = p.size
    if n <= CHUNK or not optimizer.elementwise or not (p.flags.c_contiguous and g.flags.c_contiguous):
        optimizer.update(p, g, state, group, step)
        return
    arrays = {k: v.reshape(-1) for k, v in state.items() if isinstance(v, np.ndarray)}
    numbers = {k: v for k, v in state.items() if k not in arrays}
    p, g = p.reshape(-1), g.reshape(-1)
    piece: dict[str, Any] = {}
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        piece = {**numbers, **{k: a[part] for k, a in arrays.items()}}
        optimizer.update(p[part], g[part], piece, group, step)
    for k in numbers:
        state[k] = piece[k]  # every piece computed the same from the same


# Whether anybody else refers to an array's memory. CPython's counts are exact: views hold the array they are of.


def _references(t: Tensor) -> tuple[int, int]:
    """Reference counts of the tensor's array and of the array that it is a view of, if it is."""
    array = t._array
    base = array.base
    return sys.getrefcount(array), sys.getrefcount(base)


_OWN = _references(Tensor._wrap(np.zeros(3)))[0]
_VIEWED = _references(Tensor._wrap(np.zeros(4)[1:]))[1]


def _exclusive(t: Tensor) -> bool:
    """Whether `t` is the only way to its memory."""
    own, viewed = _references(t)
    array = t._array
    base = array.base
    if own > _OWN:
        return False
    if base is None:
        return bool(array.flags.owndata) and owner_of(array) is array
    if viewed > _VIEWED or type(base) is not type(array):
        return False
    return bool(base.flags.owndata) if base.base is None else isinstance(base.base, _Piece)


class _Piece:
    """A part of a block's memory under NumPy's array interface.

    Arrays made of it end in it, not in the block, so that each parameter is a storage of its own to those who ask what
    shares memory with what (versions.owner_of).
    """

    __slots__ = ("__array_interface__", "flat")

    def __init__(self, flat: Any, start: int, stop: int) -> None:
        self.flat = flat
        self.__array_interface__ = {
            "data": (flat.ctypes.data + start * flat.itemsize, False),
            "shape": ((stop - start) * flat.itemsize,),
            "typestr": "|u1",
            "version": 3,
        }


def _view(flat: Array, start: int, stop: int, shape: tuple[int, ...]) -> Array:
    """Elements [start, stop) of `flat` in another shape."""
    if isinstance(flat, np.ndarray):
        return np.asarray(_Piece(flat, start, stop)).view(flat.dtype).reshape(shape)
    return module_of(flat).ndarray(shape, flat.dtype, flat.data + start * flat.itemsize)


class _Block:
    """Parameters that lie one after the other in `flat`, with state alike."""

    def __init__(self, optimizer: Any, group: dict[str, Any], members: list[Tensor]) -> None:
        first = members[0]._array
        self.params = members
        self.names = optimizer.state_arrays(group)
        self.numbers = tuple(optimizer.state_scalars(group))
        sizes = [p._array.size for p in members]
        self.stops = np.cumsum(sizes).tolist()
        self.starts = [0, *self.stops[:-1]]
        self.dtype = first.dtype
        entries: list[dict[str, Any]] = [optimizer.state.get(p, {}) for p in members]
        xp = module_of(first)
        with device_of(first).context():
            self.flat = self._gathered(members, xp)
            self.views = [p._array for p in members]
            self.owners = [owner_of(v) for v in self.views]
            self.state: dict[str, Any] = {}
            for name in self.numbers:
                self.state[name] = self._on_host(entries, name)
            for name in self.names:
                self.state[name] = self._gathered([e[name] for e in entries], xp)
            self.runs = self._runs(sizes, xp)
            together = [self.stops[j - 1] - self.starts[i] for i, j in self.runs if j > i + 1]
            self.gradient = xp.empty(max(together, default=0), self.dtype)
        self.steps = self._on_host(entries, "step") if optimizer.counts_steps else None
        self.entries = entries
        self.held = [[t._array for t in e.values()] for e in entries]

    def _views(self, flat: Array, like: list[Tensor]) -> list[Array]:
        return [
            _view(flat, a, b, t._array.shape) for a, b, t in zip(self.starts, self.stops, like, strict=True)
        ]

    def _gathered(self, tensors: list[Tensor], xp: Any) -> Array:
        """Moves the tensors' arrays into a new one and leaves the tensors there as views."""
        flat = xp.empty(self.stops[-1], self.dtype)
        for t, view in zip(tensors, self._views(flat, tensors), strict=True):
            view[...] = t._array
            t._array = view
        return flat

    @staticmethod
    def _on_host(entries: list[dict[str, Any]], name: str) -> Any:
        values = np.array([e[name]._array for e in entries])
        for i, e in enumerate(entries):
            e[name]._array = _view(values, i, i + 1, ())
        return values

    def _runs(self, sizes: list[int], xp: Any) -> list[tuple[int, int]]:
        """Ranges of members whose gradients are put together; a long one on the CPU is read where it lies."""
        if xp is not np:
            return [(0, len(sizes))]
        runs, start = [], 0
        for i, n in enumerate(sizes):
            if n > CHUNK // 2:
                if start < i:
                    runs.append((start, i))
                runs.append((i, i + 1))
                start = i + 1
        if start < len(sizes):
            runs.append((start, len(sizes)))
        return runs

    def holds(self, state: dict[Any, Any]) -> bool:
        """Whether parameters and state are where they were put, and all have had the same number of steps."""
        if not all(map(is_, [p._array for p in self.params], self.views)):
            return False
        for p, entry, held in (
            zip(self.params, self.entries, self.held, strict=True) if self.entries[0] else ()
        ):
            if state.get(p, held) is not entry or len(entry) != len(held):
                return False
            try:
                if not all(map(is_, [t._array for t in entry.values()], held)):
                    return False
            except AttributeError:  # something that is no tensor
                return False
        counted = [self.steps] if self.steps is not None else []
        for values in (*counted, *(self.state[name] for name in self.numbers)):
            listed = values.tolist()
            if listed.count(listed[0]) != len(listed):
                return False
        return True

    def update(self, optimizer: Any, group: dict[str, Any]) -> None:
        step = 2  # no state is fresh here where steps are not counted
        if self.steps is not None:
            self.steps += 1
            step = int(self.steps[0])
        numbers = {name: float(self.state[name][0]) for name in self.numbers}
        after = numbers
        note_changes(self.owners)
        grads = [p._grad._array for p in self.params]  # type: ignore[union-attr]
        for first, last in self.runs:
            a, b = self.starts[first], self.stops[last - 1]
            part = slice(a, b)
            if last == first + 1:
                g = grads[first].reshape(-1)
            else:
                g = self.gradient[: b - a]
                for i in range(first, last):
                    g[self.starts[i] - a : self.stops[i] - a].reshape(grads[i].shape)[...] = grads[i]
            after = {**numbers, **{name: self.state[name][part] for name in self.names}}
            apply_rule(optimizer, self.flat[part], g, after, group, step)
        for name in self.numbers:
            self.state[name][...] = after[name]


class Plan:
    """How the parameters of one group are updated: blocks, and the rest one by one. Found out anew where it no longer fits.

    Finding out costs as much as some steps. It is done at the first step that does not fit, the second, the fourth and
    so on, so that a program that changes something in every step loses little.
    """

    def __init__(self) -> None:
        self.params: list[Tensor] = []
        self.without: list[bool] = []
        self.names: tuple[str, ...] = ()
        self.blocks: list[_Block] = []
        self.single: list[Tensor] = []
        self.refused = False  # whether some parameter was left out for a reason that may pass
        self.misses = self.waited = 0

    def step(self, optimizer: Any, group: dict[str, Any]) -> None:
        params = group["params"]
        without = [p._grad is None for p in params]
        if (
            without == self.without
            and all(map(is_, params, self.params))
            and self.names == optimizer.state_arrays(group)
            and all(block.holds(optimizer.state) for block in self.blocks)
        ):
            if self.refused:
                self.waited += 1
                if not self.waited & (self.waited - 1):
                    self._make(optimizer, group, self.single)
            self._checked()
            for block in self.blocks:
                block.update(optimizer, group)
            for p in self.single:
                optimizer._update_one(p, group)
            return
        self.misses += 1
        self.params, self.without, self.blocks, self.refused = [], [], [], False
        self.names = optimizer.state_arrays(group)
        present = [p for p in params if p._grad is not None]
        for p in present:
            optimizer._update_one(p, group)
        if not self.misses & (self.misses - 1):
            self.params, self.without, self.waited = list(params), without, 0
            self._make(optimizer, group, present)

    def _checked(self) -> None:
        """Raises RuntimeError for a gradient that does not fit its parameter."""
        for block in self.blocks:
            for p, view in zip(block.params, block.views, strict=True):
                g = p._grad._array  # type: ignore[union-attr]
                if g.shape != view.shape or g.dtype != view.dtype:
                    raise RuntimeError(
                        f"a parameter of shape {list(view.shape)} and dtype {p.dtype} has a gradient of shape "
                        f"{list(g.shape)} and dtype {p._grad.dtype}"  # type: ignore[union-attr]
                    )

    def _make(self, optimizer: Any, group: dict[str, Any], params: list[Tensor]) -> None:
        """Puts what may be moved of `params` into new blocks."""
        self.single, self.refused = [], False
        alike: dict[Any, list[Tensor]] = {}
        twice = len({id(p) for p in params}) != len(params)
        for p in params:
            key = None if twice else _key(optimizer, group, p)
            alike.setdefault(key, []).append(p)
        kept = alike.pop(None, [])
        self.refused = bool(kept) and not twice
        for members in alike.values():
            if len(members) == 1:
                kept = [*kept, *members]
            else:
                self.blocks.append(_Block(optimizer, group, members))
        chosen = {id(p) for p in kept}
        self.single = [p for p in params if id(p) in chosen]


def _key(optimizer: Any, group: dict[str, Any], p: Tensor) -> Any:
    """What parameters in a block have in common; None for one that must stay where it is."""
    array, entry = p._array, optimizer.state.get(p, {})
    known = (*optimizer.state_arrays(group), *optimizer.state_scalars(group))
    known = ("step", *known) if optimizer.counts_steps else known
    if not array.flags.c_contiguous or not array.size or set(entry) != set(known):
        return None
    shape, dtype, device = array.shape, array.dtype, device_of(array)
    del array
    if not _exclusive(p):
        return None
    numbers = []
    for name in known:
        t = entry[name]
        if not isinstance(t, Tensor):
            return None
        if name == "step" or name in optimizer.state_scalars(group):
            if t._array.shape != ():
                return None
            numbers.append(float(t._array))
        elif t._array.shape != shape or t._array.dtype != dtype or device_of(t._array) != device:
            return None
        if not _exclusive(t):
            return None
    return dtype.str, dtype.name, str(device), *numbers
