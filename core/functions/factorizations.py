"""torch.linalg: QR, singular values, eigenvalues of symmetric matrices, LU, pseudo-inverses, least squares, rank."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import module_of
from ..ops import decompositions as _de
from ..ops import solving as _so
from ..ops.lapack import info_of_lu, pivoted
from ..ops.registry import apply, apply_several
from ..tensor import Tensor
from .arguments import tensor_of
from .arithmetic import where
from .catalogue import public
from .matrices import batched, floating_matrix, named, of_equal_sides, one_dtype, square, turned
from .matrix import matmul
from .shape import squeeze, unsqueeze
from .triangles import tril, triu

Qr = named("linalg_qr", "Q R")
Svd = named("linalg_svd", "U S Vh")
Eigh = named("linalg_eigh", "eigenvalues eigenvectors")
Lu = named("linalg_lu", "P L U")
LuFactor = named("linalg_lu_factor", "LU pivots")
LuFactorEx = named("linalg_lu_factor_ex", "LU pivots info")
Lstsq = named("linalg_lstsq", "solution residuals rank singular_values")


@public(namespace="torch.linalg", out=True)
def qr(A: Tensor, mode: str = "reduced") -> Any:
    """A = Q @ R with orthogonal Q and upper triangular R. mode: "reduced", "complete", or "r" (without Q, no gradient)."""
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    a = floating_matrix("linalg.qr", A)
    if mode == "r":
        if a.requires_grad:
            raise RuntimeError(
                "linalg_qr_backward: The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please "
                "use linalg.qr(A, mode='reduced')."
            )
        _, r = apply_several(_de.Qr, (a,), ("reduced",))
        return Qr(Tensor._wrap(module_of(a._array).zeros((0,), a._array.dtype)), r)
    return Qr(*apply_several(_de.Qr, (a,), (mode,)))


def _driver(name: str, driver: str | None, a: Tensor) -> None:
    if driver is not None:
        raise RuntimeError(
            f"{name}: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend."
        )


@public(namespace="torch.linalg", out=True)
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """A = U @ diag(S) @ Vh with orthogonal U and Vh; S falls. Of equal singular values gradients are NaN or infinite."""
    a = floating_matrix("linalg.svd", A)
    _driver("torch.linalg.svd", driver, a)
    return Svd(*apply_several(_de.Svd, (a,), (bool(full_matrices),)))


@public(namespace="torch.linalg", out=True)
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """Singular values, falling."""
    a = floating_matrix("linalg.svd", A)
    _driver("torch.linalg.svd", driver, a)
    values: Tensor = apply_several(_de.Svd, (a,), (False,))[1]
    return values


def _uplo(UPLO: str) -> str:
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return UPLO.upper()


@public(namespace="torch.linalg", out=True)
def eigh(input: Tensor, UPLO: str = "L") -> Any:
    """Eigenvalues, rising, and eigenvectors of symmetric matrices, of which the lower or upper triangle is read."""
    a, side = square("linalg.eigh", input), _uplo(UPLO)
    return Eigh(*apply_several(_de.Eigh, (a,), (side,)))


@public(namespace="torch.linalg", out=True)
def eigvalsh(input: Tensor, UPLO: str = "L") -> Tensor:
    """Eigenvalues of symmetric matrices, rising."""
    a, side = square("linalg.eigvalsh", input), _uplo(UPLO)
    values: Tensor = apply_several(_de.Eigh, (a,), (side,))[0]
    return values


def _pivot(pivot: bool) -> None:
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented; use pivot=True")


def unpacked(lu: Tensor) -> tuple[Tensor, Tensor]:
    """L and U of packed factors."""
    m, n = lu._array.shape[-2:]
    k = min(m, n)
    low = tril(lu[..., :, :k], -1)
    xp = module_of(lu._array)
    ones = (xp.arange(m)[:, None] == xp.arange(k)).astype(lu._array.dtype)
    return low + Tensor._wrap(ones), triu(lu[..., :k, :])


def permutation(lu: Tensor, pivots: Tensor) -> Any:
    """The raw permutation matrix of pivots that count from 1."""
    p = tensor_of(pivots, "lu_unpack", "LU_pivots")._array
    if p.dtype != np.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype."
        )
    xp = module_of(p)
    rows, k = lu._array.shape[-2], p.shape[-1]
    flat = p.reshape(-1, k).astype(np.int64) - 1
    order = xp.zeros((len(flat), rows), np.int64) + xp.arange(rows)
    batch = xp.arange(len(flat))
    for i in range(k):
        taken, own = order[batch, flat[:, i]], order[:, i].copy()
        order[batch, flat[:, i]] = own
        order[:, i] = taken
    return pivoted(order.reshape((*p.shape[:-1], rows)), lu._array.dtype)


@public(namespace="torch.linalg", out=True)
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """A = P @ L @ U with a permutation, unit lower triangular L and upper triangular U."""
    a = floating_matrix("linalg.lu", A)
    _pivot(pivot)
    factors, _, p = apply_several(_de.Lu, (a,))
    return Lu(p.detach(), *unpacked(factors))


@public(namespace="torch.linalg", out=True)
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """The packed LU factors and the pivots, which count from 1. Raises RuntimeError where a pivot is 0."""
    a = floating_matrix("torch.linalg.lu_factor", A)
    _pivot(pivot)
    factors, pivots, _ = apply_several(_de.Lu, (a,))
    info = info_of_lu(factors._array)
    if bool((info > 0).any()):
        flat = info.reshape(-1)
        first = int((flat > 0).argmax())
        which = f"(Batch element {first}): " if info.ndim else ""
        i = int(flat[first])
        raise RuntimeError(
            f"torch.linalg.lu_factor: {which}U[{i},{i}] is zero and using it on lu_solve would result in a division by zero. "
            "If you still want to perform the factorization, consider calling linalg.lu(A, pivot) or "
            "linalg.lu_factor_ex(A, pivot)"
        )
    return LuFactor(factors, pivots)


@public(namespace="torch.linalg", out=True)
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """`lu_factor` that tells in `info` the number of the first pivot that is 0."""
    if check_errors:
        factors, pivots = lu_factor(A, pivot=pivot)
    else:
        _pivot(pivot)
        factors, pivots, _ = apply_several(_de.Lu, (floating_matrix("torch.linalg.lu_factor", A),))
    return LuFactorEx(factors, pivots, Tensor._wrap(info_of_lu(factors._array)))


def lu_solved(LU: Tensor, pivots: Tensor, B: Tensor, left: bool = True, adjoint: bool = False) -> Tensor:
    name = "linalg.lu_solve"
    a, b = floating_matrix(name, LU, "LU"), floating_matrix(name, B, "B")
    if tensor_of(pivots, name, "pivots")._array.dtype != np.int32:
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32")
    of_equal_sides(name, a)
    one_dtype(name, a, b, "LU", "B")
    n, k = a._array.shape[-1], b._array.shape[-2 if left else -1]
    if n != k:
        how = "AX = B" if left else "XA = B"
        m, p = b._array.shape[-2:]
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {how} ({n}x{n} and {m}x{p})"
        )
    order = Tensor._wrap(permutation(a, pivots))
    if not left:
        b = turned(b)
    if adjoint is left:  # A.mT = U.mT @ L.mT @ P.mT
        both = batched(turned(a), b)
        half = apply(_so.SolveTriangular, both, (False, False))
        x = matmul(order, apply(_so.SolveTriangular, (both[0], half), (True, True)))
    else:
        both = batched(a, matmul(turned(order), b))
        half = apply(_so.SolveTriangular, both, (False, True))
        x = apply(_so.SolveTriangular, (both[0], half), (True, False))
    return x if left else turned(x)


@public(namespace="torch.linalg", out=True)
def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The solution X of A @ X = B (or X @ A = B; of A.mT where adjoint), given the results of lu_factor(A)."""
    return lu_solved(LU, pivots, B, left, adjoint)


