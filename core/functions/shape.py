"""Functions that give a tensor another shape or order of dimensions: views where the layout permits."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from ..backends import module_of
from ..dtypes import dtype as DType
from ..layouts import contiguous_format, is_in_format, preserve_format
from ..ops import pointwise as _pw
from ..ops import shape as _sh
from ..ops.registry import apply
from ..ops.shape import InFormat
from ..tensor import Size, Tensor
from .arguments import Dims, all_dims, count_of, one_dim, shape_args, spelled, whole_number
from .catalogue import public

__all__ = [
    "adjoint", "broadcast_shapes", "broadcast_to", "clone", "flatten", "movedim", "permute", "ravel", "reshape",
    "squeeze", "swapaxes", "swapdims", "t", "transpose", "unflatten", "unsqueeze",
]  # fmt: skip
_builtin_all = builtins.all
_builtin_any = builtins.any
_builtin_sum = builtins.sum


def _is_sized_right(size: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    known = 1
    for n in shape:
        known *= n if n != -1 else 1
    if shape.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if -1 in shape and not known:
        if not size:
            raise RuntimeError(
                f"cannot reshape tensor of 0 elements into shape {list(shape)} because the unspecified dimension size -1 "
                "can be any value and is ambiguous"
            )
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    if -1 in shape and size % known:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    full = tuple(size // known if n == -1 else n for n in shape)
    total = 1
    for n in full:
        total *= n
    if _builtin_any(n < -1 for n in shape):
        raise RuntimeError(
            f"invalid shape dimension {min(shape)} at index {shape.index(min(shape))} of shape {list(shape)}"
        )
    if total != size or _builtin_sum(n < 0 for n in full):
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {size}")
    return full


@public()
def reshape(input: Tensor, *shape: Any, **named: Any) -> Tensor:
    return apply(
        _sh.Reshape, (input,), (_is_sized_right(input._array.size, shape_args(shape, named, "shape")),)
    )


@public(function=False)
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    return reshape(input, other.shape)


@public(function=False)
def view(input: Tensor, *shape: Any, **named: Any) -> Tensor:
    """reshape that never copies; raises RuntimeError where the layout would need a copy. view(dtype) reads the same bytes
    as another dtype, without a gradient."""
    if len(shape) == 1 and isinstance(shape[0], DType):
        return _bits(input, shape[0])
    if isinstance(named.get("dtype"), DType) and not shape and len(named) == 1:
        return _bits(input, named["dtype"])
    full = _is_sized_right(input._array.size, shape_args(shape, named, "size"))
    out = apply(_sh.Reshape, (input,), (full,))
    a = input._array
    if not a.flags.c_contiguous and a.size and not module_of(a).may_share_memory(a, out._array):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return out


def _bits(input: Tensor, to: DType) -> Tensor:
    a = input._array
    if input.dtype is to:
        return reshape(input, a.shape)
    old, new = a.itemsize, to.itemsize
    if old != new:
        if not a.ndim:
            raise RuntimeError(
                f"self.dim() cannot be 0 to view {spelled(input.dtype)} as {spelled(to)} (different element sizes)"
            )
        if a.strides[-1] != old and a.shape[-1] != 1:
            raise RuntimeError(
                f"self.stride(-1) must be 1 to view {spelled(input.dtype)} as {spelled(to)} (different element sizes), "
                f"but got {a.strides[-1] // old}"
            )
        if a.shape[-1] * old % new:
            raise RuntimeError(
                f"self.size(-1) must be divisible by {new // old} to view {spelled(input.dtype)} as {spelled(to)} (different element "
                f"sizes), but got {a.shape[-1]}"
            )
        if new > old and _builtin_any(s % new for s in a.strides[:-1]):
            raise RuntimeError(
                f"self.stride must be divisible by {new // old} to view {spelled(input.dtype)} as {spelled(to)} (different element sizes)"
            )
    return Tensor._wrap(a.view(to.numpy))


@public(function=False)
def view_as(input: Tensor, other: Tensor) -> Tensor:
    return view(input, *other.shape)


@public()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    shape = input._array.shape or (1,)
    start, end = one_dim(start_dim, len(shape)), one_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if start == end and input.ndim:
        return input
    return reshape(input, (*shape[:start], count_of(shape[start : end + 1]), *shape[end + 1 :]))


@public()
def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Dimension `dim` divided into several; one of `sizes` may be -1."""
    if not isinstance(dim, int) or not isinstance(sizes, (tuple, list)):
        raise TypeError("unflatten(): expected an int as 'dim' and a tuple of ints as 'sizes'")
    if not input.ndim:
        raise RuntimeError("unflatten: Dimension specified as 0 but tensor has no dimensions")
    d = one_dim(dim, input.ndim)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    shape = input._array.shape
    try:
        full = _is_sized_right(shape[d], tuple(sizes))
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {d} ({shape[d]}) in the input tensor"
        ) from None
    return view(input, (*shape[:d], *full, *shape[d + 1 :]))


@public()
def ravel(input: Tensor) -> Tensor:
    return reshape(input, -1)


@public()
def permute(input: Tensor, *dims: Any, **named: Any) -> Tensor:
    given = shape_args(dims, named, "dims")
    if len(given) != input.ndim:
        raise RuntimeError(
            "permute: number of dimensions in the tensor input does not match the length of the desired ordering of "
            f"dimensions i.e. input.dim() = {input.ndim} is not equal to len(dims) = {len(given)}"
        )
    order = tuple(one_dim(d, input.ndim) for d in given)
    if len(set(order)) != len(order):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return apply(_sh.Permute, (input,), (order,))


