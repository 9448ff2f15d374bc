"""The functions of the `torch` namespace that act on tensors, and the Tensor methods made from them.

Each one checks and completes the user's arguments and applies operations from `ops`. At the end of the file the
methods, operators and in-place forms are attached to Tensor from one table.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .backends import module_of
from .dtypes import dtype as DType
from .dtypes import from_numpy_dtype, int64, resolve
from .ops import activation as _act
from .ops import indexing as _ix
from .ops import matrix as _mx
from .ops import pointwise as _pw
from .ops import reduction as _rd
from .ops import shape as _sh
from .ops.registry import apply, as_tensor, binary, cast_inputs, operator
from .tensor import Size, Tensor, in_place
from .versions import note_change

_builtin_sum, _builtin_any, _builtin_all = builtins.sum, builtins.any, builtins.all
_builtin_max, _builtin_round = builtins.max, builtins.round
Dims = int | Sequence[int] | None


class _ValuesIndices(NamedTuple):
    """What max, min, sort and topk return."""

    values: Tensor
    indices: Tensor

    def __repr__(self) -> str:
        return (
            f"torch.return_types.{type(self).__name__}(\nvalues={self.values!r},\nindices={self.indices!r})"
        )


_PAIRS: dict[str, Any] = {
    n: type(n, (_ValuesIndices,), {"__slots__": ()}) for n in ("max", "min", "sort", "topk")
}


def _dim(dim: int, ndim: int) -> int:
    n = _builtin_max(ndim, 1)
    if not -n <= dim < n:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})"
        )
    return dim % n


def _dims(dim: Dims, ndim: int) -> tuple[int, ...]:
    """Non-negative dimensions; None and () mean all."""
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(ndim))
    if isinstance(dim, int):
        d = _dim(dim, ndim)
        return (d,) if ndim else ()
    result = tuple(_dim(d, ndim) for d in dim)
    if len(set(result)) != len(result):
        raise RuntimeError(f"dim {list(dim)} appears multiple times in the list of dims")
    return result if ndim else ()


def _shape_args(args: tuple[Any, ...]) -> tuple[int, ...]:
    """view(2, 3), view((2, 3)) and view(Size) alike."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    return tuple(a.__index__() for a in args)


# Arithmetic


_add, _sub, _mul, _div = (
    operator(_pw.Add),
    operator(_pw.Sub, _pw.refuse_bools),
    operator(_pw.Mul),
    operator(_pw.Div),
)


def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    return _add(input, other if alpha == 1 else mul(other, alpha))


def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    return _sub(input, other if alpha == 1 else mul(other, alpha))


def mul(input: Any, other: Any) -> Tensor:
    return _mul(input, other)


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    if rounding_mode is None:
        return _div(input, other)
    if rounding_mode == "floor":
        return binary(_pw.DivFloor, input, other)
    raise RuntimeError(f"div: rounding_mode None or 'floor' is supported, got {rounding_mode!r}")


def pow(input: Any, exponent: Any) -> Tensor:
    return binary(_pw.Pow, input, exponent)


def _plain(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Tensor]:
    """An elementwise function without a gradient, of tensors or numbers."""

    class Plain(_pw.Add):
        __slots__ = ()

        @staticmethod
        def forward(a: Any, b: Any) -> Any:
            return function(a, b)

    def run(input: Any, other: Any) -> Tensor:
        return binary(Plain, input, other).detach()

    return run


eq = _plain(lambda a, b: a == b)
ne = _plain(lambda a, b: a != b)
lt = _plain(lambda a, b: a < b)
le = _plain(lambda a, b: a <= b)
gt = _plain(lambda a, b: a > b)
ge = _plain(lambda a, b: a >= b)
bitwise_and = _plain(lambda a, b: a & b)
bitwise_or = _plain(lambda a, b: a | b)
bitwise_xor = _plain(lambda a, b: a ^ b)


def floor_divide(input: Any, other: Any) -> Tensor:
    """The quotient rounded down; not differentiable."""
    return binary(_pw.FloorDivide, input, other)


def remainder(input: Any, other: Any) -> Tensor:
    """What is left after division, with the sign of the divisor."""
    return binary(_pw.Remainder, input, other)


def logical_and(input: Tensor, other: Tensor) -> Tensor:
    return Tensor._wrap((input._array != 0) & (other._array != 0))


