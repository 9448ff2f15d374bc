"""A picture as SVG: leaves below, what is computed from them above."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from .collecting import picture
from .layout import placed, text_width

__all__ = ["to_svg"]

_FILL = {"leaf": "#e7f0e4", "operation": "#e4ebf5", "note": "#fff"}
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_svg(tensors: Any, params: Any = None, **options: Any) -> str:
    """The graph of `tensors` as an SVG picture; arguments as for `picture`."""
    top = picture(tensors, params, **options)
    layout = placed(top)
    width, height = layout.width, layout.height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="DejaVu Sans, sans-serif" font-size="13" text-anchor="middle">',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#555"/></marker></defs>',
    ]
    for box, (
        x,
        y,
        w,
        h,
    ) in layout.frame.items():  # outer boxes come first, and are drawn below the inner ones
        dash = ' stroke-dasharray="5 3"' if box.times > 1 else ""
        parts.append(
            f'<g class="box"><rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="6" fill="#888" '
            f'fill-opacity="0.07" stroke="#999"{dash}/>'
            f'<text x="{x + 8:.1f}" y="{y + 15:.1f}" font-size="12" text-anchor="start" fill="#555">{_xml(box.title)}</text></g>'
        )
    for _, route in layout.routes:
        parts.append(f'<path class="edge" d="{_curve(route)}" fill="none" stroke="#555" marker-end="url(#arrow)"/>')  # fmt: skip
    for edge, route in layout.routes:
        if edge.form:
            (ax, ay), (bx, by) = route[0], route[1]
            parts.append(
                f'<text class="form" x="{(ax + bx) / 2:.1f}" y="{(ay + by) / 2 + 3:.1f}" font-size="10" fill="#666" stroke="#fff" '
                f'stroke-width="3" paint-order="stroke">{_xml(edge.form)}</text>'
            )
    for v, (x, y) in layout.centre.items():
        w = 24 + text_width(v.label)
        dash = ' stroke-dasharray="3 3"' if v.kind == "note" else ""
        parts.append(
            f'<g class="{v.kind}"><rect x="{x - w / 2:.1f}" y="{y - 16:.1f}" width="{w:.1f}" height="32" '
            f'rx="{16 if v.kind == "operation" else 4}" fill="{_FILL[v.kind]}" stroke="#555"{dash}/>'
            f'<text x="{x:.1f}" y="{y + 5:.1f}">{_xml(v.label)}</text></g>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _curve(route: list[tuple[float, float]]) -> str:
    """A path from the upper edge of its first point's vertex to the lower edge of the last one's, upright at each point."""
    (x, y), *rest = route
    y -= 16
    path = f"M{x:.1f} {y:.1f}"
    for i, (nx, ny) in enumerate(rest):
        if i + 1 == len(rest):
            ny += 17
        middle = (y + ny) / 2
        path += f"C{x:.1f} {middle:.1f} {nx:.1f} {middle:.1f} {nx:.1f} {ny:.1f}"
        x, y = nx, ny
    return path


def _xml(text: str) -> str:
    return escape(_NOT_IN_XML.sub("\ufffd", text))
