"""Convolutions, pooling, padding, resizing, and modules that change the shape alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from .driver import Layer, call, layer, rows

_SIZES = (7, 6, 5)


def _image(n: int, channels: int = 4, batch: int = 2) -> np.ndarray:
    return rows(batch, channels, *_SIZES[:n])


def _forms(n: int, channels: int = 4) -> list[Any]:
    """A batch and a single image."""
    return [_image(n, channels), _image(n, channels)[0]]


def _modules(n: int) -> list[Layer]:
    conv, back = f"Conv{n}d", f"ConvTranspose{n}d"
    best = np.arange(4).reshape(2, 2, *(1,) * n)
    return [
        layer(conv, 4, 6, 3, on=_forms(n)),
        layer(conv, 4, 6, (3, 2, 2)[:n], 2, 1, 2, 2, False, on=_forms(n), half=False),
        *(layer(conv, 4, 4, 3, padding=(2, 1, 0)[:n], padding_mode=m, on=_forms(n), half=False) for m in ("reflect", "replicate", "circular")),
        layer(conv, 4, 4, 2, padding="same", padding_mode="circular", on=_forms(n), half=False),
        layer(conv, 4, 4, 3, padding="same", groups=4, on=_forms(n), half=False),
        layer(conv, 4, 4, 3, padding="valid", on=_forms(n), half=False),
        layer(back, 4, 6, 3, on=_forms(n)),
        layer(back, 4, 6, 3, 2, 1, 1, 2, False, 2, on=_forms(n), half=False),
        layer(back, 4, 3, 3, stride=3, on=[call(_image(n), output_size=[22, 19, 16][:n]), call(_image(n)[0], [23, 19, 15][:n])], half=False),
        layer(f"MaxPool{n}d", 2, on=_forms(n)),
        layer(f"MaxPool{n}d", (3, 2, 2)[:n], 2, 1, 1, True, True, on=_forms(n)),
        layer(f"MaxUnpool{n}d", 2, on=[(rows(2, 2, *(1,) * n), best // 2)]),
        layer(f"MaxUnpool{n}d", 2, 3, on=[call(rows(2, *(1,) * n), best[0], output_size=(4, 3, 3)[:n])], half=False),
        layer(f"AvgPool{n}d", 2, on=_forms(n), half=n < 3),
        layer(f"AvgPool{n}d", 3, 2, 1, True, False, on=_forms(n), half=False),
        layer(f"LPPool{n}d", 2, 3, on=_forms(n), half=False),
        layer(f"LPPool{n}d", 2, 3, stride=2, ceil_mode=True, on=_forms(n), half=False),
        layer(f"AdaptiveAvgPool{n}d", 3, on=_forms(n), half=False),
        layer(f"AdaptiveMaxPool{n}d", 3, on=_forms(n), half=False),
        layer(f"AdaptiveMaxPool{n}d", (3, 2, 5)[:n], True, on=_forms(n), half=False),
        *(layer(f"{kind}Pad{n}d", p, on=_forms(n), half=False)
          for kind in ("Reflection", "Replication", "Circular", "Zero") for p in (1, (2, 1, 0, 2, 1, 1)[: 2 * n])),
        layer(f"ConstantPad{n}d", (2, -1, 0, 2, 1, 1)[: 2 * n], 3.5, on=_forms(n)),
        layer("Upsample", scale_factor=2, on=_image(n)),
        layer("Upsample", (4, 9, 7)[:n], on=_image(n), half=False),
        layer("Upsample", None, (1.7, 0.6, 2.0)[:n], ("linear", "bilinear", "trilinear")[n - 1], False, on=_image(n), half=False),
    ]  # fmt: skip


MODULES = [
    *(c for n in (1, 2, 3) for c in _modules(n)),
    layer("FractionalMaxPool2d", 2, output_ratio=0.5, on=_forms(2), random=True, modes=(True,), half=False),
    layer("FractionalMaxPool3d", (2, 1, 2), 3, return_indices=True, on=_forms(3), random=True, modes=(True,), half=False),
    layer("AvgPool2d", 2, divisor_override=3, on=_image(2)),
    layer("AdaptiveAvgPool2d", (None, 3), on=_image(2), half=False),
    layer("Upsample", scale_factor=(2.0, 1.5), mode="bicubic", align_corners=True, on=_image(2), half=False),
    layer("Upsample", scale_factor=1.7, mode="bilinear", align_corners=False, recompute_scale_factor=True, on=_image(2), half=False),
    layer("Upsample", size=5, mode="area", on=_image(2), half=False),
    layer("Upsample", size=5, mode="nearest-exact", on=_image(2), half=False),
    layer("UpsamplingNearest2d", scale_factor=2, on=_image(2)),
    layer("UpsamplingNearest2d", 4, on=_image(2)),
    layer("UpsamplingBilinear2d", (4, 9), on=_image(2), half=False),
    layer("UpsamplingBilinear2d", scale_factor=(2, 3), on=_image(2), half=False),
    layer("PixelShuffle", 2, on=_forms(2)),
    layer("PixelUnshuffle", 2, on=[rows(2, 3, 4, 6), rows(3, 4, 6)]),
    layer("ChannelShuffle", 2, on=_forms(2)),
    layer("Unfold", 2, on=_forms(2)),
    layer("Unfold", (3, 2), dilation=(1, 2), padding=1, stride=2, on=_forms(2)),
    layer("Fold", (4, 5), 2, on=[rows(2, 8, 12), rows(8, 12)]),
    layer("Fold", 5, 2, 2, 1, 2, on=rows(2, 8, 9)),
    layer("Flatten", on=[_image(2), rows(2, 3)]),
    layer("Flatten", 0, -2, on=_image(2)),
    layer("Unflatten", 1, (2, -1), on=[_image(2), rows(2, 6)]),
]  # fmt: skip

_ONE = rows(1, 3, 5, 5)
BAD = [
    layer("FractionalMaxPool2d", 2),
    layer("FractionalMaxPool2d", 2, 3, 0.5),
    layer("FractionalMaxPool2d", 2, output_ratio=1.5, words=False),
    layer("Conv2d", 4, 6, 3, groups=3),
    layer("Conv2d", 3, 4, 3, groups=3),
    layer("Conv2d", 3, 4, 3, groups=0),
    layer("Conv2d", 3, 4, 3, padding="foo", words=False),
    layer("Conv2d", 3, 4, 3, padding="same", stride=2),
    layer("Conv2d", 3, 4, 3, padding_mode="foo", words=False),
    layer("Conv2d", 3, 4, (3, 3, 3), on=_ONE, words=False),
    layer("Conv2d", 3, 4, 3, stride=0, on=_ONE),
    layer("Conv2d", 3, 4, 3, padding=-1, on=_ONE),
    layer("Conv2d", 3, 4, 3, on=rows(1, 2, 5, 5)),
    layer("Conv2d", 3, 4, 3, on=rows(5, 5)),
    layer("Conv2d", 3, 4, 6, on=_ONE),
    layer("Conv1d", 3, 4, 3, on=rows(3)),
    layer("Conv3d", 3, 4, 3, on=_ONE[0]),
    layer("Conv2d", 3, 4, 3, dilation=0, on=_ONE),
    layer("Conv2d", 3, 4, 3, padding=9, padding_mode="reflect", on=_ONE),
    layer("ConvTranspose2d", 3, 4, 3, padding_mode="reflect"),
    layer("ConvTranspose2d", 3, 4, 3, 2, on=call(_ONE, output_size=(20, 20))),
    layer("ConvTranspose2d", 3, 4, 3, 2, on=call(_ONE, output_size=(12, 12, 12))),
    layer("ConvTranspose2d", 3, 4, 3, on=rows(1, 2, 5, 5)),
    layer("ConvTranspose2d", 3, 4, 3, output_padding=1, on=_ONE, words=False),
    layer("MaxPool2d", 2, on=rows(2, 2)),
    layer("MaxPool2d", 6, on=_ONE),
    layer("MaxPool2d", 2, padding=2, on=_ONE),
    layer("MaxPool2d", 2, 0, on=_ONE),
    layer("MaxPool2d", (1, 2, 3), on=_ONE),
    layer("MaxPool1d", 2, on=rows(1, 2, 5, 5)),
    layer("MaxPool3d", 2, on=rows(5, 5)),
    layer("AvgPool2d", 2, on=rows(2, 2)),
    layer("AvgPool2d", 6, on=_ONE),
    layer("AvgPool1d", 2, on=rows(3)),
    layer("AvgPool2d", 2, divisor_override=0, on=_ONE),
    layer("AdaptiveAvgPool2d", (1, 2, 3), on=_ONE),
    layer("AdaptiveAvgPool2d", -1, on=_ONE),
    layer("AdaptiveAvgPool2d", 2, on=rows(2, 2)),
    layer("AdaptiveMaxPool2d", 2, on=rows(2, 2)),
    layer("AdaptiveAvgPool1d", 2, on=rows(3)),
    layer("MaxUnpool2d", 2, on=(rows(1, 1, 2, 2), np.full((1, 1, 2, 2), 99))),
    layer("MaxUnpool2d", 2, on=(rows(1, 1, 2, 2), np.zeros((1, 1, 2, 1), np.int64))),
    layer("MaxUnpool2d", 2, on=call(rows(1, 1, 2, 2), np.zeros((1, 1, 2, 2), np.int64), output_size=(9, 9))),
    layer("ReflectionPad2d", 5, on=_ONE),
    layer("ReflectionPad2d", 1, on=rows(3, 3)),
    layer("ReflectionPad2d", (1, 2), on=_ONE),
    layer("CircularPad2d", 1, on=rows(3, 3)),
    layer("CircularPad1d", 1, on=rows(3)),
    layer("CircularPad2d", 6, on=_ONE),
    layer("ReplicationPad1d", 1, on=rows(3)),
    layer("ZeroPad1d", (1, 2, 3), on=rows(3, 3)),
    layer("ConstantPad2d", 1, words=False),
    layer("Upsample", scale_factor=2, mode="foo", on=_ONE, words=False),
    layer("Upsample", on=_ONE),
    layer("Upsample", 2, 2, on=_ONE),
    layer("Upsample", (2, 2, 2), on=_ONE),
    layer("Upsample", scale_factor=(2.0, 2.0, 2.0), on=_ONE),
    layer("Upsample", 0, on=_ONE),
    layer("Upsample", scale_factor=2, mode="linear", on=_ONE),
    layer("Upsample", scale_factor=2, align_corners=True, on=_ONE),
    layer("PixelShuffle", 2, on=_ONE),
    layer("PixelUnshuffle", 2, on=_ONE),
    layer("ChannelShuffle", 2, on=_ONE),
    layer("Unfold", 6, on=_ONE),
    layer("Unfold", 2, stride=0, on=_ONE),
    layer("Fold", (5, 5), 2, on=rows(1, 7, 16)),
    layer("Fold", (5, 5), 2, on=rows(1, 8, 15)),
    layer("Unflatten", 1, 5),
    layer("Unflatten", 1, ((2, 3), 1)),
    layer("Unflatten", 1, (2, 2), on=rows(2, 5)),
    layer("Flatten", 2, 1, on=rows(2, 3, 4)),
]
