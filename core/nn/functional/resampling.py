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
from .sizes import integer, tensor_argument

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
    tensor_argument(input, "interpolate")
    n, shape = input.ndim - 2, input._array.shape
    if mode in _NEAREST and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    out, factors = _target(list(shape[2:]), size, scale_factor, recompute_scale_factor)
    if antialias:
        if mode not in ("bilinear", "bicubic") or n != 2:
            raise ValueError(
                "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
            )
        raise NotImplementedError("interpolate: antialias=True is not supported; blur before a reduction")
    wanted = {**_LINEAR, "bicubic": 2}.get(mode, n if mode in _NEAREST else 0)
    if wanted != n and mode in _LINEAR and 1 <= n <= 3:
        raise NotImplementedError(f"Got {n + 2}D input, but {mode} mode needs {wanted + 2}D input")
    if wanted != n or not 1 <= n <= 3:
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {input.ndim}D) for the modes: nearest | linear | "
            f"bilinear | bicubic | trilinear | area | nearest-exact (got {mode})"
        )
    image = tuple(shape[2:])
    if mode != "area" and (min(out) <= 0 or min(image) <= 0):
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({_named(image)}) output ({_named(out)})"
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
        table = _table(image[d], out[d], factor, mode, bool(align_corners), real, n == 2)
        if table is not None:
            x = apply(_rs.Resample, (x,), (table, 2 + d))
    return x.clone() if x is input else x


def _named(sizes: Any) -> str:
    return ", ".join(f"{name}: {n}" for name, n in zip("DHW"[3 - len(sizes) :], sizes, strict=True))


def _target(
    image: list[int], size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[list[int], list[float] | None]:
    """The output's sizes, and the factors that places are computed by where they aren't the sizes' ratios."""
    n = len(image)
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if isinstance(size, (tuple, list)):
            if len(size) != n:
                raise ValueError(
                    "Input and output must have the same number of spatial dimensions, but got input with spatial dimensions of "
                    f"{image} and output size of {size}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and output "
                    "size in (o1, o2, ...,oK) format."
                )
            if not all(isinstance(s, int) for s in size):
                raise TypeError(
                    "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], but got size with "
                    f"types {[type(s) for s in size]}"
                )
        if recompute:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
        each = size if isinstance(size, (tuple, list)) else [size] * n
        return [integer(s, "interpolate", "size") for s in each], None
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if isinstance(scale_factor, (tuple, list)) and len(scale_factor) != n:
        raise ValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial dimensions of "
            f"{image} and scale_factor of shape {scale_factor}. Please provide input tensor in (N, C, d1, d2, ...,dK) format and "
            "scale_factor in (s1, s2, ...,sK) format."
        )
    given = list(scale_factor) if isinstance(scale_factor, (tuple, list)) else [scale_factor] * n
    if not all(isinstance(s, (int, float)) and not isinstance(s, bool) for s in given):
        raise TypeError(
            f"interpolate(): argument 'scale_factor' must be float or a tuple of floats, got {scale_factor!r}"
        )
    out = [math.floor(i * s) for i, s in zip(image, given, strict=True)]
    return out, None if recompute else [float(s) for s in given]


@lru_cache(256)
def _table(
    rows: int, out: int, factor: float | None, mode: str, aligned: bool, real: Any, planar: bool
) -> _rs.Table | None:
    """Which rows each row of a resized dimension reads, with weights; None where it stays as it is."""
    if mode in _NEAREST:
        if (
            mode == "nearest" and planar and out in (rows, 2 * rows)
        ):  # for images PyTorch looks at no factor then
            return None if out == rows else _rs.Table((np.arange(out) // 2)[None], None, rows)
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
