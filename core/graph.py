"""Pictures of a computation graph: DOT and SVG text, operators as nodes, leaves by name. No graphviz needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from .node import KIND_LEAF, KIND_SLOT
from .tensor import Tensor

__all__ = ["to_dot", "to_svg"]

_BACKWARD = re.compile(r"Backward\d*$")


class _Vertex:
    __slots__ = ("inputs", "label", "leaf", "level")

    def __init__(self, label: str, leaf: bool) -> None:
        self.label, self.leaf, self.inputs, self.level = label, leaf, [], 0  # type: ignore[var-annotated]


def _collect(tensor: Tensor, names: Mapping[str, Tensor] | None) -> list[_Vertex]:
    """Vertices in order of computation, inputs before what is computed from them."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"graph: expected a tensor, got {type(tensor).__name__}")
    called = {id(t): n for n, t in (names or {}).items()}
    made = {id(t._node): n for n, t in (names or {}).items() if t._node is not None}
    if tensor._node is None:
        return [_Vertex(called.get(id(tensor), _described(tensor)), True)]
    root = tensor._node.node if tensor._node.kind == KIND_SLOT else tensor._node
    found: dict[int, Any] = {}
    todo = [root]
    while todo:
        node = todo.pop()
        if id(node) in found:
            continue
        found[id(node)] = node
        for e in node.edges:
            if e is not None:
                todo.append(
                    e.node if e.kind == KIND_SLOT else e
                ) if e.kind != KIND_LEAF else found.setdefault(id(e), e)
    vertices: dict[int, _Vertex] = {}
    nodes = sorted((n for n in found.values() if n.kind != KIND_LEAF), key=lambda n: n.seq)
    for node in nodes:
        label = _BACKWARD.sub("", node.name())
        if id(node) in made:
            label += f" → {made[id(node)]}"
        vertex = _Vertex(label, False)
        for e in node.edges:
            if e is None:
                continue
            if e.kind == KIND_LEAF and id(e) not in vertices:
                vertices[id(e)] = _Vertex(called.get(id(e), _described(e)), True)
            source = vertices[id(e.node if e.kind == KIND_SLOT else e)]
            vertex.inputs.append(source)
            vertex.level = max(vertex.level, source.level + 1)
        vertices[id(node)] = vertex
    return list(vertices.values())


def _described(t: Tensor) -> str:
    name = getattr(t, "name", None)
    return name if isinstance(name, str) else f"{type(t).__name__.lower()} {list(t.shape)}"


def to_dot(tensor: Tensor, names: Mapping[str, Tensor] | None = None) -> str:
    """The graph of `tensor` in the DOT language. `names` gives tensors their names: {"w1": w1}."""
    vertices = _collect(tensor, names)
    number = {id(v): i for i, v in enumerate(vertices)}
    lines = ["digraph graph_of_tensor {", "  rankdir=BT;"]
    for v in vertices:
        text = v.label.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'  n{number[id(v)]} [label="{text}", shape={"box" if v.leaf else "ellipse"}];')
    for v in vertices:
        lines += [f"  n{number[id(s)]} -> n{number[id(v)]};" for s in v.inputs]
    return "\n".join([*lines, "}"]) + "\n"


def to_svg(tensor: Tensor, names: Mapping[str, Tensor] | None = None) -> str:
    """The graph of `tensor` as an SVG picture: leaves below, what is computed from them above."""
    vertices = _collect(tensor, names)
    rows: dict[int, list[_Vertex]] = {}
    for v in vertices:
        rows.setdefault(v.level, []).append(v)
    width = {id(v): 24 + 8 * len(v.label) for v in vertices}
    total = max(sum(width[id(v)] + 24 for v in row) for row in rows.values()) + 24
    height = 80 * len(rows) + 16
    place: dict[int, tuple[float, float]] = {}
    for level, row in rows.items():
        gap = (total - sum(width[id(v)] for v in row)) / (len(row) + 1)
        x = gap
        for v in row:
            place[id(v)] = (x + width[id(v)] / 2, height - 48 - 80 * level)
            x += width[id(v)] + gap
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total:.0f}" height="{height}" viewBox="0 0 {total:.0f} {height}" '
        'font-family="sans-serif" font-size="13" text-anchor="middle">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>',
    ]
    for v in vertices:
        x, y = place[id(v)]
        for s in v.inputs:
            sx, sy = place[id(s)]
            parts.append(
                f'<line x1="{sx:.0f}" y1="{sy - 16:.0f}" x2="{x:.0f}" y2="{y + 17:.0f}" stroke="#555" marker-end="url(#arrow)"/>'
            )
    for v in vertices:
        x, y = place[id(v)]
        w, fill = width[id(v)], "#e7f0e4" if v.leaf else "#e4ebf5"
        parts.append(
            f'<rect x="{x - w / 2:.0f}" y="{y - 16:.0f}" width="{w}" height="32" rx="{4 if v.leaf else 16}" fill="{fill}" stroke="#555"/>'
            f'<text x="{x:.0f}" y="{y + 5:.0f}">{escape(v.label)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
