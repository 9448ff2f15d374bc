"""Trees of tensors: tuples, lists and dicts, nested in any way; everything else is a leaf, None too."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["LEAF", "Shape", "build", "flatten", "spread", "tree_map"]


class Shape:
    """What a tree looks like without its leaves. kind: its class; keys: a dict's; parts: the shapes of its items."""

    __slots__ = ("keys", "kind", "parts")

    def __init__(self, kind: Any, keys: Any = None, parts: tuple[Shape, ...] = ()) -> None:
        self.kind, self.keys, self.parts = kind, keys, parts

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Shape)
            and self.kind is other.kind
            and self.keys == other.keys
            and self.parts == other.parts
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.parts))

    def __repr__(self) -> str:
        inside = [repr(p) for p in self.parts]
        if self.kind is None:
            return "*"
        if self.keys is not None:
            return "{" + ", ".join(f"{k!r}: {p}" for k, p in zip(self.keys, inside, strict=True)) + "}"
        if self.kind is list:
            return f"[{', '.join(inside)}]"
        return f"({', '.join(inside)}{',' if len(inside) == 1 else ''})"


LEAF = Shape(None)


def _items(tree: Any) -> tuple[Any, Any] | None:
    """The keys (None where it is no dict) and the items of a tree; None for a leaf."""
    kind = type(tree)
    if kind in (dict, OrderedDict, defaultdict):
        return tuple(tree), tuple(tree.values())
    if kind in (tuple, list) or (isinstance(tree, tuple) and hasattr(tree, "_make")):
        return None, tuple(tree)
    return None


def flatten(tree: Any) -> tuple[list[Any], Shape]:
    """The leaves of a tree in order, and its shape."""
    leaves: list[Any] = []
    return leaves, _gather(tree, leaves)


def _gather(tree: Any, leaves: list[Any]) -> Shape:
    found = _items(tree)
    if found is None:
        leaves.append(tree)
        return LEAF
    keys, items = found
    return Shape(type(tree), keys, tuple(_gather(i, leaves) for i in items))


def build(leaves: Any, shape: Shape) -> Any:
    """The tree of a shape, with these leaves."""
    return _grow(shape, iter(leaves))


def _grow(shape: Shape, source: Iterator[Any]) -> Any:
    if shape.kind is None:
        return next(source)
    items = [_grow(p, source) for p in shape.parts]
    if shape.keys is not None:
        made = dict if shape.kind is defaultdict else shape.kind  # a default is nothing that a result has
        return made(zip(shape.keys, items, strict=True))
    return shape.kind(*items) if hasattr(shape.kind, "_make") else shape.kind(items)


def tree_map(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with `function` of each leaf."""
    leaves, shape = flatten(tree)
    return build([function(x) for x in leaves], shape)


def spread(prefix: Any, shape: Shape) -> list[Any] | None:
    """One item of `prefix` for each leaf of `shape`: a leaf of prefix holds for all below it. None where they don't fit."""
    try:
        return list(_spread(prefix, shape))
    except _Mismatch:
        return None


def _spread(prefix: Any, shape: Shape) -> Iterator[Any]:
    found = _items(prefix)
    if found is None:
        yield from [prefix] * _count(shape)
        return
    keys, items = found
    if type(prefix) is not shape.kind or keys != shape.keys or len(items) != len(shape.parts):
        raise _Mismatch
    for item, part in zip(items, shape.parts, strict=True):
        yield from _spread(item, part)


class _Mismatch(Exception):
    pass


def _count(s: Shape) -> int:
    return 1 if s.kind is None else sum(_count(p) for p in s.parts)
