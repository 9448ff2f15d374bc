"""Matrix products."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from .. import versions
from ..autocast import lowered, runs_in_float32, runs_low
from ..backends import module_of
from ..dtypes import FLOATS
from ..ops import indexing as _ix
from ..ops import matrix as _mx
from ..ops.registry import apply, as_tensor, operator
from ..tensor import Tensor
from .arguments import one_dim
from .arithmetic import logical_and, logical_or, mul, where
from .catalogue import public
from .reduction import sum
from .shape import expand, permute, reshape, squeeze, unsqueeze

__all__ = [
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "baddbmm",
    "bilinear",
    "bmm",
    "chain_matmul",
    "cross",
    "dot",
    "inner",
    "kron",
    "matmul",
    "mm",
    "mv",
    "outer",
    "ger",
    "tensordot",
    "trace",
    "vdot",
]

C_NAMES = {
    "float32": "float", "float64": "double", "float16": "c10::Half", "bfloat16": "c10::BFloat16", "int64": "long", "int32": "int",
    "int16": "short", "int8": "signed char", "uint8": "unsigned char", "bool": "bool",
}  # fmt: skip
SCALAR_NAMES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long", "int32": "Int",
    "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
}  # fmt: skip


def _check(name: str, *tensors: Any) -> None:
    """Raises for operands that are no tensors, of several devices or dtypes, or of bools."""
    first = tensors[0]
    for t in tensors:
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}: expected tensors, got {type(t).__name__}")
    for t in tensors[1:]:
        if t._array.__class__ is not first._array.__class__ or t.device != first.device:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{first.device} and {t.device}! ({name}; move one with .to(device))"
            )
        if t._array.dtype != first._array.dtype:
            a, b = first.dtype.name, t.dtype.name
            if name in ("mm", "addmm"):
                raise RuntimeError(
                    f"expected m1 and m2 to have the same dtype, but got: {C_NAMES[a]} != {C_NAMES[b]}"
                )
            if name == "dot":
                raise RuntimeError(
                    f"dot : expected both vectors to have same dtype, but found {SCALAR_NAMES[a]} and {SCALAR_NAMES[b]}"
                )
            if name == "mv":
                raise RuntimeError(
                    "addmv input tensors must have the same dtype, but got "
                    f"{SCALAR_NAMES[b]}, {SCALAR_NAMES[a]}, and {SCALAR_NAMES[b]}"
                )
            raise RuntimeError(f"expected scalar type {SCALAR_NAMES[a]} but found {SCALAR_NAMES[b]} ({name})")
    if first._array.dtype.kind == "b":
        raise NotImplementedError(f"\"{name}\" not implemented for 'Bool'; convert with .int() or .float()")


def _sizes(t: Tensor) -> list[int]:
    return list(t._array.shape)


def _watched(op: Any, a: Tensor, b: Tensor) -> Tensor:
    return apply(op, lowered(a, b) if versions.watch else (a, b))


_two_matrices = operator(_mx.Matmul, otherwise=_watched)


@public(out=True, exact=True)
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product: of vectors, matrices, or batches of matrices whose leading dimensions broadcast."""
    if isinstance(input, Tensor) and isinstance(other, Tensor):
        x, y = input._array, other._array
        if (
            x.ndim == 2 == y.ndim
            and x.dtype is y.dtype
            and x.shape[1] == y.shape[0]
            and x.dtype.kind != "b"
            and x.__class__ is y.__class__
        ):
            return _two_matrices(input, other)
    return _matmul(input, other)


