"""Functions of matrices that torch has itself, beside those of torch.linalg."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..dtypes import FLOATS
from ..ops import decompositions as _de
from ..ops import solving as _so
from ..ops import statistics as _st
from ..ops.lapack import eye
from ..ops.registry import apply, apply_several
from ..tensor import Tensor
from . import factorizations as _fa
from . import matrix_functions as _mf
from .arguments import tensor_of
from .arithmetic import where
from .catalogue import public
from .matrices import batched, floating_matrix, named, of_equal_sides, one_dtype, square, turned
from .matrix import SCALAR_NAMES, broadcast
from .rearranging import flip
from .shape import unsqueeze

__all__ = [
    "cdist", "cholesky", "cholesky_inverse", "cholesky_solve", "det", "inverse", "logdet", "lu", "lu_solve", "lu_unpack", "matrix_exp",
    "matrix_power", "pinverse", "qr", "slogdet", "svd", "vander",
]  # fmt: skip
Slogdet = named("slogdet", "sign logabsdet")
Qr = named("qr", "Q R")
Svd = named("svd", "U S V")
LuUnpack = named("lu_unpack", "P L U")


@public(out=True)
def inverse(input: Tensor) -> Tensor:
    """torch.linalg.inv."""
    return apply(_so.Inv, (square("linalg.inv", input),), ("linalg.inv",))


@public()
def det(input: Tensor) -> Tensor:
    """Determinants."""
    return apply(_so.Det, (square("linalg.det", input),))


def _slogdet(input: Tensor) -> Any:
    return apply_several(_so.Slogdet, (square("linalg.slogdet", input),))


@public(out=True)
def slogdet(input: Tensor) -> Any:
    """The determinants' signs and the logarithms of their magnitudes."""
    return Slogdet(*_slogdet(input))


@public()
def logdet(input: Tensor) -> Tensor:
    """Logarithms of determinants; NaN of negative ones."""
    sign, logarithm = _slogdet(input)
    result: Tensor = where(sign < 0, float("nan"), logarithm)
    return result


@public(out=True)
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """torch.linalg.cholesky."""
    a = square("cholesky", input)
    factor = apply(_so.Cholesky, (turned(a) if upper else a,), ("cholesky",))
    return turned(factor) if upper else factor


@public(out=True)
def cholesky_solve(input: Tensor, input2: Tensor, upper: bool = False) -> Tensor:
    """The solution X of A @ X = input, given A's Cholesky factor `input2`."""
    b, a = floating_matrix("cholesky_solve", input, "b"), floating_matrix("cholesky_solve", input2, "u")
    of_equal_sides("cholesky_solve", a)
    one_dtype("cholesky_solve", b, a, "b", "A")
    if a._array.shape[-1] != b._array.shape[-2]:
        m, p = b._array.shape[-2:]
        n = a._array.shape[-1]
        raise RuntimeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {n} by {n} but each b matrix is {m} by {p}"
        )
    a, b = batched(a, b)
    return apply(_so.CholeskySolve, (b, a), (bool(upper),))


