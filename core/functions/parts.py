"""Functions that cut a tensor into parts, which are views of it."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from ..tensor import Tensor
from .arguments import one_dim
from .catalogue import public
from .indexing import getitem

__all__ = ["split", "chunk", "narrow", "unbind", "select"]
_builtin_max = builtins.max
_builtin_sum = builtins.sum


@public()
def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    d = one_dim(dim, tensor.ndim)
    n = tensor._array.shape[d]
    if isinstance(split_size_or_sections, int):
        step = split_size_or_sections
        if step <= 0:
            raise RuntimeError(f"split expects split_size be positive, but got split_size={step}")
        sizes = [step] * (n // step) + ([n % step] if n % step or not n else [])
    else:
        sizes = list(split_size_or_sections)
        if _builtin_sum(sizes) != n:
            raise RuntimeError(
                f"split_with_sizes expects split_sizes to sum exactly to {n} (input tensor's size at dimension {d}), but got split_sizes={sizes}"
            )
    result, start = [], 0
    for k in sizes:
        result.append(narrow(tensor, d, start, k))
        start += k
    return tuple(result)


@public()
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input._array.shape[one_dim(dim, input.ndim)]
    return split(input, _builtin_max(-(-n // chunks), 1), dim)


@public()
def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    d = one_dim(dim, input.ndim)
    n = input._array.shape[d]
    first = start + n if start < 0 else start
    if length < 0 or not 0 <= first <= n - length:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return getitem(input, (slice(None),) * d + (slice(first, first + length),))


@public()
def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    return tuple(select(input, dim, i) for i in range(input._array.shape[one_dim(dim, input.ndim)]))


@public()
def select(input: Tensor, dim: int, index: int) -> Tensor:
    return getitem(input, (slice(None),) * one_dim(dim, input.ndim) + (index,))