def _matmul(input: Any, other: Any) -> Tensor:
    if versions.watch:
        input, other = lowered(input, other)
    for t in (input, other):
        if not isinstance(t, Tensor):
            raise TypeError(
                f"matmul: expected two tensors, got {type(input).__name__} and {type(other).__name__}"
            )
    n, k = input._array.ndim, other._array.ndim
    if not n or not k:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {n}D and {k}D")
    if n == 1 and k == 1:
        return dot(input, other)
    if n == 2 and k == 2:
        return mm(input, other)
    if k == 1:
        if n == 2:
            return mv(input, other)
        rows = reshape(input, math.prod(input._array.shape[:-1]), input._array.shape[-1])
        return reshape(mv(rows, other), input._array.shape[:-1])
    if n == 1:
        return squeeze(matmul(unsqueeze(input, 0), other), -2)
    _check("bmm", input, other)
    a, b = input._array.shape, other._array.shape
    if a[-1] != b[-2]:
        if k == 2:
            rows = math.prod(a[:-1])
            raise RuntimeError(
                f"mat1 and mat2 shapes cannot be multiplied ({rows}x{a[-1]} and {b[0]}x{b[1]})"
            )
        count = math.prod(broadcast(a[:-2], b[:-2]))
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{count}, {a[-1]}] but got: [{count}, {b[-2]}]."
        )
    broadcast(a[:-2], b[:-2])
    return apply(_mx.Matmul, (input, other))


def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    n = builtins.max(len(a), len(b))
    x, y = (1,) * (n - len(a)) + tuple(a), (1,) * (n - len(b)) + tuple(b)
    for i in reversed(range(n)):
        if x[i] != y[i] and 1 not in (x[i], y[i]):
            raise RuntimeError(
                f"The size of tensor a ({x[i]}) must match the size of tensor b ({y[i]}) at non-singleton dimension {i}"
            )
    return tuple(q if p == 1 else p for p, q in zip(x, y, strict=True))


@public(out=True, exact=True)
@runs_low("cpu", "cuda")
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Product of two matrices."""
    if input.ndim != 2:
        raise RuntimeError(f"self must be a matrix (mm: got shape {_sizes(input)})")
    if mat2.ndim != 2:
        raise RuntimeError(f"mat2 must be a matrix (mm: got shape {_sizes(mat2)})")
    _fit(input, mat2)
    _check("mm", input, mat2)
    return apply(_mx.Matmul, (input, mat2))


def _fit(mat1: Tensor, mat2: Tensor) -> None:
    (n, k), (j, m) = mat1._array.shape, mat2._array.shape
    if k != j:
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({n}x{k} and {j}x{m})")


@public(out=True, exact=True)
@runs_low("cuda")
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Product of a matrix and a vector."""
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got 1, {input.ndim}, {vec.ndim}")
    n, k = input._array.shape
    if vec._array.shape[0] != k:
        raise RuntimeError(f"size mismatch, got input ({n}), mat ({n}x{k}), vec ({vec._array.shape[0]})")
    _check("mv", input, vec)
    return apply(_mx.Mv, (input, vec))


@public(out=True, exact=True)
@runs_low("cpu", "cuda")
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Product of two batches of matrices, (b, n, k) by (b, k, m)."""
    _batches("bmm", input, mat2)
    return apply(_mx.Matmul, (input, mat2))


def _batches(name: str, batch1: Tensor, batch2: Tensor) -> None:
    for i, t in enumerate((batch1, batch2), 1):
        if t.ndim != 3:
            raise RuntimeError(f"batch{i} must be a 3D tensor ({name}: got shape {_sizes(t)})")
    b, _, k = batch1._array.shape
    if batch2._array.shape[:2] != (b, k):
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{b}, {k}] but got: {_sizes(batch2)[:2]}."
        )
    _check(name, batch1, batch2)


@public(out=True, exact=True)
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """Inner product of two vectors of one length."""
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    _check("dot", input, tensor)
    n, k = input._array.size, tensor._array.size
    if n != k:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{n}] and src [{k}] to have the same number of elements, "
            f"but got {n} and {k} elements respectively"
        )
    return apply(_mx.Dot, (input, tensor))


@public(out=True, exact=True)
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """dot, for there are no complex numbers here to conjugate."""
    return dot(input, other)


@public(out=True, exact=True)
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Sums of products over the last dimension of both; with a 0-d tensor the product."""
    if not input.ndim or not other.ndim:
        return mul(input, other)
    if input._array.shape[-1] != other._array.shape[-1]:
        raise RuntimeError(
            f"inner() the last dimension must match on both input tensors but got shapes {_sizes(input)} and {_sizes(other)}"
        )
    return tensordot(input, other, ([-1], [-1]))