@public()
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    order = list(range(input.ndim))
    d0, d1 = (one_dim(whole_number(d, "dim"), input.ndim) for d in (dim0, dim1))
    if order:
        order[d0], order[d1] = order[d1], order[d0]
    return apply(_sh.Permute, (input,), (tuple(order), "Transpose"))


@public()
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    return transpose(input, axis0, axis1)


@public()
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    return transpose(input, dim0, dim1)


@public(alias="moveaxis")
def movedim(input: Tensor, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """The dimensions `source` at the places `destination`, the others in their order around them."""
    ends = [(x,) if isinstance(x, int) else tuple(x) for x in (source, destination)]
    if len(ends[0]) != len(ends[1]):
        raise RuntimeError(
            "movedim: Invalid source or destination dims: source "
            f"({list(ends[0])} dims) should contain the same number of dims as destination ({list(ends[1])} dims)"
        )
    come, go = ([one_dim(d, input.ndim) for d in end] for end in ends)
    for name, dims in (("source", come), ("destination", go)):
        if len(set(dims)) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({dims})")
    if not input.ndim:
        return reshape(input, ())
    rest = iter(d for d in range(input.ndim) if d not in come)
    placed = dict(zip(go, come, strict=True))
    order = tuple(placed[i] if i in placed else next(rest) for i in range(input.ndim))
    return apply(_sh.Permute, (input,), (order,))


@public()
def t(input: Tensor) -> Tensor:
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return (
        apply(_sh.SwapLast, (input,)) if input.ndim == 2 else apply(_sh.Reshape, (input,), (input._array.shape,))
    )  # fmt: skip


@public()
def adjoint(input: Tensor) -> Tensor:
    """The matrices transposed (there are no complex numbers to conjugate)."""
    return matrices_turned(input, "adjoint()")


def matrices_turned(input: Tensor, name: str) -> Tensor:
    """The transpose of the last two dimensions, for the properties mT, mH and H, and adjoint."""
    if input.ndim < 2:
        raise RuntimeError(
            f"tensor.{name} is only supported on matrices or batches of matrices. Got {input.ndim}-D tensor."
        )
    return apply(_sh.SwapLast, (input,))


@public()
def squeeze(input: Tensor, dim: Dims = None) -> Tensor:
    shape = input._array.shape
    dims = tuple(range(len(shape))) if dim is None else all_dims(dim, len(shape))
    kept = tuple(n for i, n in enumerate(shape) if n != 1 or i not in dims)
    return apply(_sh.Reshape, (input,), (kept, "Squeeze"))


@public()
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    shape = input._array.shape
    d = one_dim(whole_number(dim, "dim"), len(shape) + 1)
    return apply(_sh.Reshape, (input,), ((*shape[:d], 1, *shape[d:]), "Unsqueeze"))


@public(function=False)
def expand(input: Tensor, *sizes: Any, **named: Any) -> Tensor:
    """Repeats dimensions of size 1 without copying; -1 keeps a size."""
    wanted, own = shape_args(sizes, named, "size"), input._array.shape
    lead = len(wanted) - len(own)
    if lead < 0:
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(wanted)}) must be greater or equal to the number of dimensions "
            f"in the tensor ({len(own)})"
        )
    shape = tuple(own[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(wanted))
    for i, n in enumerate(shape):
        if n < 0:
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) isn't allowed in a leading, non-existing dimension {i}"
            )
        if i >= lead and own[i - lead] not in (1, n):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({own[i - lead]}) at non-singleton "
                f"dimension {i}.  Target sizes: {list(wanted)}.  Tensor sizes: {list(own)}"
            )
    return apply(_sh.Expand, (input,), (shape,))


@public(function=False)
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    return expand(input, other.shape)


@public()
def broadcast_to(input: Tensor, size: Sequence[int]) -> Tensor:
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"broadcast_to(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    return expand(input, size)


@public(method=False)
def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of these shapes broadcast to; an int stands for one dimension."""
    each = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    result = [1] * builtins.max([len(s) for s in each], default=0)
    for at, shape in enumerate(each):
        for i in range(-1, -len(shape) - 1, -1):
            n = shape[i]
            if n < 0:
                raise ValueError(f"Attempting to broadcast a dimension with negative length! ({shape})")
            if n == 1 or n == result[i]:
                continue
            if result[i] != 1:
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {n} at {i}! Mismatching argument at index {at} had "
                    f"{shape}; but expected shape should be broadcastable to {result}"
                )
            result[i] = n
    return Size(result)


@public(function=False)
def contiguous(input: Tensor, memory_format: Any = contiguous_format) -> Tensor:
    """This tensor where its elements lie in memory as memory_format has them, else a copy of which that is true."""
    if memory_format is not contiguous_format:
        return (
            input
            if is_in_format(input._array, memory_format)
            else apply(InFormat, (input,), (memory_format,))
        )
    return input if input._array.flags.c_contiguous else apply(_sh.Contiguous, (input,))


@public()
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy, whose elements lie in memory as those of `input` do unless memory_format says otherwise."""
    if memory_format is not None and memory_format is not preserve_format:
        return apply(InFormat, (input,), (memory_format,))
    return apply(_pw.Clone, (input,))
