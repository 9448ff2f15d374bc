"""torch.linalg: inverses, linear equations, Cholesky factors, determinants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..backends import module_of
from ..ops import solving as _so
from ..ops.lapack import factored, info_of_cholesky, info_of_lu, raised
from ..ops.registry import apply, apply_several
from ..tensor import Tensor
from .arguments import tensor_of
from .catalogue import public
from .matrices import batched, floating_matrix, named, of_equal_sides, one_dtype, square, turned
from .shape import movedim, reshape, squeeze, unsqueeze

InvEx = named("linalg_inv_ex", "inverse info")
SolveEx = named("linalg_solve_ex", "result info")
CholeskyEx = named("linalg_cholesky_ex", "L info")
LinalgSlogdet = named("linalg_slogdet", "sign logabsdet")


@public(namespace="torch.linalg", out=True)
def inv(A: Tensor) -> Tensor:
    """Inverses. Raises LinAlgError for a singular matrix."""
    return apply(_so.Inv, (square("linalg.inv", A),), ("linalg.inv",))


def _info(a: Tensor, out: Tensor) -> Any:
    """The number of the first pivot of `a` that is 0, where `out` is not finite."""
    xp = module_of(a._array)
    if bool(xp.isfinite(out._array).all()):
        return xp.zeros(a._array.shape[:-2], "int32")
    return info_of_lu(factored(a._array)[0])


@public(namespace="torch.linalg", out=True)
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """Inverses and, in `info`, the number of the first pivot that is 0 where a matrix is singular: its inverse is NaN then."""
    t = square("linalg.inv", A)
    out = apply(_so.Inv, (t,), ("linalg.inv_ex" if check_errors else None,))
    return InvEx(out, Tensor._wrap(_info(t, out)))


def _sides(name: str, A: Any, B: Any, left: bool) -> tuple[Tensor, Tensor, bool]:
    """A and B of a @ x = b with one batch, and whether B is a vector (or a batch of them)."""
    a, b = square(name, A), tensor_of(B, name, "B")
    one_dtype(name, a, b)
    vector = b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])
    if vector:
        b = unsqueeze(b, -1)
    n, k = a._array.shape[-1], b._array.shape[-2 if left else -1]
    if n != k:
        how = "AX = B" if left else "XA = B"
        m, p = b._array.shape[-2:]
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {how} ({n}x{n} and {m}x{p})"
        )
    if not left:
        a, b = turned(a), turned(b)
    return *batched(a, b), vector


@public(namespace="torch.linalg", out=True)
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The solution X of A @ X = B, or of X @ A = B. B may be a vector. Raises LinAlgError for a singular matrix."""
    a, b, vector = _sides("linalg.solve", A, B, left)
    out = apply(_so.Solve, (a, b), ("torch.linalg.solve",))
    return squeeze(out, -1) if vector else out if left else turned(out)


@public(namespace="torch.linalg", out=True)
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """`solve`, and in `info` the number of the first pivot that is 0 where a matrix is singular: its solution is NaN then."""
    a, b, vector = _sides("linalg.solve", A, B, left)
    out = apply(_so.Solve, (a, b), ("torch.linalg.solve_ex" if check_errors else None,))
    info = Tensor._wrap(_info(a, out))
    return SolveEx(squeeze(out, -1) if vector else out if left else turned(out), info)


@public(namespace="torch.linalg", out=True)
def solve_triangular(
    input: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """The solution of A @ X = B (or X @ A = B) for triangular A: its other half, and a diagonal said to be 1, are not read."""
    name = "linalg.solve_triangular"
    a, b = floating_matrix(name, input), tensor_of(B, name, "B")
    if b.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor B must have at least 2 dimensions.")
    of_equal_sides(name, a)
    one_dtype(name, a, b)
    n, k = a._array.shape[-1], b._array.shape[-2 if left else -1]
    if n != k:
        how = "AX = B" if left else "XA = B"
        m, p = b._array.shape[-2:]
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {how} ({n}x{n} and {m}x{p})"
        )
    if left:
        return apply(_so.SolveTriangular, batched(a, b), (bool(upper), bool(unitriangular)))
    return turned(apply(_so.SolveTriangular, batched(turned(a), turned(b)), (not upper, bool(unitriangular))))


@public(namespace="torch.linalg", out=True)
def cholesky(input: Tensor, *, upper: bool = False) -> Tensor:
    """The lower factor L with A = L @ L.mT (or upper: its transpose). Raises LinAlgError where A is not positive-definite."""
    a = square("linalg.cholesky", input)
    factor = apply(_so.Cholesky, (turned(a) if upper else a,), ("linalg.cholesky",))
    return turned(factor) if upper else factor


@public(namespace="torch.linalg", out=True)
def cholesky_ex(input: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """`cholesky`, and in `info` the order of the first leading minor that is not positive; such a factor is unspecified."""
    a = square("linalg.cholesky", input)
    a = turned(a) if upper else a
    _, info = info_of_cholesky(a._array)
    if check_errors and bool((info > 0).any()):
        raise raised(
            "linalg.cholesky_ex",
            info,
            "The factorization could not be completed because the input is not positive-definite "
            "(the leading minor of order {} is not positive-definite).",
        )
    factor = apply(_so.Cholesky, (a,), (None,))
    return CholeskyEx(turned(factor) if upper else factor, Tensor._wrap(info))


@public(namespace="torch.linalg", out=True)
def det(A: Tensor) -> Tensor:
    """Determinants."""
    return apply(_so.Det, (square("linalg.det", A),))


@public(namespace="torch.linalg", out=True)
def slogdet(A: Tensor) -> Any:
    """The determinants' signs and the logarithms of their magnitudes."""
    return LinalgSlogdet(*apply_several(_so.Slogdet, (square("linalg.slogdet", A),)))


@public(namespace="torch.linalg", out=True)
def tensorinv(input: Tensor, ind: int = 2) -> Tensor:
    """The inverse of the linear map from the dimensions after `ind` to those before it."""
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    shape = tuple(tensor_of(input, "tensorinv").shape)
    before, after = shape[:ind], shape[ind:]
    n, k = math.prod(before), math.prod(after)
    if n != k:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), "
            f"but got {k} != {n}"
        )
    return reshape(inv(reshape(input, (n, k))), (*after, *before))


@public(namespace="torch.linalg", out=True)
def tensorsolve(input: Tensor, other: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """The solution X of tensordot(A, X, dims=X.ndim) = B, after `dims` of A are moved to its end."""
    a = tensor_of(input, "tensorsolve")
    b = tensor_of(other, "tensorsolve", "B")
    if dims is not None:
        a = movedim(a, tuple(dims), tuple(range(a.ndim - len(dims), a.ndim)))
    shape = tuple(a.shape)[b.ndim :]
    n, k = math.prod(shape), math.prod(tuple(a.shape)[: b.ndim])
    if n != k:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), "
            f"but got {n} != {k}"
        )
    return reshape(solve(reshape(a, (b.numel(), n)), reshape(b, (-1,))), shape)
