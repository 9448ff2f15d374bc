"""Images sampled at given places: grid_sample, and grids of affine maps."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...backends import module_of, to_device
from ...functions import clamp, floor, matmul, reshape, where
from ...functions.catalogue import public
from ...functions.indexing import getitem
from ...tensor import Tensor
from .arguments import in_full
from .resampling import cubic
from .sizes import integer, tensor_argument

__all__ = ["affine_grid", "grid_sample"]


def _corners(align_corners: bool | None, name: str) -> bool:
    if align_corners is None:
        warnings.warn(
            f"Default {name} and affine_grid behavior has changed to align_corners=False since 1.3.0. Please specify "
            "align_corners=True if the old behavior is desired.",
            stacklevel=3,
        )
    return bool(align_corners)


@public(namespace="torch.nn.functional", method=False)
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """Where the pixels of an image of `size` (N, C, *sizes) come from under theta (N, n, n + 1): (N, *sizes, n), in [-1, 1]."""
    aligned = _corners(align_corners, "grid_sample")
    tensor_argument(theta, "affine_grid", "theta")
    size = [integer(s, "affine_grid", "size") for s in size]
    n, shown = len(size) - 2, tuple(size)
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    if n not in (2, 3) or theta.ndim != 3 or tuple(theta.shape[1:]) != (n, n + 1):
        if n not in (2, 3):
            raise NotImplementedError(
                f"affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. Got size {shown}."
            )
        raise ValueError(
            f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {shown}. Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {shown}")
    if theta._array.shape[0] != size[0]:
        raise RuntimeError(
            f"Expected size for first dimension of theta to be: {size[0]} but got: {theta._array.shape[0]}."
        )
    axes = []
    for count in size[2:]:
        line = np.linspace(-1, 1, count) if count > 1 else np.zeros(1)
        axes.append(line if aligned else line * (count - 1) / count)
    mesh = np.meshgrid(*axes, indexing="ij")
    base = np.stack([*(m.ravel() for m in reversed(mesh)), np.ones(mesh[0].size)], axis=1)
    points = Tensor._wrap(to_device(base.astype(theta._array.dtype), theta.device))
    return reshape(matmul(points, theta.transpose(1, 2)), int(size[0]), *map(int, size[2:]), n)


@public(namespace="torch.nn.functional", method=False)
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """input (N, C, *sizes) at the places of grid (N, *out, n), in [-1, 1] from end to end, last dimension first: (N, C, *out).

    mode: bilinear, nearest, bicubic (2 sizes); padding_mode: what lies beyond, zeros, border or reflection.
    """
    tensor_argument(input, "grid_sampler")
    tensor_argument(grid, "grid_sampler", "grid")
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', but got: "
            f"'{padding_mode}'"
        )
    aligned = _corners(align_corners, "grid_sample")
    n, shape, places_shape = input.ndim - 2, list(input.shape), list(grid.shape)
    both = f"but got input with sizes {shape} and grid with sizes {places_shape}"
    if input.dtype is not grid.dtype:
        raise RuntimeError(
            f"grid_sampler(): expected input and grid to have same dtype, but input has {input.dtype} and grid has {grid.dtype}"
        )
    if not input.is_floating_point():
        raise NotImplementedError(
            f'"grid_sampler" not implemented for {input.dtype}; convert with .float() first'
        )
    if shape[:1] != places_shape[:1]:
        raise RuntimeError(f"grid_sampler(): expected grid and input to have same batch size, {both}")
    if not grid.ndim or places_shape[-1] != n:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {n} in last dimension, but got grid with sizes {places_shape}"
        )
    if n not in (2, 3) or grid.ndim != input.ndim:
        raise RuntimeError(
            f"grid_sampler(): expected {'4D' if n == 2 else '5D'} input and grid with same number of dimensions, {both}"
        )
    for i, size in enumerate(shape):
        if i > 1 and not size:
            raise RuntimeError(
                f"grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes {shape} with "
                f"dimension {i} being empty"
            )
    if mode == "bicubic" and n != 2:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    return in_full(lambda x, at: _sampled(x, at, mode, padding_mode, aligned), input, grid)


def _sampled(input: Tensor, grid: Tensor, mode: str, padding_mode: str, aligned: bool) -> Tensor:
    sizes = tuple(input._array.shape[2:])
    n, places = len(sizes), []
    for d, size in enumerate(sizes):
        at = grid[..., n - 1 - d]
        at = (at + 1) / 2 * (size - 1) if aligned else ((at + 1) * size - 1) / 2
        places.append(at if mode == "bicubic" else _within(at, size, padding_mode, aligned))
    if mode == "nearest":
        whole = [Tensor._wrap(module_of(p._array).rint(p._array)) for p in places]
        return _pixels(input, whole, padding_mode, aligned)
    lower = [floor(p.detach()) for p in places]
    shares = [p - low for p, low in zip(places, lower, strict=True)]
    per_dim: list[list[tuple[int, Any]]] = [
        [(k - 1, w) for k, w in enumerate(cubic(t))] if mode == "bicubic" else [(0, 1 - t), (1, t)]
        for t in shares
    ]
    total = None
    for corner in itertools.product(*per_dim):
        weight: Any = None
        for _, w in corner:
            weight = w if weight is None else weight * w
        pixel = [low + step for low, (step, _) in zip(lower, corner, strict=True)]
        part = _pixels(input, pixel, padding_mode, aligned) * weight.unsqueeze(1)
        total = part if total is None else total + part
    return total  # type: ignore[return-value]


def _within(at: Tensor, size: int, padding_mode: str, aligned: bool) -> Tensor:
    """A place beyond the image where padding_mode takes it. At the ends themselves no gradient flows, as in PyTorch."""
    if padding_mode == "border":
        return _clipped(at, size)
    if padding_mode == "reflection":
        low, span = (0.0, float(size - 1)) if aligned else (-0.5, float(size))
        if span == 0:
            return at * 0
        distance = at - low
        away = where(distance.detach() < 0, -distance, distance)
        flips = floor(away.detach() / span)
        rest = away - flips * span
        odd = flips - floor(flips / 2) * 2
        return _clipped(where(odd == 0, rest + low, span - rest + low), size)
    return at


def _clipped(at: Tensor, size: int) -> Tensor:
    fixed = at.detach()
    return where((fixed > 0) & (fixed < size - 1), at, clamp(fixed, 0, size - 1))


def _pixels(input: Tensor, at: list[Tensor], padding_mode: str, aligned: bool) -> Tensor:
    """Pixels (N, C, *out) at whole places (N, *out) of each dimension; 0 for those beyond the image that are not taken back."""
    sizes = tuple(input._array.shape[2:])
    inside: Any = None
    index = []
    for place, size in zip(at, sizes, strict=True):
        p = _within(place.detach(), size, padding_mode, aligned)
        ok = (p >= 0) & (p <= size - 1)
        inside = ok if inside is None else inside & ok
        index.append(clamp(where(ok, p, 0.0), 0, size - 1).long())
    batch = Tensor._wrap(
        to_device(np.arange(input._array.shape[0]).reshape(-1, *(1,) * len(sizes)), input.device)
    )
    found = getitem(input.movedim(1, -1), (batch, *index)).movedim(-1, 1)
    return where(inside.unsqueeze(1), found, 0.0)
