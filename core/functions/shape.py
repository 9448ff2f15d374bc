"""Functions that rearrange a tensor: views where the layout permits."""

from __future__ import annotations

import builtins
from typing import Any

from ..backends import module_of
from ..ops import pointwise as _pw
from ..ops import shape as _sh
from ..ops.registry import apply
from ..tensor import Tensor
from .arguments import Dims, all_dims, count_of, one_dim, shape_args
from .arithmetic import where
from .catalogue import public

__all__ = [
    "reshape",
    "flatten",
    "ravel",
    "permute",
    "transpose",
    "t",
    "squeeze",
    "unsqueeze",
    "clone",
    "tril",
    "triu",
]
_builtin_all = builtins.all
_builtin_any = builtins.any
_builtin_sum = builtins.sum


def _is_sized_right(size: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    known = 1
    for n in shape:
        known *= n if n != -1 else 1
    if shape.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if -1 in shape and (not known or size % known):
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    full = tuple(size // known if n == -1 else n for n in shape)
    total = 1
    for n in full:
        total *= n
    if total != size or _builtin_sum(n < 0 for n in full):
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    return full


@public()
def reshape(input: Tensor, *shape: Any) -> Tensor:
    return apply(_sh.Reshape, (input,), (_is_sized_right(input._array.size, shape_args(shape)),))


@public(function=False)
def view(input: Tensor, *shape: Any) -> Tensor:
    """reshape that never copies; raises RuntimeError where the layout would need a copy."""
    full = _is_sized_right(input._array.size, shape_args(shape))
    out = apply(_sh.Reshape, (input,), (full,))
    a = input._array
    if not a.flags.c_contiguous and a.size and not module_of(a).may_share_memory(a, out._array):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return out


@public(function=False)
def view_as(input: Tensor, other: Tensor) -> Tensor:
    return view(input, *other.shape)


@public()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    shape = input._array.shape or (1,)
    start, end = one_dim(start_dim, len(shape)), one_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    return reshape(input, (*shape[:start], count_of(shape[start : end + 1]), *shape[end + 1 :]))


@public()
def ravel(input: Tensor) -> Tensor:
    return reshape(input, -1)


@public()
def permute(input: Tensor, *dims: Any) -> Tensor:
    order = tuple(one_dim(d, input.ndim) for d in shape_args(dims))
    if sorted(order) != list(range(input.ndim)):
        raise RuntimeError(f"permute: expected each of {input.ndim} dimensions once, got {shape_args(dims)}")
    return apply(_sh.Permute, (input,), (order,))


@public()
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    order = list(range(input.ndim))
    if not order:
        return input
    d0, d1 = one_dim(dim0, input.ndim), one_dim(dim1, input.ndim)
    order[d0], order[d1] = order[d1], order[d0]
    return apply(_sh.Permute, (input,), (tuple(order),))


@public()
def t(input: Tensor) -> Tensor:
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return apply(_sh.SwapLast, (input,)) if input.ndim == 2 else input


@public()
def squeeze(input: Tensor, dim: Dims = None) -> Tensor:
    shape = input._array.shape
    dims = all_dims(dim, len(shape)) if dim is not None else tuple(range(len(shape)))
    return apply(_sh.Reshape, (input,), (tuple(n for i, n in enumerate(shape) if n != 1 or i not in dims),))


@public()
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    shape = input._array.shape
    d = one_dim(dim, len(shape) + 1)
    return apply(_sh.Reshape, (input,), ((*shape[:d], 1, *shape[d:]),))


@public(function=False)
def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Repeats dimensions of size 1 without copying; -1 keeps a size."""
    wanted, own = shape_args(sizes), input._array.shape
    lead = len(wanted) - len(own)
    shape = tuple(own[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(wanted))
    if (
        lead < 0
        or _builtin_any(n < -1 for n in wanted)
        or not _builtin_all(s in (1, n) for s, n in zip(own, shape[lead:], strict=True))
        or -1 in shape
    ):
        raise RuntimeError(f"expand: shape {list(own)} does not expand to {list(wanted)}")
    return apply(_sh.Expand, (input,), (shape,))


@public(function=False)
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    return expand(input, other.shape)


@public(function=False)
def contiguous(input: Tensor) -> Tensor:
    return input if input._array.flags.c_contiguous else apply(_sh.Contiguous, (input,))


@public()
def clone(input: Tensor) -> Tensor:
    return apply(_pw.Clone, (input,))


@public(function=False)
def repeat(input: Tensor, *sizes: Any) -> Tensor:
    """Tiles the tensor, copying."""
    counts = shape_args(sizes)
    own = (1,) * (len(counts) - input.ndim) + tuple(input._array.shape)
    if len(counts) < input.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    doubled = reshape(input, [k for n in own for k in (1, n)])
    wide = expand(doubled, [k for c, n in zip(counts, own, strict=True) for k in (c, n)])
    return reshape(wide, [c * n for c, n in zip(counts, own, strict=True)])


@public(in_place=True, out=True)
def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix (or batch of matrices) with zeros above the diagonal."""
    return _triangle(input, diagonal, "tril")


@public(in_place=True, out=True)
def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix (or batch of matrices) with zeros below the diagonal."""
    return _triangle(input, diagonal, "triu")


def _triangle(input: Tensor, diagonal: int, name: str) -> Tensor:
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input tensor must have at least 2 dimensions")
    xp = module_of(input._array)
    whole = xp.ones(input._array.shape[-2:], bool)
    kept = xp.tril(whole, diagonal) if name == "tril" else xp.triu(whole, diagonal)
    zero = Tensor._wrap(xp.zeros((), input._array.dtype))
    return where(Tensor._wrap(kept), input, zero)  # not a product: 0 * inf is NaN