def _tolerances(a: Tensor, atol: Any, rtol: Any) -> tuple[Any, Any]:
    """Raw arrays or numbers; without any, rtol is the dtype's epsilon times the larger side, and 0 beside an atol above 0."""
    usual = float(np.finfo(a._array.dtype).eps) * max(a._array.shape[-2:])
    atol, rtol = (x._array if isinstance(x, Tensor) else x for x in (atol, rtol))
    if rtol is None:
        if atol is None:
            rtol = usual
        elif isinstance(atol, (int, float)):
            rtol = 0.0 if atol > 0 else usual
        else:
            rtol = module_of(atol).where(atol > 0, 0.0, usual)
    return 0.0 if atol is None else atol, rtol


@public(namespace="torch.linalg", out=True)
def pinv(
    input: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """The pseudo-inverse, without the singular values up to max(atol, rtol * the largest)."""
    a = floating_matrix("linalg.pinv", input)
    if hermitian:
        of_equal_sides("linalg.pinv", a)
        if not a._array.size:
            return turned(a)
        least, share = _tolerances(a, atol, rcond if rtol is None else rtol)
        w, v = apply_several(_de.Eigh, (a,), ("L",))
        size = abs(w._array)
        xp = module_of(size)
        bound = xp.maximum(xp.asarray(least, size.dtype), xp.asarray(share, size.dtype) * size.max(axis=-1))
        kept = Tensor._wrap(size > bound[..., None])
        inverse = where(kept, 1 / where(kept, w, 1.0), 0.0)
        return matmul(v * unsqueeze(inverse, -2), turned(v))
    return apply(_de.Pinv, (a,), _tolerances(a, atol, rcond if rtol is None else rtol))


def _symmetric(a: Tensor) -> Tensor:
    """The symmetric matrix that has a's lower triangle, which is all that is read of it."""
    return tril(a) + turned(tril(a, -1))


@public(namespace="torch.linalg", out=True)
def matrix_rank(
    input: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Tensor:
    """How many singular values are above max(atol, rtol * the largest)."""
    name = "torch.linalg.matrix_rank"
    a = floating_matrix(name, input, "input").detach()
    if hermitian:
        of_equal_sides(name, a)
        a = _symmetric(a)
    least, share = _tolerances(
        a, tol if atol is None else atol, 0.0 if tol is not None and rtol is None else rtol
    )
    s = apply_several(_de.Svd, (a,), (False,))[1]._array
    xp = module_of(s)
    if not s.shape[-1]:
        return Tensor._wrap(xp.zeros(s.shape[:-1], np.int64))
    bound = xp.maximum(xp.asarray(least, s.dtype), xp.asarray(share, s.dtype) * s.max(axis=-1))
    return Tensor._wrap(xp.asarray((s > bound[..., None]).sum(axis=-1)).astype(np.int64))


@public(namespace="torch.linalg")
def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """The X of least norm for which the norm of A @ X - B is least.

    Residuals (squared norms) are given where A has full rank and more rows than columns, by the drivers other than
    "gelsy", the usual one; singular values by "gelsd" and "gelss".
    """
    name = "torch.linalg.lstsq"
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)")
    a, b = floating_matrix(name, A, "input"), tensor_of(B, name, "B")
    one_dtype(name, a, b, "input", "other")
    m, n = a._array.shape[-2:]
    vector = b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])
    if b._array.shape[-1 if vector else -2] != m:
        sides = ("-2", "-1") if vector else ("-2", "-2")
        raise RuntimeError(f"{name}: input.size({sides[0]}) should match other.size({sides[1]})")
    a, right = batched(a, unsqueeze(b, -1) if vector else b)
    usual = float(np.finfo(a._array.dtype).eps) * max(m, n)
    share = usual if rcond is None else rcond
    solution = matmul(apply(_de.Pinv, (a,), (0.0, share)), right)
    xp = module_of(a._array)
    s = apply_several(_de.Svd, (a.detach(),), (False,))[1]
    bound = share * s._array.max(axis=-1, keepdims=True) if s._array.size else s._array
    count = xp.asarray((s._array > bound).sum(axis=-1)).astype(np.int64)
    nothing = Tensor._wrap(xp.zeros((0,), a._array.dtype))
    residuals = nothing
    if driver not in (None, "gelsy") and m > n and bool((count == n).all()):
        residuals = (matmul(a, solution) - right).square().sum(-2)
    rank = Tensor._wrap(xp.zeros((0,), np.int64) if driver == "gels" else count)
    values = s if driver in ("gelsd", "gelss") else nothing
    return Lstsq(squeeze(solution, -1) if vector else solution, residuals, rank, values)
