"""Parts that repeat are drawn once, and what is too much for a picture is left out with a note."""

from __future__ import annotations

from .collecting import Box, Edge, Vertex

__all__ = ["cut", "folded"]

_LEAST = 3  # so many times must a part follow itself
_LONGEST = 96  # items of a part; looking for longer ones costs time in every long graph


def folded(top: Box) -> None:
    """Draws each run of equal parts once, in a box with their number."""
    uses: dict[Vertex, int] = {}
    for v in top.vertices():
        for e in v.inputs:
            uses[e.source] = uses.get(e.source, 0) + 1
    same: dict[Vertex, Vertex] = {}
    _fold(top, _Signatures(uses), same)
    if same:
        _redirect(top, same)


class _Signatures:
    """A number for the form of an item: equal for items that do the same in the same surroundings."""

    def __init__(self, uses: dict[Vertex, int]) -> None:
        self._uses, self._numbers = uses, {}  # type: ignore[var-annotated]

    def of(self, item: Vertex | Box) -> int:
        key = self._box(item) if isinstance(item, Box) else self._vertex(item)
        number: int = self._numbers.setdefault(key, len(self._numbers))
        return number

    def _vertex(self, v: Vertex) -> tuple[object, ...]:
        if v.kind == "leaf":
            return ("leaf", v.form, self._leaf(v))
        return (v.label, v.form, *[self._input(v, e) for e in v.inputs])

    def _leaf(self, v: Vertex) -> object:
        return "own" if self._uses.get(v, 0) == 1 else id(v)

    def _input(self, v: Vertex, e: Edge) -> tuple[object, ...]:
        if e.source.kind == "leaf":
            return (e.form, self._leaf(e.source))
        return (e.form, v.number - e.source.number)

    def _box(self, box: Box) -> tuple[object, ...]:
        """Within a box, vertices are told by their place in it. What operations outside give is passed over: the first of
        equal layers gets a constant, which is no edge, or something of another form."""
        inside = {v: i for i, v in enumerate(box.vertices())}
        parts: list[object] = [box.kind, box.label if not box.kind else ""]
        for v in inside:
            parts.append((v.label if v.kind != "leaf" else "leaf", v.form))
            for e in v.inputs:
                if e.source in inside:
                    parts.append((e.form, inside[e.source]))
                elif e.source.kind == "leaf":
                    parts.append((e.form, -1 - id(e.source)))
        return tuple(parts)


def _fold(box: Box, signatures: _Signatures, same: dict[Vertex, Vertex]) -> None:
    marks = [signatures.of(item) for item in box.items]
    items: list[Vertex | Box] = []
    i = 0
    while i < len(marks):
        period, times = _run(marks, i)
        if times < _LEAST:
            items.append(box.items[i])
            i += 1
            continue
        copies = [box.items[i + k * period : i + (k + 1) * period] for k in range(times)]
        items.append(_one_of(box, copies, same))
        i += period * times
    box.items = items
    for item in items:
        if isinstance(item, Box):
            _fold(item, signatures, same)


def _run(marks: list[int], start: int) -> tuple[int, int]:
    """The period and the number of repetitions that spare the most, of what begins at `start`."""
    best, spared = (1, 1), 0
    for period in range(1, min(_LONGEST, (len(marks) - start) // _LEAST) + 1):
        if marks[start] != marks[start + period]:
            continue
        part, times = marks[start : start + period], 1
        while marks[start + times * period : start + (times + 1) * period] == part:
            times += 1
        if times >= _LEAST and (times - 1) * period > spared:
            best, spared = (period, times), (times - 1) * period
    return best


def _one_of(parent: Box, copies: list[list[Vertex | Box]], same: dict[Vertex, Vertex]) -> Box:
    """The first of the copies in a box; the vertices of the others are noted as the same as its own."""
    first = copies[0]
    for copy in copies[1:]:
        for mine, other in zip(_within(first), _within(copy), strict=True):
            same[other] = mine
    if len(first) == 1 and isinstance(first[0], Box):
        box, last = first[0], copies[-1][0]
        if isinstance(last, Box) and last.label != box.label:
            kind = f": {box.kind}"
            box.label = f"{box.label.removesuffix(kind)} … {last.label}"
    else:
        box = Box("", parent, items=first)
        for item in first:
            if isinstance(item, Box):
                item.parent = box
            else:
                item.box = box
    box.times = len(copies)
    return box


def _within(items: list[Vertex | Box]) -> list[Vertex]:
    return [v for item in items for v in (item.vertices() if isinstance(item, Box) else (item,))]


def _redirect(top: Box, same: dict[Vertex, Vertex]) -> None:
    """Leads edges to and from vertices that are no longer drawn to those that stand for them; loops are left out."""

    def stands_for(v: Vertex) -> Vertex:
        while v in same:
            v = same[v]
        return v

    drawn = list(top.vertices())
    order = {v: i for i, v in enumerate(drawn)}
    merged: dict[Vertex, list[Edge]] = {}
    for v in same:
        merged.setdefault(stands_for(v), []).extend(v.inputs)

    def forward(v: Vertex, edges: list[Edge]) -> list[Edge]:
        kept = []
        for e in edges:
            source = stands_for(e.source)
            if source in order and order[source] < order[v]:
                kept.append(Edge(source, e.form))
        return kept

    for v in drawn:
        v.inputs = forward(v, v.inputs)
        for e in forward(v, merged.get(v, [])):
            if all(k.source is not e.source or k.form != e.form for k in v.inputs):
                v.inputs.append(e)


def cut(top: Box, most: int) -> None:
    """Leaves out all but the last `most` vertices, with a note in their place."""
    every = list(top.vertices())
    if len(every) <= most:
        return
    gone = set(every[: len(every) - most])
    operations = sum(v.kind == "operation" for v in gone)
    note = Vertex(f"… {operations} operations not drawn", "note", "", -1, top)
    for v in every[len(every) - most :]:
        kept: list[Edge] = []
        for e in v.inputs:
            source = note if e.source in gone else e.source
            if source is not note or all(k.source is not note or k.form != e.form for k in kept):
                kept.append(Edge(source, e.form))
        v.inputs = kept
    _without(top, gone)
    top.items = [note, *top.items]


def _without(box: Box, gone: set[Vertex]) -> bool:
    """Takes vertices out of a box; whether it has any left."""
    box.items = [
        item for item in box.items if (_without(item, gone) if isinstance(item, Box) else item not in gone)
    ]
    return bool(box.items)