@public(out=True, alias="ger")
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """Every product of an element of one vector with one of the other."""
    for name, t in (("self", input), ("vec2", vec2)):
        if t.ndim != 1:
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {t.ndim}-D")
    return mul(unsqueeze(input, 1), vec2)


ger = outer


# Products that are added to something


def _added(
    name: str, c: Tensor, a: Tensor, b: Tensor, shape: tuple[int, ...], beta: Any, alpha: Any
) -> Tensor:
    """beta * c + alpha * (a @ b), where c must expand to `shape`."""
    own = c._array.shape
    lead = len(shape) - len(own)
    for i in reversed(range(len(own))):
        if lead < 0 or own[i] not in (1, shape[i + lead]):
            raise RuntimeError(
                f"The expanded size of the tensor ({shape[i + lead] if lead >= 0 else 1}) must match the existing size ({own[i]}) "
                f"at non-singleton dimension {i + lead}.  Target sizes: {list(shape)}.  Tensor sizes: {list(own)} ({name})"
            )
    _check(name, a, b)
    if c._array.dtype != a._array.dtype:
        raise RuntimeError(
            f"self and mat2 must have the same dtype, but got {SCALAR_NAMES[c.dtype.name]} and {SCALAR_NAMES[b.dtype.name]} ({name})"
        )
    _check(name, a, c)
    if a._array.dtype not in FLOATS:
        beta, alpha = (_whole(x, a) for x in (beta, alpha))
    return apply(_mx.Addmm, (c, a, b), (beta, alpha))


def _whole(number: Any, like: Tensor) -> int:
    """A factor for integers: cut to one of their dtype, as PyTorch cuts it."""
    return int(np.int64(number).astype(like._array.dtype))


@public(out=True, in_place=True, exact=True)
@runs_low("cpu", "cuda")
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2)."""
    for i, t in enumerate((mat1, mat2), 1):
        if t.ndim != 2:
            raise RuntimeError(f"mat{i} must be a matrix, got {t.ndim}-D tensor")
    _fit(mat1, mat2)
    return _added("addmm", input, mat1, mat2, (mat1._array.shape[0], mat2._array.shape[1]), beta, alpha)


@public(out=True, in_place=True, exact=True)
@runs_low("cuda")
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec)."""
    if mat.ndim != 2 or vec.ndim != 1 or input.ndim > 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {input.ndim}, {mat.ndim}, {vec.ndim}")
    n, k = mat._array.shape
    size = input._array.size
    if vec._array.shape[0] != k or size not in (1, n):
        raise RuntimeError(f"size mismatch, got input ({size}), mat ({n}x{k}), vec ({vec._array.shape[0]})")
    out = _added("addmv", reshape(input, size, 1), mat, unsqueeze(vec, 1), (n, 1), beta, alpha)
    return squeeze(out, 1)


@public(out=True, in_place=True, exact=True)
@runs_low("cpu", "cuda")
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * the sum of all batch1[i] @ batch2[i]."""
    for i, t in enumerate((batch1, batch2), 1):
        if t.ndim != 3:
            raise RuntimeError(f"batch{i} must be a 3D tensor (addbmm: got shape {_sizes(t)})")
    (b, n, k), (b2, k2, m) = batch1._array.shape, batch2._array.shape
    if b != b2:
        raise RuntimeError(f"batch1 and batch2 must have same number of batches, got {b} and {b2}")
    if k != k2:
        raise RuntimeError(f"Incompatible matrix sizes for bmm ({n}x{k} and {k2}x{m})")
    wide = reshape(permute(batch1, 1, 0, 2), n, b * k)
    return _added("addbmm", input, wide, reshape(batch2, b * k, m), (n, m), beta, alpha)


@public(out=True, in_place=True, exact=True)
@runs_low("cpu", "cuda")
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * bmm(batch1, batch2)."""
    _batches("baddbmm", batch1, batch2)
    shape = (*batch1._array.shape[:2], batch2._array.shape[2])
    return _added("baddbmm", input, batch1, batch2, shape, beta, alpha)