def logical_or(input: Tensor, other: Tensor) -> Tensor:
    return Tensor._wrap((input._array != 0) | (other._array != 0))


def logical_not(input: Tensor) -> Tensor:
    return Tensor._wrap(input._array == 0)


def bitwise_not(input: Tensor) -> Tensor:
    if input._array.dtype.kind == "f":
        raise RuntimeError(f"bitwise_not: expected an integer or bool tensor, got {input.dtype}")
    return Tensor._wrap(~input._array)


def isnan(input: Tensor) -> Tensor:
    return Tensor._wrap(input._array != input._array)


def isfinite(input: Tensor) -> Tensor:
    return Tensor._wrap(module_of(input._array).isfinite(input._array))


def isinf(input: Tensor) -> Tensor:
    return Tensor._wrap(module_of(input._array).isinf(input._array))


def equal(input: Tensor, other: Tensor) -> bool:
    """Same shape and same values."""
    return input._array.shape == other._array.shape and bool((input._array == other._array).all())


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    xp = module_of(input._array)
    return bool(xp.allclose(input._array, other._array, rtol=rtol, atol=atol, equal_nan=equal_nan))


def _unary(op: type[Any]) -> Callable[[Tensor], Tensor]:
    def run(input: Tensor) -> Tensor:
        return apply(op, (as_tensor(input),))

    return run


neg, exp, expm1, log, log1p = (
    _unary(_pw.Neg),
    _unary(_pw.Exp),
    _unary(_pw.Expm1),
    _unary(_pw.Log),
    _unary(_pw.Log1p),
)
sqrt, sin, cos, tanh, abs = (
    _unary(_pw.Sqrt),
    _unary(_pw.Sin),
    _unary(_pw.Cos),
    _unary(_pw.Tanh),
    _unary(_pw.Abs),
)
sign, floor, ceil, round = _unary(_pw.Sign), _unary(_pw.Floor), _unary(_pw.Ceil), _unary(_pw.Round)
relu, sigmoid, erf = _unary(_act.Relu), _unary(_act.Sigmoid), _unary(_act.Erf)


def square(input: Tensor) -> Tensor:
    return pow(input, 2)


def rsqrt(input: Tensor) -> Tensor:
    return div(1.0, sqrt(input))


def reciprocal(input: Tensor) -> Tensor:
    return div(1.0, input)


def where(condition: Tensor, input: Any, other: Any) -> Tensor:
    """`input` where `condition`, else `other`; the three broadcast."""
    a, b = _beside(input, condition), _beside(other, condition)
    if condition._array.dtype != np.bool_:
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
        )
    to = _common_dtype([input, other])
    return apply(_pw.Where, (condition, cast_inputs(a, to), cast_inputs(b, to)))


def _beside(x: Any, t: Tensor) -> Tensor:
    """`x` as a tensor on `t`'s device where it is a number or a 0-d tensor, which go anywhere; else itself."""
    if isinstance(x, Tensor) and x.ndim:
        return x
    return as_tensor(x).to(t.device)


def _common_dtype(items: Sequence[Any]) -> DType:
    tensors_ = [t for t in items if isinstance(t, Tensor)]
    return resolve(
        [t.dtype for t in tensors_ if t._array.ndim],
        [t.dtype for t in tensors_ if not t._array.ndim],
        [t for t in items if not isinstance(t, Tensor)],
    )


def maximum(input: Tensor, other: Tensor) -> Tensor:
    to = _common_dtype([input, other])
    return apply(_pw.Maximum, (cast_inputs(input, to), cast_inputs(other, to)))


def minimum(input: Tensor, other: Tensor) -> Tensor:
    to = _common_dtype([input, other])
    return apply(_pw.Minimum, (cast_inputs(input, to), cast_inputs(other, to)))


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        result = input if min is None else maximum(input, as_tensor(min))
        return result if max is None else minimum(result, as_tensor(max))
    to = _common_dtype([input, *(x for x in (min, max) if x is not None)])
    return apply(_pw.Clamp, (cast_inputs(input, to),), (min, max))


# Reductions


def _reduced(op: type[Any], input: Tensor, dim: Dims, keepdim: bool, dtype: DType | None = None) -> Tensor:
    t = cast_inputs(input, dtype) if dtype is not None else input
    shape = t._array.shape
    return apply(op, (t,), (_dims(dim, len(shape)), keepdim, shape))


