"""Order: sort, topk and their kin."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..tensor import Tensor
from .arguments import one_dim, pair
from .catalogue import public
from .parts import narrow
from .scattering import gather

__all__ = ["sort", "argsort", "topk"]


@public(out=True)
def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Values in order and where they came from; equal elements keep their order."""
    d = one_dim(dim, input.ndim)
    a = input._array
    xp = module_of(a)
    if descending:
        back = xp.flip(a, axis=d)
        order = a.shape[d] - 1 - xp.flip(xp.argsort(back, axis=d, kind="stable"), axis=d)
    else:
        order = xp.argsort(a, axis=d, kind="stable")
    indices = Tensor._wrap(order)
    return pair("sort", gather(input, d, indices), indices)


@public(out=True)
def argsort(input: Tensor, dim: int = -1, descending: bool = False) -> Tensor:
    return sort(input.detach(), dim, descending).indices  # type: ignore[no-any-return]


@public(out=True)
def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True) -> Any:
    if not 0 <= k <= input._array.shape[one_dim(dim, input.ndim)]:
        raise RuntimeError("selected index k out of range")
    values, indices = sort(input, dim, descending=largest)
    return pair("topk", narrow(values, dim, 0, k), narrow(indices, dim, 0, k))
