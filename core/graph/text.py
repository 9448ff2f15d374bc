"""A picture in the DOT language of graphviz and in Mermaid."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .collecting import Box, Vertex, picture
from .svg import to_svg

__all__ = ["save", "to_dot", "to_mermaid"]


def to_dot(tensors: Any, params: Any = None, **options: Any) -> str:
    """The graph of `tensors` in the DOT language; arguments as for `picture`."""
    top = picture(tensors, params, **options)
    number = {v: i for i, v in enumerate(top.vertices())}
    lines = ["digraph graph_of_tensor {", "  rankdir=BT;"]
    shapes = {"leaf": "box", "operation": "ellipse", "note": "note"}
    counter = itertools.count()

    def write(box: Box, indent: str) -> None:
        for item in box.items:
            if isinstance(item, Vertex):
                lines.append(f'{indent}n{number[item]} [label="{_dot(item.label)}", shape={shapes[item.kind]}];')  # fmt: skip
                continue
            lines.append(f"{indent}subgraph cluster_{next(counter)} {{")
            lines.append(f'{indent}  label="{_dot(item.title)}";')
            write(item, indent + "  ")
            lines.append(f"{indent}}}")

    write(top, "  ")
    for v in number:
        for e in v.inputs:
            label = f' [label="{_dot(e.form)}"]' if e.form else ""
            lines.append(f"  n{number[e.source]} -> n{number[v]}{label};")
    return "\n".join([*lines, "}"]) + "\n"


def to_mermaid(tensors: Any, params: Any = None, **options: Any) -> str:
    """The graph of `tensors` as a Mermaid flowchart; arguments as for `picture`."""
    top = picture(tensors, params, **options)
    number = {v: i for i, v in enumerate(top.vertices())}
    lines = ["flowchart BT"]
    frames = {"leaf": "[{}]", "operation": "([{}])", "note": ">{}]"}
    count = 0

    def write(box: Box, indent: str) -> None:
        nonlocal count
        for item in box.items:
            if isinstance(item, Vertex):
                text = frames[item.kind].format(f'"{_mermaid(item.label)}"')
                lines.append(f"{indent}n{number[item]}{text}")
                continue
            lines.append(f'{indent}subgraph box{count} ["{_mermaid(item.title)}"]')
            count += 1
            write(item, indent + "  ")
            lines.append(f"{indent}end")

    write(top, "  ")
    for v in number:
        for e in v.inputs:
            label = f'|"{_mermaid(e.form)}"|' if e.form else ""
            lines.append(f"  n{number[e.source]} -->{label} n{number[v]}")
    return "\n".join(lines) + "\n"


def save(path: str | Path, tensors: Any, params: Any = None, **options: Any) -> None:
    """Writes the graph of `tensors` to a file, in the form that its ending names: .svg, .dot (.gv) or .mmd."""
    forms: dict[str, Callable[..., str]] = {
        ".svg": to_svg, ".dot": to_dot, ".gv": to_dot, ".mmd": to_mermaid, ".mermaid": to_mermaid,
    }  # fmt: skip
    form = forms.get(Path(path).suffix)
    if form is None:
        raise ValueError(f"graph.save: the path must end in one of {', '.join(forms)}, got {str(path)!r}")
    Path(path).write_text(form(tensors, params, **options), encoding="utf-8")


def _dot(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "")


_ENTITIES = {'"': "#quot;", "#": "#35;", "&": "#amp;", "<": "#lt;", ">": "#gt;", "`": "#96;", "\n": " ", "\r": " "}  # fmt: skip


def _mermaid(text: str) -> str:
    return "".join(_ENTITIES.get(c, c) for c in text) or " "