@public(out=True, in_place=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2); of bools: or, and."""
    for name, t in (("vec1", vec1), ("vec2", vec2)):
        if t.ndim != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {t.ndim}-D")
    shape = (vec1._array.shape[0], vec2._array.shape[0])
    wide = expand(input, shape)
    kinds = {t._array.dtype.kind for t in (input, vec1, vec2)}
    if "f" not in kinds:
        for name, number in (("beta", beta), ("alpha", alpha)):
            if isinstance(number, float):
                raise RuntimeError(
                    f"For integral input tensors, argument {name} must not be a floating point number."
                )
    if kinds == {"b"}:
        both = logical_and(unsqueeze(vec1, 1), vec2)
        both = both if alpha else both & False
        return logical_or(wide, both) if beta else both
    added = outer(vec1, vec2) if alpha == 1 else outer(vec1, vec2) * alpha
    if beta == 0:  # NaN in what is ignored stays out, the gradient is 0
        return added + where(as_tensor(False).to(wide.device), wide, 0 * added.detach())
    return (wide if beta == 1 else wide * beta) + added


# Products over chosen dimensions


@public(method=False)
def chain_matmul(*matrices: Any) -> Tensor:
    """The product of matrices, multiplied in the cheapest order."""
    from .linalg import multi_dot

    many = (
        list(matrices[0]) if len(matrices) == 1 and isinstance(matrices[0], (tuple, list)) else list(matrices)
    )
    if not many:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for i, t in enumerate(many):
        if t.ndim != 2:
            raise RuntimeError(f"Tensor dimension is {t.ndim}, expected 2 instead (chain_matmul: matrix {i})")
    return many[0] if len(many) == 1 else multi_dot(many)


@public(method=False, out=True, exact=True)
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sums of products over the last `dims` dimensions of a and the first of b, or over the two lists `dims`."""
    left, right = _contracted(a, b, dims)
    if a._array.dtype != b._array.dtype:
        raise RuntimeError(f"both inputs should have same dtype (tensordot: {a.dtype} and {b.dtype})")
    for i, j in zip(left, right, strict=True):
        n, k = a._array.shape[i], b._array.shape[j]
        if n != k and 1 not in (n, k):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {n} in dim {i} and second has size {k} in dim {j}"
            )
        if n != k:  # one is 1 and broadcasts: sum the other first
            a, b = (a, sum(b, j, True).to(b.dtype)) if n == 1 else (sum(a, i, True).to(a.dtype), b)
    i_s = [one_dim(i, a.ndim) for i in left]
    j_s = [one_dim(j, b.ndim) for j in right]
    for dims_ in (i_s, j_s):
        if len(set(dims_)) != len(dims_):
            raise RuntimeError(f"tensordot: a dimension appears multiple times in the list of dims {dims_}")
    free_a = [i for i in range(a.ndim) if i not in i_s]
    free_b = [j for j in range(b.ndim) if j not in j_s]
    shape_a, shape_b = a._array.shape, b._array.shape
    n, k, m = (
        math.prod(shape_a[i] for i in free_a), math.prod(shape_a[i] for i in i_s), math.prod(shape_b[j] for j in free_b),
    )  # fmt: skip
    flat_a = reshape(permute(a, *free_a, *i_s) if a.ndim else a, n, k)
    flat_b = reshape(permute(b, *j_s, *free_b) if b.ndim else b, k, m)
    return reshape(mm(flat_a, flat_b), [shape_a[i] for i in free_a] + [shape_b[j] for j in free_b])