def sum(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """Sum over `dim` (all where None). Integers and bools are summed as int64."""
    if dtype is None and input._array.dtype.kind != "f":
        dtype = int64
    return _reduced(_rd.Sum, input, dim, keepdim, dtype)


def mean(input: Tensor, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    if dtype is None and input._array.dtype.kind != "f":
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. "
            f"Got: {input.dtype}"
        )
    return _reduced(_rd.Mean, input, dim, keepdim, dtype)


def var(
    input: Tensor,
    dim: Dims = None,
    *,
    correction: int = 1,
    unbiased: bool | None = None,
    keepdim: bool = False,
) -> Tensor:
    """Variance over `dim`, divided by N - correction."""
    if unbiased is not None:
        correction = int(unbiased)
    dims = _dims(dim, input.ndim)
    n = 1
    for d in dims:
        n *= input._array.shape[d]
    centered = input - mean(input, dim, True)
    total = sum(centered * centered, dim, keepdim)
    return total / (n - correction) if n > correction else total * float("nan")


def std(
    input: Tensor,
    dim: Dims = None,
    *,
    correction: int = 1,
    unbiased: bool | None = None,
    keepdim: bool = False,
) -> Tensor:
    return _root(var(input, dim, correction=correction, unbiased=unbiased, keepdim=keepdim), 0.5)


def _root(x: Tensor, exponent: float) -> Tensor:
    """x ** exponent, with gradient 0 where x is 0: what PyTorch's norm and std have there instead of NaN."""
    if not x._requires_grad:
        return sqrt(x) if exponent == 0.5 else x**exponent
    zero = x == 0
    safe = where(zero, 1.0, x)
    return where(zero, 0.0, sqrt(safe) if exponent == 0.5 else safe**exponent)


def amax(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    _not_empty(input, dim, "amax")
    return _reduced(_rd.Amax, input, dim, keepdim)


def amin(input: Tensor, dim: Dims = (), keepdim: bool = False) -> Tensor:
    _not_empty(input, dim, "amin")
    return _reduced(_rd.Amin, input, dim, keepdim)


def _not_empty(input: Tensor, dim: Dims, name: str) -> None:
    shape = input._array.shape
    if not _builtin_all(shape[d] for d in _dims(dim, len(shape))):
        if dim is None or dim == ():
            raise RuntimeError(f"{name}(): Expected reduction dim to be specified for input.numel() == 0.")
        raise IndexError(f"{name}(): Expected reduction dim {dim} to have non-zero size.")


def _position(input: Tensor, dim: int | None, keepdim: bool, name: str) -> Tensor:
    _not_empty(input, dim, name)
    a = input._array
    if a.dtype.kind == "b":
        raise RuntimeError(f"{name}(): does not support bool input")
    flat = dim is None or not a.ndim
    d = 0 if flat else _dim(dim, a.ndim)  # type: ignore[arg-type]
    row = a.reshape(-1) if flat else a
    out = row.argmax(axis=d) if name == "argmax" else row.argmin(axis=d)
    out = module_of(a).asarray(out)
    if keepdim:
        out = out.reshape((1,) * a.ndim if flat else (*a.shape[:d], 1, *a.shape[d + 1 :]))
    return Tensor._wrap(out.astype(np.int64))


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the first maximum; without `dim`, in the flattened tensor."""
    return _position(input, dim, keepdim, "argmax")


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Index of the first minimum; without `dim`, in the flattened tensor."""
    return _position(input, dim, keepdim, "argmin")


def _extreme(input: Tensor, dim: Any, keepdim: bool, name: str) -> Any:
    pick, pairwise = (argmax, maximum) if name == "max" else (argmin, minimum)
    if isinstance(dim, Tensor):
        return pairwise(input, dim)
    if dim is None:
        return (amax if name == "max" else amin)(input)
    indices = pick(input, dim, True)
    values = gather(input, dim, indices)
    if not keepdim:
        indices, values = squeeze(indices, dim), squeeze(values, dim)
    return _PAIRS[name](values, indices)


def max(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """max(t) is the largest element; max(t, dim) a pair (values, indices); max(t, other) elementwise."""
    return _extreme(input, dim, keepdim, "max")


def min(input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """min(t) is the smallest element; min(t, dim) a pair (values, indices); min(t, other) elementwise."""
    return _extreme(input, dim, keepdim, "min")


def all(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    return _truth(input, (input._array != 0).all(axis=_dims(dim, input.ndim), keepdims=keepdim))


def any(input: Tensor, dim: Dims = None, keepdim: bool = False) -> Tensor:
    return _truth(input, (input._array != 0).any(axis=_dims(dim, input.ndim), keepdims=keepdim))


def _truth(input: Tensor, found: Any) -> Tensor:
    """all and any of bytes are bytes in PyTorch, of everything else bools."""
    return Tensor._wrap(found.astype(np.uint8) if input._array.dtype == np.uint8 else found)


def logsumexp(input: Tensor, dim: Dims, keepdim: bool = False) -> Tensor:
    top = amax(input, dim, True).detach()
    top = where(isfinite(top), top, 0.0)
    result = log(sum(exp(input - top), dim, True)) + top
    return result if keepdim else squeeze(result, dim)


def norm(input: Tensor, p: Any = 2, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """The p-norm of the elements (p > 0 or inf; "fro" is 2)."""
    _needs_float(input, "norm")
    if p in ("fro", 2):
        return _root(sum(input * input, dim, keepdim), 0.5)
    if p == float("inf"):
        return amax(abs(input), () if dim is None else dim, keepdim)
    if isinstance(p, (int, float)) and p > 0:
        return sum(abs(input), dim, keepdim) if p == 1 else _root(sum(abs(input) ** p, dim, keepdim), 1.0 / p)
    raise RuntimeError(f"norm: p > 0, inf or 'fro' is supported, got {p!r}")


def cumsum(input: Tensor, dim: int) -> Tensor:
    x = input if input._array.dtype.kind == "f" else cast_inputs(input, int64)
    return apply(_rd.Cumsum, (x,), (_dim(dim, input.ndim),))


# Matrices


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product with NumPy's rules for vectors and leading dimensions."""
    if not (isinstance(input, Tensor) and isinstance(other, Tensor)):
        raise TypeError(
            f"matmul: expected two tensors, got {type(input).__name__} and {type(other).__name__}"
        )
    a, b = input, other
    if not a.ndim or not b.ndim:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {a.ndim}D and {b.ndim}D"
        )
    if a._array.dtype != b._array.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {a.dtype} != {b.dtype}")
    if (a.is_cuda or b.is_cuda) and a.device != b.device:
        raise RuntimeError(
            f"matmul: expected both tensors on one device, got {a.device} and {b.device}; move one with .to(device)"
        )
    row, column = a.ndim == 1, b.ndim == 1
    if row and column:
        if a._array.shape != b._array.shape:
            raise RuntimeError(
                f"inconsistent tensor size, expected tensor {list(a.shape)} and src {list(b.shape)} to have the same number of elements"
            )
        return sum(a * b)
    if row:
        a = unsqueeze(a, 0)
    if column:
        b = unsqueeze(b, 1)
    if a._array.shape[-1] != b._array.shape[-2]:
        raise RuntimeError(
            f"matmul: inner sizes differ: {tuple(input.shape)} @ {tuple(other.shape)} (mat1 and mat2 shapes cannot be multiplied)"
        )
    out = apply(_mx.Matmul, (a, b))
    if row:
        out = squeeze(out, -2)
    return squeeze(out, -1) if column else out


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    if input.ndim != 2 or mat2.ndim != 2:
        raise RuntimeError(
            f"mm: expected two matrices, got shapes {tuple(input.shape)} and {tuple(mat2.shape)}"
        )
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    if input.ndim != 3 or mat2.ndim != 3 or input._array.shape[0] != mat2._array.shape[0]:
        raise RuntimeError(
            f"bmm: expected two batches of matrices, got shapes {tuple(input.shape)} and {tuple(mat2.shape)}"
        )
    return matmul(input, mat2)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    return matmul(input, tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    return unsqueeze(input, 1) * unsqueeze(vec2, 0)


# Shape


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


def reshape(input: Tensor, *shape: Any) -> Tensor:
    return apply(_sh.Reshape, (input,), (_is_sized_right(input._array.size, _shape_args(shape)),))


def view(input: Tensor, *shape: Any) -> Tensor:
    """reshape that never copies; raises RuntimeError where the layout would need a copy."""
    full = _is_sized_right(input._array.size, _shape_args(shape))
    out = apply(_sh.Reshape, (input,), (full,))
    a = input._array
    if not a.flags.c_contiguous and a.size and not module_of(a).may_share_memory(a, out._array):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
            "contiguous subspaces). Use .reshape(...) instead."
        )
    return out


def view_as(input: Tensor, other: Tensor) -> Tensor:
    return view(input, *other.shape)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    shape = input._array.shape or (1,)
    start, end = _dim(start_dim, len(shape)), _dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    return reshape(input, (*shape[:start], _count(shape[start : end + 1]), *shape[end + 1 :]))


def _count(shape: tuple[int, ...]) -> int:
    return Size(shape).numel()


def ravel(input: Tensor) -> Tensor:
    return reshape(input, -1)


def permute(input: Tensor, *dims: Any) -> Tensor:
    order = tuple(_dim(d, input.ndim) for d in _shape_args(dims))
    if sorted(order) != list(range(input.ndim)):
        raise RuntimeError(f"permute: expected each of {input.ndim} dimensions once, got {_shape_args(dims)}")
    return apply(_sh.Permute, (input,), (order,))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    order = list(range(input.ndim))
    if not order:
        return input
    d0, d1 = _dim(dim0, input.ndim), _dim(dim1, input.ndim)
    order[d0], order[d1] = order[d1], order[d0]
    return apply(_sh.Permute, (input,), (tuple(order),))


def t(input: Tensor) -> Tensor:
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return apply(_sh.SwapLast, (input,)) if input.ndim == 2 else input


def squeeze(input: Tensor, dim: Dims = None) -> Tensor:
    shape = input._array.shape
    dims = _dims(dim, len(shape)) if dim is not None else tuple(range(len(shape)))
    return apply(_sh.Reshape, (input,), (tuple(n for i, n in enumerate(shape) if n != 1 or i not in dims),))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    shape = input._array.shape
    d = _dim(dim, len(shape) + 1)
    return apply(_sh.Reshape, (input,), ((*shape[:d], 1, *shape[d:]),))


def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Repeats dimensions of size 1 without copying; -1 keeps a size."""
    wanted, own = _shape_args(sizes), input._array.shape
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


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    return expand(input, other.shape)


def contiguous(input: Tensor) -> Tensor:
    return input if input._array.flags.c_contiguous else apply(_sh.Contiguous, (input,))


def clone(input: Tensor) -> Tensor:
    return apply(_pw.Clone, (input,))


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Joins along an existing dimension; empty one-dimensional tensors are passed over, as PyTorch has it."""
    if not tensors:
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    to = _common_dtype(tensors)
    full = [p for p in tensors if p._array.shape != (0,)] or list(tensors)
    if not full[0].ndim:
        raise RuntimeError("zero-dimensional tensor (at position 0) cannot be concatenated")
    d = _dim(dim, full[0].ndim)
    parts = tuple(cast_inputs(p, to) for p in full)
    first = parts[0]._array.shape
    for i, p in enumerate(parts):
        own = p._array.shape
        if len(own) != len(first) or own[:d] + own[d + 1 :] != first[:d] + first[d + 1 :]:
            raise RuntimeError(
                f"Sizes of tensors must match except in dimension {d}. Expected {list(first)} but got {list(own)} for tensor number {i} in the list."
            )
    return apply(_sh.Cat, parts, ((d, tuple(p._array.shape[d] for p in parts)),))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Joins along a new dimension."""
    if not tensors:
        raise ValueError("stack expects a non-empty TensorList")
    for i, p in enumerate(tensors):
        if p._array.shape != tensors[0]._array.shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(tensors[0].shape)} at entry 0 and {list(p.shape)} at entry {i}"
            )
    return cat([unsqueeze(p, dim) for p in tensors], _dim(dim, tensors[0].ndim + 1))


def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    d = _dim(dim, tensor.ndim)
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


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    n = input._array.shape[_dim(dim, input.ndim)]
    return split(input, _builtin_max(-(-n // chunks), 1), dim)


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    d = _dim(dim, input.ndim)
    n = input._array.shape[d]
    first = start + n if start < 0 else start
    if length < 0 or not 0 <= first <= n - length:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    return getitem(input, (slice(None),) * d + (slice(first, first + length),))


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    return tuple(select(input, dim, i) for i in range(input._array.shape[_dim(dim, input.ndim)]))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    return getitem(input, (slice(None),) * _dim(dim, input.ndim) + (index,))


def repeat(input: Tensor, *sizes: Any) -> Tensor:
    """Tiles the tensor, copying."""
    counts = _shape_args(sizes)
    own = (1,) * (len(counts) - input.ndim) + tuple(input._array.shape)
    if len(counts) < input.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"
        )
    doubled = reshape(input, [k for n in own for k in (1, n)])
    wide = expand(doubled, [k for c, n in zip(counts, own, strict=True) for k in (c, n)])
    return reshape(wide, [c * n for c, n in zip(counts, own, strict=True)])


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The matrix (or batch of matrices) with zeros above the diagonal."""
    return _triangle(input, diagonal, "tril")


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


# Indexing


def _index_array(item: Any, input: Tensor) -> Any:
    """A tensor, array or list as a raw index on `input`'s device: int64, or bool for masks."""
    if not isinstance(item, Tensor):
        host = np.asarray(item)
        item = Tensor._wrap(host if host.size or host.dtype.kind == "b" else host.astype(np.int64))
    if item._array.dtype.name not in ("int64", "int32", "bool", "uint8"):
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if item.device.type == "cuda" and input.device.type == "cpu":
        raise RuntimeError(
            "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
        )
    raw = item.detach().to(input.device)._array
    return raw.astype(bool) if raw.dtype == np.uint8 else raw


def _raw_index(index: Any, input: Tensor) -> tuple[Any, ...]:
    """The items of an index as NumPy and CuPy take them, checked as PyTorch checks them."""
    items = list(index) if isinstance(index, tuple) else [index]
    axis = 0
    after = _builtin_sum(_axes(i) for i in items)
    for at, item in enumerate(items):
        after -= _axes(item)
        if isinstance(item, Tensor) and not item.ndim and item._array.dtype.kind in "iu":
            item = items[at] = int(item.item())
        if isinstance(item, slice):
            bounds = (item.start, item.stop, item.step)
            item = slice(*(x.__index__() if isinstance(x, Tensor) else x for x in bounds))
            if item.step is not None and item.step <= 0:
                raise ValueError("step must be greater than zero")
            items[at] = item
        elif isinstance(item, (Tensor, np.ndarray, list, range)):
            items[at] = raw = _index_array(item, input)
            if raw.dtype.kind != "b" and raw.size and axis < input.ndim:
                n = input._array.shape[axis]
                low, high = int(raw.min()), int(raw.max())
                if low < -n or high >= n:  # CuPy would wrap around
                    wrong = low if low < -n else high
                    raise IndexError(f"index {wrong} is out of bounds for dimension {axis} with size {n}")
        elif isinstance(item, (float, np.floating, str)):
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
                f"(got {type(item).__name__})"
            )
        axis = input.ndim - after if item is Ellipsis else axis + _axes(item)
    return tuple(items)


def _axes(item: Any) -> int:
    """How many dimensions an item of an index takes."""
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    if isinstance(item, Tensor):
        return item.ndim if item._array.dtype.name in ("bool", "uint8") else 1
    return item.ndim if isinstance(item, np.ndarray) and item.dtype.kind == "b" else 1


def _selected_first(items: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]] | None:
    """An index with integers beside arrays as two, the basic part and the arrays, or None where one will do.

    PyTorch takes integers out first; NumPy makes arrays of them, which puts the result's dimensions elsewhere.
    """
    arrays = [hasattr(i, "dtype") for i in items]
    if not _builtin_any(arrays) or not _builtin_any(
        isinstance(i, int) and not isinstance(i, bool) for i in items
    ):
        return None
    basic: list[Any] = []
    rest: list[Any] = []
    for item, is_array in zip(items, arrays, strict=True):
        if is_array:
            basic += [slice(None)] * (item.ndim if item.dtype.kind == "b" else 1)
            rest.append(item)
        else:
            basic.append(item)
            if not isinstance(item, int):
                rest.append(Ellipsis if item is Ellipsis else slice(None))
    return tuple(basic), tuple(rest)


def getitem(input: Tensor, index: Any) -> Tensor:
    raw = _raw_index(index, input)
    two = _selected_first(raw)
    try:
        if two is not None:
            return apply(_ix.Getitem, (apply(_ix.Getitem, (input,), (two[0],)),), (two[1],))
        return apply(_ix.Getitem, (input,), (raw,))
    except IndexError as e:
        raise IndexError(f"{e} (indexing a tensor of shape {list(input.shape)})") from None


def setitem(input: Tensor, index: Any, value: Any) -> None:
    raw = _raw_index(index, input)
    two = _selected_first(raw)
    xp = module_of(input._array)
    if two is not None:  # the positions that getitem would read, one array for each dimension
        numbers = xp.arange(input._array.size).reshape(input._array.shape)[two[0]][two[1]]
        coordinates = []
        for n in reversed(input._array.shape):
            coordinates.append(numbers % n)
            numbers = numbers // n
        raw = tuple(reversed(coordinates))
    if not isinstance(value, (Tensor, int, float, np.generic, np.ndarray)):
        raise TypeError(f"can't assign a {type(value).__name__} to a tensor of {input.dtype}")

    def write(old: Tensor) -> Tensor:
        mask = xp.zeros(old._array.shape, bool)
        mask[raw] = True
        new = as_tensor(value).to(old.device, old.dtype)
        target = old._array[raw].shape
        while new.ndim > len(target) and new._array.shape[0] == 1:
            new = squeeze(new, 0)
        spread = apply(_ix.PutItems, (expand(new, target),), (raw, old._array.shape))
        return where(Tensor._wrap(mask), spread, old)

    if input._requires_grad or (isinstance(value, Tensor) and value._requires_grad):
        in_place(input, write, "__setitem__")
        return
    array = as_tensor(value).to(input.device)._array if isinstance(value, (Tensor, np.ndarray)) else value
    note_change(input._array)
    try:
        with np.errstate(all="ignore"):
            input._array[raw] = array
    except ValueError as e:
        raise RuntimeError(f"assigning to a tensor of shape {list(input.shape)}: {e}") from None


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    d = _dim(dim, input.ndim)
    if index._array.dtype != np.int64:
        raise RuntimeError(f"gather(): Expected dtype int64 for index, got {index.dtype}")
    if index.ndim != input.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    if not input.ndim:
        return clone(input)
    n = input._array.shape[d]
    for i, (own, limit) in enumerate(zip(index._array.shape, input._array.shape, strict=True)):
        if i != d and own > limit:
            raise RuntimeError(
                f"Size does not match at dimension {i} expected index {list(index.shape)} to be no larger than self "
                f"{list(input.shape)} apart from dimension {d}"
            )
    if index._array.size and (int(index._array.max()) >= n or int(index._array.min()) < 0):
        raise RuntimeError(f"gather: index is out of bounds for dimension {d} with size {n}")
    return apply(_ix.Gather, (input, index), (d,))


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    d = _dim(dim, input.ndim)
    if index.ndim > 1 or index._array.dtype.name not in ("int64", "int32"):
        raise RuntimeError(
            f"index_select(): Expected a 1-D tensor of int64 or int32 as index, got {index.dtype} {list(index.shape)}"
        )
    if index._array.size and int(index._array.min()) < 0:
        raise IndexError(f"index_select: index out of range: indices must be in [0, {input._array.shape[d]})")
    return getitem(input, (slice(None),) * d + (reshape(index, -1),))


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    new = as_tensor(value)
    if new._array.dtype.kind == "f" and input._array.dtype.kind != "f":
        raise RuntimeError(
            f"masked_fill: value {value} cannot be converted to type {input.dtype.name} without loss"
        )
    return where(mask, new.to(input.device, input.dtype), input)


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Values in order and where they came from; equal elements keep their order."""
    d = _dim(dim, input.ndim)
    a = input._array
    xp = module_of(a)
    if descending:
        back = xp.flip(a, axis=d)
        order = a.shape[d] - 1 - xp.flip(xp.argsort(back, axis=d, kind="stable"), axis=d)
    else:
        order = xp.argsort(a, axis=d, kind="stable")
    indices = Tensor._wrap(order)
    return _PAIRS["sort"](gather(input, d, indices), indices)


def argsort(input: Tensor, dim: int = -1, descending: bool = False) -> Tensor:
    return sort(input.detach(), dim, descending).indices  # type: ignore[no-any-return]


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True) -> Any:
    if not 0 <= k <= input._array.shape[_dim(dim, input.ndim)]:
        raise RuntimeError("selected index k out of range")
    values, indices = sort(input, dim, descending=largest)
    return _PAIRS["topk"](narrow(values, dim, 0, k), narrow(indices, dim, 0, k))


def softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    x = cast_inputs(input, dtype) if dtype else input
    _needs_float(x, "softmax")
    dim = _dim(dim, x.ndim)
    return apply(_act.Softmax, (x,), (dim,)) if x.ndim else exp(x - x)


def log_softmax(input: Tensor, dim: int, dtype: DType | None = None) -> Tensor:
    x = cast_inputs(input, dtype) if dtype else input
    _needs_float(x, "log_softmax")
    dim = _dim(dim, x.ndim)
    return apply(_act.LogSoftmax, (x,), (dim,)) if x.ndim else x - x


def _needs_float(x: Tensor, name: str) -> None:
    if x._array.dtype.kind != "f":
        raise RuntimeError(f'"{name}" not implemented for {x.dtype}; convert with .float() first')


_METHODS = """add sub mul div pow eq ne lt le gt ge floor_divide remainder bitwise_and bitwise_or bitwise_xor logical_and
logical_or logical_not bitwise_not isnan isfinite isinf equal allclose neg exp expm1 log log1p sqrt sin cos tanh abs sign
floor ceil round relu sigmoid erf square rsqrt reciprocal clamp sum mean var std amax amin argmax argmin max min all any
logsumexp norm cumsum matmul mm bmm dot outer reshape view view_as flatten ravel permute transpose t squeeze unsqueeze expand
expand_as contiguous clone split chunk narrow unbind select repeat tril triu gather index_select masked_fill sort argsort topk
softmax log_softmax maximum minimum""".split()

_IN_PLACE = """add sub mul div pow neg exp log sqrt tanh abs relu sigmoid clamp masked_fill floor ceil round square
reciprocal tril triu""".split()


def _operator(
    function: Callable[[Any, Any], Tensor], reflected: bool = False
) -> Callable[[Tensor, Any], Any]:
    """A method for Python's operator: what is no tensor or number is left to the other operand, as in `t == None`."""

    def run(self: Tensor, other: Any) -> Any:
        if isinstance(other, (Tensor, int, float, np.generic, np.ndarray)):
            return function(other, self) if reflected else function(self, other)
        return NotImplemented

    return run


def _in_place_form(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def run(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return in_place(self, lambda old: function(old, *args, **kwargs), name + "_")

    run.__name__ = name + "_"
    run.__doc__ = f"The in-place form of {name}."
    return run


def _where_method(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    return where(condition, self, other)


def _attach() -> None:
    here = globals()
    for name in _METHODS:
        setattr(Tensor, name, here[name])
    for name in _IN_PLACE:
        setattr(Tensor, name + "_", _in_place_form(name, here[name]))
    operators = {
        "add": _add, "sub": _sub, "mul": _mul, "truediv": _div, "pow": pow, "matmul": matmul, "floordiv": floor_divide,
        "mod": remainder, "and": bitwise_and, "or": bitwise_or, "xor": bitwise_xor,
    }  # fmt: skip
    for name, function in operators.items():
        setattr(
            Tensor,
            f"__{name}__",
            function if name in ("add", "sub", "mul", "truediv") else _operator(function),
        )
        setattr(Tensor, f"__r{name}__", _operator(function, reflected=True))
    for name in ("add", "sub", "mul", "pow"):
        setattr(Tensor, f"__i{name}__", getattr(Tensor, name + "_"))
    for name, function in {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}.items():
        setattr(Tensor, f"__{name}__", _operator(function))
    more: dict[str, Any] = {
        "__itruediv__": vars(Tensor)["div_"], "__neg__": neg, "__abs__": abs, "__invert__": bitwise_not, "__getitem__": getitem,
        "__setitem__": setitem, "where": _where_method, "multiply": mul, "divide": div, "subtract": sub,
        "T": property(lambda self: permute(self, *reversed(range(self.ndim)))),
        "mT": property(lambda self: transpose(self, -1, -2)),
    }  # fmt: skip
    for name, kind in {
        "float": "float32",
        "double": "float64",
        "half": "float16",
        "int": "int32",
        "long": "int64",
        "bool": "bool",
    }.items():
        target = from_numpy_dtype(kind)
        more[name] = lambda self, target=target: self.to(target)
    for name, function in more.items():
        setattr(Tensor, name, function)


_attach()
