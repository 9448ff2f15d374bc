"""torch.linalg: norms, powers, exponentials and other functions of matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import HALVES, float32
from ..dtypes import dtype as DType
from ..ops import solving as _so
from ..ops import statistics as _st
from ..ops.overwriting import Overwrite
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor
from . import factorizations as _fa
from . import parts as _pa
from .arguments import Dims, all_dims, one_dim, tensor_of
from .arithmetic import where
from .catalogue import public
from .cumulative import cumprod
from .extremes import amax, amin
from .joining import cat
from .matrices import floating, floating_matrix, of_equal_sides, one_dtype, square
from .matrix import SCALAR_NAMES, matmul
from .matrix import matmul as _matmul
from .reduction import sum
from .shape import clone, expand, movedim, unsqueeze

_INF = math.inf


def _in_dtype(name: str, x: Tensor, dtype: DType | None) -> Tensor:
    """`x`, a tensor of floats, in the dtype asked for, which must be no narrower."""
    if dtype is not None:
        if not dtype.is_floating_point:
            raise RuntimeError(
                f"{name}: dtype should be floating point or complex, but got {SCALAR_NAMES[dtype.name]}"
            )
        if x.is_floating_point() and dtype.itemsize < x.dtype.itemsize:
            raise RuntimeError(
                f"{name}: the dtype of the input ({SCALAR_NAMES[x.dtype.name]}) should be convertible without narrowing to "
                f"the specified dtype ({SCALAR_NAMES[dtype.name]})"
            )
    if not x.is_floating_point():
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {SCALAR_NAMES[x.dtype.name]}"
        )
    return x if dtype is None else cast_inputs(x, dtype)


def _vector_norm(x: Tensor, ord: float, dim: Dims, keepdim: bool, dtype: DType | None) -> Tensor:
    t = _in_dtype("linalg.vector_norm", x, dtype)
    shape = t._array.shape
    dims = all_dims(dim, len(shape))
    if (ord < 0 or ord == _INF) and any(shape[d] == 0 for d in dims):
        shown = "inf" if ord == _INF else "-inf" if ord == -_INF else f"{ord:g}"
        raise RuntimeError(
            f"linalg.vector_norm cannot compute the {shown} norm on an empty tensor because the operation does not have an "
            "identity"
        )
    return apply(_st.VectorNorm, (t,), (float(ord), dims, bool(keepdim), shape))


@public(namespace="torch.linalg", out=True)
def vector_norm(
    x: Tensor, ord: float = 2, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The ord-norm of the elements over `dim` (all where None): sum(|x|^ord)^(1/ord); 0 counts, inf and -inf are extremes."""
    if isinstance(ord, bool) or not isinstance(ord, (int, float)):
        raise TypeError(f"linalg_vector_norm(): argument 'ord' must be Number, not {type(ord).__name__}")
    return _vector_norm(tensor_of(x, "linalg.vector_norm", "x"), ord, dim, keepdim, dtype)


