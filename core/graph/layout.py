"""Places for a picture: rows by how far a vertex is from the leaves, each box laid out on its own inside its parent.

After Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures", 1981: rows, points
where a long edge passes a row, an order in each row by the neighbours' mean, then positions by the same. All lengths are
in pixels, y upwards from a box's lower edge until `placed` turns it over.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from .collecting import Box, Edge, Vertex

__all__ = ["Layout", "placed", "text_width"]

_HEIGHT, _ROW_GAP, _GAP, _PADDING, _TITLE = 32.0, 44.0, 24.0, 14.0, 22.0
_SWEEPS = 4


@dataclass
class Layout:
    """centre: of each vertex. frame: left, top, width and height of each box. routes: the points that an edge goes through."""

    width: float = 0.0
    height: float = 0.0
    centre: dict[Vertex, tuple[float, float]] = field(default_factory=dict)
    frame: dict[Box, tuple[float, float, float, float]] = field(default_factory=dict)
    routes: list[tuple[Edge, list[tuple[float, float]]]] = field(default_factory=list)


def text_width(text: str, size: float = 8.0) -> float:
    """About the width of a line of text: wide characters count twice."""
    return sum(size * (2 if unicodedata.east_asian_width(c) in "WF" else 1) for c in text)


class _Place:
    """Something in a row: an item, or a point where an edge passes (item None)."""

    __slots__ = ("above", "below", "height", "item", "order", "row", "width", "x", "y")

    def __init__(self, item: Vertex | Box | None, width: float, height: float, row: int) -> None:
        self.item, self.width, self.height, self.row = item, width, height, row
        self.x = self.y = 0.0  # the centre
        self.order = 0
        self.above: list[_Place] = []
        self.below: list[_Place] = []


class _Arranged:
    """The places of a box, and its size with title and padding."""

    def __init__(self, width: float, height: float, places: list[_Place]) -> None:
        self.width, self.height, self.places = width, height, places


@dataclass
class _Crossings:
    """Edges of one box: between its items, in to an item from outside, and out of one."""

    between: list[tuple[Vertex | Box, Vertex | Box, Edge]] = field(default_factory=list)
    entering: list[tuple[Vertex | Box, Edge]] = field(default_factory=list)
    leaving: list[tuple[Vertex | Box, Edge]] = field(default_factory=list)


def placed(top: Box) -> Layout:
    """Where everything of a picture goes."""
    crossings: dict[Box, _Crossings] = {}
    ways: dict[Edge, list[Box]] = {}  # the boxes that an edge goes through, in order
    for v in top.vertices():
        for e in v.inputs:
            ways[e] = _cross(e, v, crossings)
    arranged: dict[Box, _Arranged] = {}
    points: dict[tuple[Edge, Box], list[_Place]] = {}
    _arrange(top, crossings, arranged, points)
    result = Layout(arranged[top].width, arranged[top].height)
    origins: dict[Box, tuple[float, float]] = {}
    _settle(top, 0.0, 0.0, arranged, result, origins)
    for v in top.vertices():
        for e in v.inputs:
            route = [result.centre[e.source]]
            for box in ways[e]:
                x, y = origins[box]
                route += [(x + p.x, y + p.y) for p in points[e, box]]
            result.routes.append((e, [*route, result.centre[v]]))
    h = result.height  # y downwards from here on, as in SVG
    result.centre = {v: (x, h - y) for v, (x, y) in result.centre.items()}
    result.frame = {b: (x, h - y - t, w, t) for b, (x, y, w, t) in result.frame.items()}
    result.routes = [(e, [(x, h - y) for x, y in route]) for e, route in result.routes]
    return result


def _cross(e: Edge, target: Vertex, crossings: dict[Box, _Crossings]) -> list[Box]:
    """Enters an edge in the boxes that it goes through, which are returned."""
    a: list[Vertex | Box] = [*e.source.box.path(), e.source]
    b: list[Vertex | Box] = [*target.box.path(), target]
    depth = 0
    while a[depth] is b[depth]:
        depth += 1
    way: list[Box] = []

    def of(box: Vertex | Box) -> _Crossings:
        assert isinstance(box, Box)
        way.append(box)
        return crossings.setdefault(box, _Crossings())

    for box, item in zip(a[-2 : depth - 1 : -1], a[-1:depth:-1], strict=True):
        of(box).leaving.append((item, e))
    of(a[depth - 1]).between.append((a[depth], b[depth], e))
    for box, item in zip(b[depth:-1], b[depth + 1 :], strict=True):
        of(box).entering.append((item, e))
    return way


def _arrange(
    box: Box,
    crossings: dict[Box, _Crossings],
    arranged: dict[Box, _Arranged],
    points: dict[tuple[Edge, Box], list[_Place]],
) -> None:
    places: dict[Vertex | Box, _Place] = {}
    for item in box.items:
        if isinstance(item, Box):
            _arrange(item, crossings, arranged, points)
            places[item] = _Place(item, arranged[item].width, arranged[item].height, 0)
        else:
            places[item] = _Place(item, 24 + text_width(item.label), _HEIGHT, 0)
    own = crossings.get(box, _Crossings())
    into: dict[Vertex | Box, list[_Place]] = {}
    for source, target, _ in own.between:
        into.setdefault(target, []).append(places[source])
    for item in box.items:  # in the order of computation: what an item needs has its row already
        places[item].row = max((p.row + 1 for p in into.get(item, ())), default=0)
    first_use: dict[Vertex | Box, int] = {}
    for source, target, _ in own.between:
        first_use[source] = min(first_use.get(source, places[target].row), places[target].row)
    for source, row in first_use.items():
        if isinstance(source, Vertex) and source.kind != "operation":  # as near to its use as it can be
            places[source].row = row - 1
    every = list(places.values())
    last = max((p.row for p in every), default=0)

    def pass_through(edge: Edge, below: _Place | None, above: _Place | None) -> None:
        between = []
        for row in range(0 if below is None else below.row + 1, last + 1 if above is None else above.row):
            point = _Place(None, 8.0, 0.0, row)
            if below is not None:
                _link(below, point)
            between.append(point)
            below = point
        if below is not None and above is not None:
            _link(below, above)
        every.extend(between)
        points[edge, box] = between

    for source, target, edge in own.between:
        pass_through(edge, places[source], places[target])
    for target, edge in own.entering:
        pass_through(edge, None, places[target])
    for source, edge in own.leaving:
        pass_through(edge, places[source], None)
    rows: list[list[_Place]] = [[] for _ in range(max((p.row for p in every), default=0) + 1)]
    for p in every:
        rows[p.row].append(p)
    _order(rows)
    width, height = _position(rows)
    top = _TITLE if box.parent is not None else 0.0
    width = max(width, text_width(box.title, 7.0) if box.parent is not None else 0.0)
    shift = (width - max((p.x + p.width / 2 for p in every), default=0.0)) / 2 if every else 0.0
    for p in every:
        p.x += _PADDING + shift
        p.y += _PADDING
    arranged[box] = _Arranged(width + 2 * _PADDING, height + 2 * _PADDING + top, every)


def _link(below: _Place, above: _Place) -> None:
    below.above.append(above)
    above.below.append(below)


def _order(rows: list[list[_Place]]) -> None:
    """Orders each row by the mean place of its neighbours, upwards and downwards by turns; ties keep their order."""
    for row in rows:
        for i, p in enumerate(row):
            p.order = i
    for sweep in range(_SWEEPS):
        upwards = sweep % 2 == 0
        for row in rows if upwards else rows[::-1]:

            def mean(p: _Place, upwards: bool = upwards) -> float:
                near = p.below if upwards else p.above
                return sum(n.order for n in near) / len(near) if near else float(p.order)

            row.sort(key=mean)
            for i, p in enumerate(row):
                p.order = i


def _position(rows: list[list[_Place]]) -> tuple[float, float]:
    """Centres of all places, from 0 on; the width and height that they take."""
    for row in rows:
        x = 0.0
        for p in row:
            p.x = x + p.width / 2
            x += p.width + _GAP
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = []
            for p in row:
                near = p.below + p.above
                wanted.append(sum(n.x for n in near) / len(near) if near else p.x)
            _spread(row, wanted)
    left = min((p.x - p.width / 2 for row in rows for p in row), default=0.0)
    y = 0.0
    for i, row in enumerate(rows):
        tall = max((p.height for p in row), default=0.0)
        for p in row:
            p.x -= left
            p.y = y + tall / 2
        y += tall + (_ROW_GAP if i + 1 < len(rows) else 0.0)
    return max((p.x + p.width / 2 for row in rows for p in row), default=0.0), y


def _spread(row: list[_Place], wanted: list[float]) -> None:
    """Puts a row near to where it wants to be, without overlap: the mean of packing it from the left and from the right."""
    left: list[float] = []
    for i, p in enumerate(row):
        least = left[-1] + row[i - 1].width / 2 + _GAP + p.width / 2 if i else wanted[0]
        left.append(max(wanted[i], least))
    right = [0.0] * len(row)
    for i in reversed(range(len(row))):
        p = row[i]
        most = right[i + 1] - row[i + 1].width / 2 - _GAP - p.width / 2 if i + 1 < len(row) else wanted[i]
        right[i] = min(wanted[i], most)
    for p, a, b in zip(row, left, right, strict=True):
        p.x = (a + b) / 2


def _settle(
    box: Box,
    x: float,
    y: float,
    arranged: dict[Box, _Arranged],
    result: Layout,
    origins: dict[Box, tuple[float, float]],
) -> None:
    """Absolute places of all in `box`, whose lower left corner is (x, y)."""
    own = arranged[box]
    origins[box] = x, y
    if box.parent is not None:
        result.frame[box] = x, y, own.width, own.height
    for p in own.places:
        if isinstance(p.item, Box):
            _settle(p.item, x + p.x - p.width / 2, y + p.y - p.height / 2, arranged, result, origins)
        elif p.item is not None:
            result.centre[p.item] = x + p.x, y + p.y
