"""Images of another size: interpolate and its older names."""

from __future__ import annotations

import math
import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from ...functions.catalogue import public
from ...ops import resampling as _rs
from ...ops.registry import apply
from ...tensor import Tensor
from .adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]

_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3}
_NEAREST = ("nearest", "nearest-exact", "area")


@public(namespace="torch.nn.functional", method=False)
def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resizes (N, C, *sizes) to `size`, or by `scale_factor`.

    mode: nearest, nearest-exact, area (1 to 3 sizes), linear (1), bilinear, bicubic (2), trilinear (3).
    """
    n = input.ndim - 2
    if mode in _NEAREST:
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
            )
    elif mode not in (*_LINEAR, "bicubic"):
        raise NotImplementedError(
            "Input Error: Only 3D, 4D and 5D input Tensors supported (got "
            f"{input.ndim}D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | nearest-exact (got {mode})"
        )
    if antialias:
        raise NotImplementedError("interpolate: antialias=True is not supported; blur before a reduction")
    if n < 1 or n > 3:
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.ndim}D) for the modes: nearest | linear | "
            f"bilinear | bicubic | trilinear | area | nearest-exact (got {mode})"
        )
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "either size or scale_factor should be defined"
            if size is None
            else "only one of size or scale_factor should be defined"
        )
    wanted = {**_LINEAR, "bicubic": 2}.get(mode, n)
    if wanted != n:
        raise NotImplementedError(f"Got {input.ndim}D input, but {mode} mode needs {wanted + 2}D input")
    image = tuple(input._array.shape[2:])
    if 0 in image:
        raise RuntimeError(f"Input and output sizes should be greater than 0, but got input {image}")
    factors: list[float] | None = None
    if size is not None:
        out = [int(s) for s in size] if isinstance(size, (tuple, list)) else [int(size)] * n
        if len(out) != n:
            raise ValueError(
                f"Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of "
                f"{list(image)} and output size of {size}."
            )
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    else:
        given = list(scale_factor) if isinstance(scale_factor, (tuple, list)) else [scale_factor] * n
        if len(given) != n:
            raise ValueError(
                f"Input and scale_factor must have the same number of spatial dimensions, but got input with spatial dimensions "
                f"of {list(image)} and scale_factor of shape {scale_factor}."
            )
        out = [math.floor(i * s) for i, s in zip(image, given, strict=True)]
        factors = None if recompute_scale_factor else [float(s) for s in given]
    if min(out) <= 0:
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input {image} output {tuple(out)}"
        )
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[n - 1](input, out)
    if mode not in _NEAREST and not input.is_floating_point():
        raise RuntimeError(
            f"\"interpolate\" in mode {mode} not implemented for '{input.dtype}'; convert with .float()"
        )
    x = input
    real = np.float64 if x._array.dtype == np.float64 else np.float32
    for d in range(n):
        factor = None if factors is None else factors[d]
        table = _table(image[d], out[d], factor, mode, bool(align_corners), real)
        if table is not None:
            x = apply(_rs.Resample, (x,), (table, 2 + d))
    return x.clone() if x is input else x


@lru_cache(256)
def _table(
    rows: int, out: int, factor: float | None, mode: str, aligned: bool, real: Any
) -> _rs.Table | None:
    """Which rows each row of a resized dimension reads, with weights; None where it stays as it is."""
    if mode in _NEAREST:
        # in float32, as PyTorch computes the places whatever the dtype
        scale = np.float32(1.0 / factor) if factor else np.float32(rows) / np.float32(out)
        at = np.arange(out, dtype=np.float32) + np.float32(0.5 if mode == "nearest-exact" else 0)
        return _rs.Table(np.minimum(np.floor(at * scale).astype(np.int64), rows - 1)[None], None, rows)
    if out == rows and (aligned or factor is None or factor == 1):
        return None
    places: Any = np.arange(out, dtype=real)
    if aligned:
        source = places * (real(rows - 1) / real(out - 1)) if out > 1 else places * 0
    else:
        step = real(1.0 / factor) if factor else real(rows) / real(out)
        source = step * (places + real(0.5)) - real(0.5)
    if mode == "bicubic":
        first = np.floor(source)
        parts = [(first.astype(np.int64) + k - 1, w) for k, w in enumerate(cubic(source - first))]
    else:
        source = np.maximum(source, 0)
        first = np.minimum(source.astype(np.int64), rows - 1)
        share = np.clip(source - first, 0, 1).astype(real)
        parts = [(first, 1 - share), (first + 1, share)]
    index = np.array([np.clip(at, 0, rows - 1) for at, _ in parts])
    return _rs.Table(index, np.array([w for _, w in parts]), rows)


def cubic(t: Any) -> list[Any]:
    """Weights of the four neighbours of a place t in [0, 1) between two of them (Keys, 1981, with a = -0.75)."""
    a = -0.75

    def near(d: Any) -> Any:
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d: Any) -> Any:
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def upsample(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The older name of interpolate."""
    warnings.warn(
        "`nn.functional.upsample` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=2
    )
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """interpolate(mode="nearest")."""
    warnings.warn(
        "`nn.functional.upsample_nearest` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """interpolate(mode="bilinear", align_corners=True)."""
    warnings.warn(
        "`nn.functional.upsample_bilinear` is deprecated. Use `nn.functional.interpolate` instead.",
        stacklevel=2,
    )
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