@public(out=True)
def cholesky_inverse(input: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A, given its Cholesky factor."""
    a = floating_matrix("cholesky_inverse", input)
    of_equal_sides("cholesky_inverse", a)
    one = Tensor._wrap(module_of(a._array).broadcast_to(eye(a._array), a._array.shape))
    return apply(_so.CholeskySolve, (one, a), (bool(upper),))


@public(out=True)
def qr(input: Tensor, some: bool = True) -> Any:
    """torch.linalg.qr, "complete" where `some` is False."""
    return Qr(*_fa.qr(input, "reduced" if some else "complete"))


@public(out=True)
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """Singular value decomposition: input = U @ diag(S) @ V.mT. Without compute_uv, U and V are zeros."""
    a = floating_matrix("linalg.svd", input)
    u, s, vh = apply_several(_de.Svd, (a,), (not some,))
    if not compute_uv:
        xp, (m, n) = module_of(a._array), a._array.shape[-2:]
        batch = a._array.shape[:-2]
        u, vh = (Tensor._wrap(xp.zeros((*batch, k, k), a._array.dtype)) for k in (m, n))
    return Svd(u, s, turned(vh))


@public()
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """The pseudo-inverse, without the singular values up to rcond times the largest."""
    return apply(_de.Pinv, (floating_matrix("linalg.pinv", input),), (0.0, rcond))


@public(out=True)
def matrix_power(input: Tensor, n: int) -> Tensor:
    """The n-th power of square matrices, of their inverses where n is negative."""
    return _mf.power("linalg.matrix_power", input, n)


@public()
def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of square matrices."""
    return _mf.exponential("linalg.matrix_exp", input)


@public(out=True)
def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """The solution of A @ X = input, given the factors and pivots of torch.linalg.lu_factor(A)."""
    return _fa.lu_solved(LU_data, LU_pivots, input)


@public()
def lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """The packed LU factors, the pivots and, where asked for, the number of the first pivot that is 0."""
    factors, pivots, info = _fa.lu_factor_ex(A, pivot=pivot)
    return (factors, pivots, info) if get_infos else (factors, pivots)


@public(method=False, out=True)
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """P, L and U with A = P @ L @ U, of the factors and pivots of torch.linalg.lu_factor(A); empty ones where not wanted."""
    a = tensor_of(LU_data, "lu_unpack", "LU_data")
    if a.ndim < 2:
        raise RuntimeError("lu_unpack: LU_data must have at least 2 dimensions")
    empty = Tensor._wrap(module_of(a._array).zeros((0,), a._array.dtype))
    low, up = _fa.unpacked(a) if unpack_data else (empty, empty)
    p = Tensor._wrap(_fa.permutation(a, LU_pivots)) if unpack_pivots else empty
    return LuUnpack(p, low, up)


@public(method=False)
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of the elements of a vector, N of each (as many as elements), falling unless `increasing`."""
    if tensor_of(x, "vander", "x").ndim != 1:
        raise RuntimeError("x must be a one-dimensional tensor.")
    count = x.numel() if N is None else N
    if count < 0:
        raise RuntimeError("N must be non-negative.")
    powers = _mf.powers(x, count)
    return powers if increasing else flip(powers, (1,))


def _points(name: str, x: Any, which: str) -> Tensor:
    t = tensor_of(x, name, which)
    if t.ndim < 2:
        raise RuntimeError(f"{name} only supports at least 2D tensors, {which.upper()} got: {t.ndim}D")
    if t._array.dtype not in FLOATS:
        raise RuntimeError(
            f"{name} only supports floating-point dtypes, {which.upper()} got: {SCALAR_NAMES[t.dtype.name]}"
        )
    return t


@public(method=False)
def cdist(
    x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary"
) -> Tensor:
    """The p-norm distances of all pairs of rows of two (batches of) matrices.

    compute_mode is accepted and changes nothing: distances are always taken from differences, which loses no digits.
    """
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode not in modes:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    a, b = _points("cdist", x1, "x1"), _points("cdist", x2, "x2")
    n, k = a._array.shape[-1], b._array.shape[-1]
    if n != k:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {n} X2: {k}")
    if a._array.dtype != b._array.dtype:
        raise RuntimeError(
            f"expected scalar type {SCALAR_NAMES[a.dtype.name]} but found {SCALAR_NAMES[b.dtype.name]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    broadcast(a._array.shape[:-2], b._array.shape[:-2])
    return _lengths(unsqueeze(a, -2) - unsqueeze(b, -3), float(p))


def _lengths(difference: Tensor, p: float) -> Tensor:
    shape = difference._array.shape
    if not shape[-1]:
        return difference.sum(-1)
    return apply(_st.VectorNorm, (difference,), (p, (len(shape) - 1,), False, shape))
