"""Normalisation as modules."""

from __future__ import annotations

from .driver import layer, rows

_ROWS, _LINE, _IMAGE, _BODY = rows(5, 4), rows(3, 4, 5), rows(3, 4, 3, 2), rows(2, 4, 2, 2, 3)

MODULES = [
    *(layer(f"{kind}{d}d", 4, on=[x] * 2) for kind in ("BatchNorm", "InstanceNorm") for d, x in ((1, _LINE), (2, _IMAGE), (3, _BODY))),
    layer("BatchNorm1d", 4, on=[_ROWS, _LINE]),
    layer("BatchNorm1d", 4, 0.1, 0.3, on=[_ROWS] * 2),
    layer("BatchNorm1d", 4, momentum=None, on=[_ROWS, rows(5, 4), rows(5, 4)]),
    layer("BatchNorm2d", 4, affine=False, on=_IMAGE),
    layer("BatchNorm2d", 4, bias=False, on=_IMAGE),
    layer("BatchNorm2d", 4, track_running_stats=False, on=_IMAGE),
    layer("BatchNorm2d", 4, dtype=None, device="cpu", on=_IMAGE),
    layer("InstanceNorm1d", 4, affine=True, on=[_LINE, rows(4, 5)]),
    layer("InstanceNorm2d", 4, track_running_stats=True, momentum=0.3, on=[_IMAGE, rows(4, 3, 2)]),
    layer("InstanceNorm3d", 4, affine=True, track_running_stats=True, on=_BODY),
    layer("LayerNorm", 5, on=_LINE),
    layer("LayerNorm", (4, 5), 0.1, on=_LINE),
    layer("LayerNorm", 5, elementwise_affine=False, on=_LINE),
    layer("LayerNorm", [4, 5], bias=False, on=_LINE),
    layer("RMSNorm", 5, on=_LINE),
    layer("RMSNorm", (4, 5), 0.1, on=_LINE),
    layer("RMSNorm", 5, elementwise_affine=False, on=_LINE),
    layer("GroupNorm", 2, 4, on=[_IMAGE, _LINE]),
    layer("GroupNorm", 1, 4, 0.1, on=_IMAGE),
    layer("GroupNorm", 2, 4, affine=False, on=_IMAGE),
    layer("GroupNorm", 2, 4, bias=False, on=_IMAGE),
    layer("LocalResponseNorm", 2, on=_IMAGE, half=False),
    layer("LocalResponseNorm", 3, alpha=0.1, beta=0.5, k=2.0, on=[_IMAGE, _LINE], half=False),
]  # fmt: skip

BAD = [
    layer("BatchNorm1d", 4, on=rows(4)),
    layer("BatchNorm2d", 4, on=rows(2, 4)),
    layer("BatchNorm3d", 4, on=rows(2, 4, 3, 3)),
    layer("BatchNorm1d", 3, on=_ROWS),
    layer("BatchNorm1d", 4, on=rows(1, 4)),
    layer("InstanceNorm1d", 4, on=rows(4)),
    layer("InstanceNorm2d", 3, affine=True, on=_IMAGE),
    layer("InstanceNorm1d", 4, on=rows(2, 4, 1)),
    layer("LayerNorm", 4, on=_LINE),
    layer("RMSNorm", 4, on=_LINE, words=False),
    layer("GroupNorm", 3, 4),
    layer("GroupNorm", 2, 6, on=rows(2, 3, 4), words=False),
    layer("GroupNorm", 2, 4, on=rows(2)),
    layer("LocalResponseNorm", 2, on=rows(2, 2), words=False),
]