@public(namespace="torch.linalg", out=True)
def matrix_norm(
    input: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """Norms of matrices: "fro", "nuc" (sum of singular values), 2 and -2 (largest, smallest), 1, -1, inf, -inf (of sums)."""
    return matrix_norm_of(input, ord, dim, keepdim, dtype)


def _largest(x: Tensor, dim: int, keepdim: bool) -> Tensor:
    """The largest of numbers that are not negative: 0 of none."""
    return amax(x, dim, keepdim) if x._array.shape[dim] else sum(x, dim, keepdim)


def matrix_norm_of(A: Tensor, ord: Any, dim: Any, keepdim: bool, dtype: DType | None) -> Tensor:
    name = "linalg.matrix_norm"
    t = tensor_of(A, name, "A")
    if t.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    if len(dim) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {' '.join(map(str, dim))}")
    if isinstance(ord, str) and ord not in ("fro", "nuc"):
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    if not isinstance(ord, str) and abs(ord) not in (1, 2, _INF):
        raise RuntimeError(f"{name}: Order {ord:g} not supported.")
    t = _in_dtype(name, t, dtype)
    rows, columns = (one_dim(d, t.ndim) for d in dim)
    if rows == columns:
        raise RuntimeError(f"{name}: dims must be different. Got ({dim[0]}, {dim[1]})")
    if ord == "fro":
        return _vector_norm(t, 2, (rows, columns), keepdim, None)
    if ord == "nuc" or abs(ord) == 2:
        floating(name, t)
        s = _fa.svdvals(movedim(t, (rows, columns), (-2, -1)))
        out = sum(s, -1) if ord == "nuc" else _largest(s, -1, False) if ord > 0 else amin(s, -1)
        if keepdim:
            for d in sorted((rows, columns)):
                out = unsqueeze(out, d)
        return out
    along, over = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = _vector_norm(t, 1, along, True, None)
    out = _largest(sums, over, True) if ord > 0 else amin(sums, over, True)
    return out if keepdim else out.squeeze((rows, columns))


@public(namespace="torch.linalg", out=True)
def norm(
    input: Tensor, ord: Any = None, dim: Dims = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """vector_norm of everything where ord is None, else of vectors; matrix_norm of matrices."""
    t = tensor_of(input, "linalg.norm")
    dims = None if dim is None else [dim] if isinstance(dim, int) else list(dim)
    if ord is not None:
        if dims is not None and len(dims) not in (1, 2):
            raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {dims}")
        if dims is None and t.ndim not in (1, 2):
            raise RuntimeError(
                f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {t.ndim}D."
            )
        if isinstance(ord, str):
            return matrix_norm_of(t, ord, (-2, -1) if dims is None else dims, keepdim, dtype)
        if (dims is None and t.ndim == 2) or (dims is not None and len(dims) == 2):
            return matrix_norm_of(t, ord, (0, 1) if dims is None else dims, keepdim, dtype)
    return _vector_norm(t, 2 if ord is None else ord, dims, keepdim, dtype)


@public(namespace="torch.linalg", out=True)
def cond(input: Tensor, p: Any = None) -> Tensor:
    """The condition number with respect to a matrix norm (2 where None): inf of singular matrices."""
    t = floating_matrix("linalg.cond", input)
    if p is None or (not isinstance(p, str) and abs(p) == 2):
        s = _fa.svdvals(t)
        if not s._array.shape[-1]:
            return sum(s, -1)
        return s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
    if p not in ("fro", "nuc", 1, -1, _INF, -_INF):
        raise RuntimeError(f"linalg.cond got an invalid norm type: {p}")
    of_equal_sides(f"linalg.cond(ord={p})", t)
    inverse = apply(_so.Inv, (t,), (None,))
    singular = inverse.isnan().any(-1).any(-1).detach()
    if p == "nuc":
        inverse = where(unsqueeze(unsqueeze(singular, -1), -1), 0.0, inverse)
    product = matrix_norm_of(t, p, (-2, -1), False, None) * matrix_norm_of(inverse, p, (-2, -1), False, None)
    return where(singular, _INF, product)


def power(name: str, input: Tensor, n: int) -> Tensor:
    t = tensor_of(input, name)
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"linalg_matrix_power(): argument 'n' must be int, not {type(n).__name__}")
    if t.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor A must have at least 2 dimensions.")
    of_equal_sides(name, t)
    if n == 0:
        xp, k = module_of(t._array), t._array.shape[-1]
        places = xp.arange(k)
        one = (places[:, None] == places).astype(t._array.dtype)
        return apply(Overwrite, (t, Tensor._wrap(xp.broadcast_to(one, t._array.shape).copy())))
    base = t if n > 0 else apply(_so.Inv, (square("linalg.inv", t),), ("linalg.inv",))
    if abs(n) == 1:
        return clone(base) if n > 0 else base
    result: Tensor | None = None
    left = abs(n)
    while left:
        if left & 1:
            result = base if result is None else matmul(result, base)
        left >>= 1
        if left:
            base = matmul(base, base)
    assert result is not None
    return result


@public(namespace="torch.linalg", out=True)
def matrix_power(input: Tensor, n: int) -> Tensor:
    """The n-th power of square matrices, of their inverses where n is negative."""
    return power("linalg.matrix_power", input, n)


# N. J. Higham, The scaling and squaring method for the matrix exponential revisited, SIAM J. Matrix Anal. 26 (2005).
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0, 10559470521600.0,
    670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_REACH = 5.371920351148152


def exponential(name: str, A: Tensor) -> Tensor:
    if isinstance(A, Tensor) and A._array.dtype in HALVES:
        return cast_inputs(exponential(name, cast_inputs(A, float32)), A.dtype)
    t = square(name, A)
    a = t._array
    xp = module_of(a)
    if not a.size:
        return clone(t)
    size = abs(a).sum(axis=-2).max(axis=-1).astype(np.float64)
    usual = xp.isfinite(size) & (size > _REACH)
    times = xp.where(usual, xp.ceil(xp.log2(xp.where(usual, size / _REACH, 1.0))), 0.0)
    x = t * Tensor._wrap(xp.asarray(2.0**-times).astype(a.dtype)[..., None, None])
    places = xp.arange(a.shape[-1])
    one = Tensor._wrap((places[:, None] == places).astype(a.dtype))
    b = [c / _PADE[0] for c in _PADE]
    x2 = matmul(x, x)
    x4 = matmul(x2, x2)
    x6 = matmul(x2, x4)
    odd = matmul(x6, b[13] * x6 + b[11] * x4 + b[9] * x2) + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one
    even = matmul(x6, b[12] * x6 + b[10] * x4 + b[8] * x2) + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * one
    odd = matmul(x, odd)
    result = apply(_so.Solve, (even - odd, even + odd), (None,))
    for i in range(int(times.max())):
        squared = matmul(result, result)
        result = where(Tensor._wrap(xp.asarray(times > i)[..., None, None]), squared, result)
    return result


@public(namespace="torch.linalg")
def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of square matrices."""
    return exponential("linalg.matrix_exp", input)


@public("matmul", namespace="torch.linalg", out=True, exact=True)
def linalg_matmul(input: Tensor, other: Tensor) -> Tensor:
    """torch.matmul."""
    return _matmul(input, other)


@public(namespace="torch.linalg", out=True)
def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Products of vectors along `dim`; the other dimensions broadcast."""
    a = tensor_of(x, "linalg.vecdot", "x")
    b = tensor_of(y, "linalg.vecdot", "y")
    for t in (a, b):
        if not t.is_floating_point():
            raise RuntimeError(
                f"linalg.vecdot: Expected a floating point or complex tensor as input. Got {SCALAR_NAMES[t.dtype.name]}"
            )
    one_dtype("linalg.vecdot", a, b, "x", "y")
    return sum(a * b, dim)


@public(namespace="torch.linalg")
def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices; a view."""
    return _pa.diagonal(A, offset, dim1, dim2)


def powers(x: Tensor, count: int) -> Tensor:
    """The first powers, from 0 on, of the elements, along a new last dimension."""
    xp, shape = module_of(x._array), x._array.shape
    kind = x._array.dtype if x._array.dtype.kind not in "biu" else np.dtype(np.int64)
    ones = Tensor._wrap(xp.ones((*shape, min(count, 1)), kind))
    if count < 2:
        return ones
    return cat([ones, cumprod(expand(unsqueeze(x, -1), (*shape, count - 1)), -1)], -1)


@public(namespace="torch.linalg")
def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """Powers of the elements of vectors from 0 up to N - 1 (as many as elements)."""
    t = tensor_of(x, "linalg.vander", "x")
    count = N if N is not None else (t._array.shape[-1] if t.ndim else 1)
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    return powers(t, count)