def _contracted(a: Tensor, b: Tensor, dims: Any) -> tuple[list[int], list[int]]:
    if isinstance(dims, Tensor):
        dims = dims.tolist() if dims.ndim else dims.item()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > builtins.min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        return list(range(-dims, 0)), list(range(dims))
    first, second = dims
    left = [first] if isinstance(first, int) else list(first)
    right = [second] if isinstance(second, int) else list(second)
    if len(left) != len(right):
        raise RuntimeError("both dimension lists should have same length")
    return left, right


@public(out=True)
def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker product: every product of an element of one with the whole other, block by block."""
    n = builtins.max(input.ndim, other.ndim)
    a = (1,) * (n - input.ndim) + tuple(input._array.shape)
    b = (1,) * (n - other.ndim) + tuple(other._array.shape)
    left = reshape(input, [k for size in a for k in (size, 1)])
    right = reshape(other, [k for size in b for k in (1, size)])
    return reshape(mul(left, right), [i * j for i, j in zip(a, b, strict=True)])


@public(out=True, exact=True)
def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """Cross product along `dim` of size 3; the first such dimension where None."""
    if dim is None:
        sizes = _sizes(input)
        if 3 not in sizes:
            raise RuntimeError("no dimension of size 3 in input")
        dim = sizes.index(3)
    return crossed(input, other, dim)


def crossed(input: Tensor, other: Tensor, dim: int) -> Tensor:
    if input.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    d = one_dim(dim, input.ndim)
    n, k = input._array.shape[d], other._array.shape[d]
    if (n, k) != (3, 3):
        raise RuntimeError(f"linalg.cross: inputs dimension {dim} must have length 3. Got {n} and {k}")
    shape = broadcast(input._array.shape, other._array.shape)
    if input._array.dtype != other._array.dtype:
        raise RuntimeError(
            f"expected scalar type {SCALAR_NAMES[input.dtype.name]} but found {SCALAR_NAMES[other.dtype.name]} (cross)"
        )
    return apply(_mx.Cross, (expand(input, shape), expand(other, shape)), (d,))


def diagonal_of(a: Tensor) -> Tensor:
    """The diagonal of the last two dimensions, copied."""
    places = module_of(a._array).arange(builtins.min(a._array.shape[-2:]))
    return apply(_ix.Getitem, (a,), ((Ellipsis, places, places),))


@public()
@runs_in_float32("cpu")
def trace(input: Tensor) -> Tensor:
    """Sum of the diagonal of a matrix."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    if input._array.dtype.kind == "b":
        raise NotImplementedError("\"trace\" not implemented for 'Bool'; convert with .int() or .float()")
    return sum(diagonal_of(input))


@public(method=False)
@runs_in_float32("cpu")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """For inputs (…, i) and (…, j) and a weight (o, i, j): input1 @ weight[o] @ input2 (+ bias) for each o."""
    from .einsum import einsum

    if input1.ndim != input2.ndim:
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}")
    for i, (n, k) in enumerate(zip(input1._array.shape[:-1], input2._array.shape[:-1], strict=True)):
        if n != k:
            raise RuntimeError(f"bilinear(): input batch dimensions do not match at dim {i}: got {n} and {k}")
    for i, t in enumerate((input1, input2), 1):
        if t._array.shape[-1] != weight._array.shape[i]:
            raise RuntimeError(
                f"bilinear(): input{i} size does not match weight size: got {t._array.shape[-1]} but expected {weight._array.shape[i]}"
            )
    if bias is not None and bias._array.shape[0] != weight._array.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias._array.shape[0]} but expected {weight._array.shape[0]}"
        )
    out = einsum("...i,oij,...j->...o", input1, weight, input2)
    return out if bias is None else out + bias
