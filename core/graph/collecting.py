"""What a picture shows: vertices for operations and leaves, edges with shapes and dtypes, boxes for modules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..dtypes import from_numpy_dtype
from ..nn import Module, Parameter
from ..node import KIND_LEAF, KIND_SLOT
from ..tensor import Tensor
from .modules import Call, Calls

__all__ = ["Box", "Edge", "Vertex", "picture"]

TIMES = "\u00d7"
_BACKWARD = re.compile(r"Backward\d*$")


@dataclass(eq=False)
class Edge:
    """A tensor that flows from `source`. form: its shape and dtype, as `2x3 float32` with a multiplication sign."""

    source: Vertex
    form: str


@dataclass(eq=False)
class Vertex:
    """An operation, a leaf, or a note of what isn't drawn. number: operations count up in the order of computation."""

    label: str
    kind: str  # "operation", "leaf" or "note"
    form: str
    number: int
    box: Box
    inputs: list[Edge] = field(default_factory=list)


@dataclass(eq=False)
class Box:
    """A module's forward, or a part that is repeated `times` times one after the other and drawn once.

    items: vertices and boxes in the order of computation.
    """

    label: str
    parent: Box | None
    kind: str = ""
    times: int = 1
    items: list[Vertex | Box] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The label, with how often it is repeated."""
        return f"{self.label} {TIMES} {self.times}".strip() if self.times > 1 else self.label

    def vertices(self) -> Iterator[Vertex]:
        """All within, in the order of computation."""
        for item in self.items:
            if isinstance(item, Box):
                yield from item.vertices()
            else:
                yield item

    def path(self) -> list[Box]:
        """The boxes from the outermost to this one."""
        boxes: list[Box] = []
        box: Box | None = self
        while box is not None:
            boxes.append(box)
            box = box.parent
        return boxes[::-1]


def picture(
    tensors: Tensor | Sequence[Tensor],
    params: Mapping[str, Tensor] | Module | Calls | None = None,
    *,
    fold: bool = True,
    max_nodes: int = 400,
) -> Box:
    """The graph of `tensors` as the outermost box of a picture.

    params: the names of leaves and results, {"w1": w1}, or a Module with its own names; what `record` gave draws modules
    as boxes besides. fold: parts that follow each other at least three times in the same form are drawn once. max_nodes:
    what is farthest from the result is left out, with a note, where there are more.
    """
    from .folding import cut, folded

    if max_nodes < 1:
        raise ValueError(f"graph: max_nodes must be at least 1, got {max_nodes}")
    roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    for t in roots:
        if not isinstance(t, Tensor):
            raise TypeError(f"graph: expected a tensor, got {type(t).__name__}")
    names, calls = _names(params)
    top = _collected(roots, names, calls)
    if fold:
        folded(top)
    cut(top, max_nodes)
    return top


def _names(params: Any) -> tuple[dict[str, Tensor], list[Call]]:
    if params is None:
        return {}, []
    if isinstance(params, Calls):
        return _names(params.module)[0], params.all
    if isinstance(params, Module):
        return {**dict(params.named_buffers()), **dict(params.named_parameters())}, []
    if not isinstance(params, Mapping):
        raise TypeError(
            f"graph: params must be a mapping of names to tensors, a Module or the calls of graph.record, got {type(params).__name__}"
        )
    for name, t in params.items():
        if not isinstance(t, Tensor):
            raise TypeError(f"graph: params[{name!r}] must be a tensor, got {type(t).__name__}")
    return dict(params), []


def _node_of(edge: Any) -> Any:
    return edge.node if edge.kind == KIND_SLOT else edge


def _form(shape: Any, dtype: Any) -> str:
    size = TIMES.join(map(str, shape)) if len(shape) else "scalar"
    return f"{size} {from_numpy_dtype(dtype).name}"


def _form_of(edge: Any) -> str:
    if edge.kind == KIND_LEAF:
        return _form(edge._array.shape, edge._array.dtype)
    try:
        return _form(edge.shape, edge.dtype)
    except AttributeError:  # a node of an autograd.Function with several outputs has no shape of its own
        return ""


def _collected(roots: list[Tensor], names: Mapping[str, Tensor], calls: list[Call]) -> Box:
    called = {id(t): n for n, t in names.items()}
    made: dict[int, list[str]] = {}
    for name, t in names.items():
        if t.grad_fn is not None:
            made.setdefault(t.grad_fn.seq, []).append(name)
    found: dict[int, Any] = {}
    todo = [t.grad_fn for t in roots if t.grad_fn is not None]
    while todo:
        node: Any = todo.pop()
        if node.seq not in found:
            found[node.seq] = node
            todo += [_node_of(e) for e in node.edges if e is not None and e.kind != KIND_LEAF]
    top = Box("", None)
    assign = _Boxes(top, calls)
    operations: dict[int, Vertex] = {}
    leaves: dict[int, tuple[Any, Vertex, list[Vertex]]] = {}
    for number, seq in enumerate(sorted(found)):
        node = found[seq]
        label = " → ".join([_BACKWARD.sub("", node.name()), *made.get(seq, ())])
        box = assign.of(seq)
        vertex = Vertex(label, "operation", _form_of(node), number, box)
        for e in node.edges:
            if e is None:
                continue
            if e.kind == KIND_LEAF:
                if id(e) not in leaves:
                    leaves[id(e)] = (e, Vertex(_leaf_label(e, called), "leaf", _form_of(e), number, top), [])
                source = leaves[id(e)][1]
                leaves[id(e)][2].append(vertex)
            else:
                source = operations[_node_of(e).seq]
            vertex.inputs.append(Edge(source, _form_of(e)))
        operations[seq] = vertex
        box.items.append(vertex)
    for t in roots:
        if t.grad_fn is None and id(t) not in leaves:
            lone = Vertex(_leaf_label(t, called), "leaf", _form_of(t), 0, top)
            leaves[id(t)] = (t, lone, [])
    _place_leaves(top, leaves, set(called) if calls else set())
    return top


def _leaf_label(t: Tensor, called: Mapping[int, str]) -> str:
    name = called.get(id(t)) or getattr(t, "name", None)
    return name if isinstance(name, str) else f"{type(t).__name__.lower()} {list(t.shape)}"


class _Boxes:
    """Finds the box of a node, for nodes in ascending order: the innermost call that was running when it was made."""

    def __init__(self, top: Box, calls: list[Call]) -> None:
        self._calls, self._next = sorted(calls, key=lambda c: c.start), 0
        self._open: list[tuple[Call, Box | None]] = []
        self._top = top

    def of(self, seq: int) -> Box:
        while self._open and self._open[-1][0].end < seq:
            self._open.pop()
        while self._next < len(self._calls) and self._calls[self._next].start < seq:
            call = self._calls[self._next]
            self._next += 1
            while self._open and self._open[-1][0].end < call.start:
                self._open.pop()
            if call.end > seq:
                self._open.append((call, None))
        box = self._top
        for i, (call, made) in enumerate(self._open):
            if made is None:
                label = f"{call.path}: {call.kind}" if call.path else call.kind
                made = Box(label, box, call.kind)
                box.items.append(made)
                self._open[i] = call, made
            box = made
        return box


def _place_leaves(top: Box, leaves: Mapping[int, tuple[Any, Vertex, list[Vertex]]], named: set[int]) -> None:
    """Puts each leaf before what first uses it: a module's parameter within the boxes that all its uses share."""
    before: dict[Box, dict[int, list[Vertex]]] = {}
    loose = []
    for key, (t, leaf, users) in leaves.items():
        if not users:
            loose.append(leaf)
            continue
        home = top
        if key in named and isinstance(t, Parameter):
            paths = [u.box.path() for u in users]
            for boxes in zip(*paths, strict=False):
                if any(b is not boxes[0] for b in boxes):
                    break
                home = boxes[0]
        leaf.box = home
        item: Vertex | Box = users[0]
        while (item.parent if isinstance(item, Box) else item.box) is not home:
            item = item.parent if isinstance(item, Box) else item.box  # type: ignore[assignment]
        before.setdefault(home, {}).setdefault(id(item), []).append(leaf)
    for box, places in before.items():
        items: list[Vertex | Box] = []
        for item in box.items:
            items += places.get(id(item), ())
            items.append(item)
        box.items = items
    top.items = [*loose, *top.items]
