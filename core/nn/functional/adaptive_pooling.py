"""Pooling to a given size, whatever the image's: place i of o takes what lies from floor(i n / o) to ceil((i + 1) n / o)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from ...backends import module_of
from ...functions import clone, gather, reshape, squeeze, unsqueeze
from ...functions.catalogue import public
from ...ops import resampling as _rs
from ...ops.registry import apply
from ...tensor import Tensor
from .sizes import in_both, integer, tensor_argument

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices",
]  # fmt: skip


def _target(input: Tensor, output_size: Any, n: int, name: str) -> tuple[Tensor, bool, tuple[int, ...]]:
    """The input as a batch, whether it was a single image, and the size of each dimension (None keeps it)."""
    shape = tensor_argument(input, name)._array.shape
    kind = "avg" if "avg" in name else "max"
    if n == 1 and len(shape) not in (2, 3):
        raise RuntimeError(
            f"Expected 2 to 3 dimensions, but got {len(shape)}-dimensional tensor for argument #1 'self' "
            f"(while checking arguments for {name})"
        )
    if len(shape) not in (n + 1, n + 2):
        raise RuntimeError(
            f"{name}(): Expected {n + 1}D or {n + 2}D tensor, but got{':' if kind == 'max' else ''} {list(shape)}"
        )
    for i, length in enumerate(shape):
        if not length and i >= len(shape) - n - (kind == "max"):
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes {list(shape)} "
                f"with dimension {i} being empty"
            )
    wanted = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
    if len(wanted) != n:
        if n == 1:
            raise RuntimeError(f"{name}() argument 'output_size' should contain one int (got {len(wanted)})")
        if len(wanted) >= len(shape):
            raise ValueError(f"Input dimension should be at least {len(wanted) + 1}")
        raise RuntimeError(f"{name}: output_size must be {n}")
    size = tuple(
        shape[i - n] if w is None and n > 1 else integer(w, name, "output_size") for i, w in enumerate(wanted)
    )
    if min(size) < 0:
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{{{', '.join(map(str, size))}}}"
        )
    single = len(shape) == n + 1
    return (unsqueeze(input, 0) if single else input), single, size


def _bounds(n: int, o: int) -> tuple[Any, Any]:
    at = np.arange(o)
    return at * n // max(o, 1), -(-(at + 1) * n // max(o, 1))


@lru_cache(256)
def _means(rows: int, size: int) -> _rs.Table:
    start, end = _bounds(rows, size)
    at = start + np.arange(int((end - start).max()) if size else 1)[:, None]
    kept = at < end
    return _rs.Table(np.where(kept, at, rows), kept / (end - start), rows)


def _avg(n: int) -> Callable[[Tensor, Any], Tensor]:
    name = f"adaptive_avg_pool{n}d"

    def run(input: Tensor, output_size: Any) -> Tensor:
        x, single, size = _target(input, output_size, n, name)
        if not x.is_floating_point():
            raise NotImplementedError(f"\"{name}\" not implemented for '{x.dtype}'; convert with .float()")
        for d in range(n):  # a mean over a box is the mean over each dimension, one after the other
            rows = x._array.shape[2 + d]
            if size[d] != rows:
                x = apply(_rs.Resample, (x,), (_means(rows, size[d]), 2 + d))
        out = clone(x) if x is input else x
        return squeeze(out, 0) if single else out

    run.__name__ = run.__qualname__ = name
    run.__doc__ = f"Means of (N, C, *{n} sizes) over as many boxes as output_size says."
    return run


def _places_of_largest(x: Any, size: tuple[int, ...]) -> Any:
    """Where in its flattened image the largest value of every box stands: int64 (N, C, count of boxes)."""
    xp, image, n = module_of(x), x.shape[2:], len(size)
    if not x.size or not math.prod(size):
        return xp.zeros((*x.shape[:2], math.prod(size)), np.int64)
    index, flat = [], np.zeros((), np.int64)
    for d in range(n):
        start, end = _bounds(image[d], size[d])
        # Which rows each box takes, its last repeated to make them equally many.
        rows = np.minimum(start[:, None] + np.arange(int((end - start).max())), end[:, None] - 1)
        shape = [1] * (2 * n)
        shape[d], shape[n + d] = rows.shape
        index.append(rows.reshape(shape))
        flat = flat * image[d] + index[-1]
    boxes = x[(slice(None), slice(None), *(xp.asarray(i) for i in index))].reshape(
        *x.shape[:2], math.prod(size), -1
    )
    best = boxes.argmax(axis=-1)
    return xp.asarray(np.ascontiguousarray(flat).reshape(math.prod(size), -1))[
        xp.arange(math.prod(size)), best
    ]


def _max(n: int, with_indices: bool) -> Callable[..., Any]:
    name = f"adaptive_max_pool{n}d"

    def run(input: Tensor, output_size: Any, return_indices: bool = with_indices) -> Any:
        x, single, size = _target(input, output_size, n, name)
        if x._array.dtype.kind in "iub":
            raise NotImplementedError(f"\"{name}\" not implemented for '{x.dtype}'; convert with .float()")
        places = Tensor._wrap(_places_of_largest(x._array, size))
        lead = x._array.shape[:2]
        values = gather(reshape(x, (*lead, math.prod(x._array.shape[2:]))), 2, places)
        results = [reshape(values, (*lead, *size)), reshape(places, (*lead, *size))]
        results = [squeeze(r, 0) if single else r for r in results]
        return tuple(results) if return_indices else results[0]

    run.__name__ = run.__qualname__ = name + "_with_indices" * with_indices
    run.__doc__ = f"Largest values of (N, C, *{n} sizes) over as many boxes as output_size says; return_indices: and their places."
    return run


_nn: dict[str, Any] = {"namespace": "torch.nn.functional", "method": False}
adaptive_avg_pool1d = in_both(_avg(1))
adaptive_avg_pool2d = public(**_nn)(_avg(2))
adaptive_avg_pool3d = public(**_nn)(_avg(3))
adaptive_max_pool1d = public(**_nn)(_max(1, False))
adaptive_max_pool2d = public(**_nn)(_max(2, False))
adaptive_max_pool3d = public(**_nn)(_max(3, False))
adaptive_max_pool1d_with_indices = _max(1, True)
adaptive_max_pool2d_with_indices = _max(2, True)
adaptive_max_pool3d_with_indices = _max(3, True)
