"""Products with weights, and the identity."""

from __future__ import annotations

from .driver import layer, rows

MODULES = [
    layer("Identity", on=rows(2, 3)),
    layer("Linear", 4, 3, on=[rows(5, 4), rows(4), rows(2, 3, 4)]),
    layer("Linear", 4, 3, bias=False, on=rows(2, 4)),
]

BAD = [
    layer("Linear", 4, 3, on=rows(5, 2), words=False),
]
