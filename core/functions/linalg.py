"""torch.linalg: products of several matrices, and what `core/linalg.py` gathers from the files beside this one."""

from __future__ import annotations

from collections.abc import Sequence

from ..ops.lapack import LinAlgError
from ..tensor import Tensor
from .catalogue import public
from .factorizations import (
    eigh,
    eigvalsh,
    lstsq,
    lu,
    lu_factor,
    lu_factor_ex,
    lu_solve,
    matrix_rank,
    pinv,
    qr,
    svd,
    svdvals,
)  # fmt: skip
from .matrix import crossed, mm
from .matrix import matmul as _product
from .matrix_functions import (
    cond,
    diagonal,
    matrix_exp,
    matrix_norm,
    matrix_power,
    norm,
    vander,
    vecdot,
    vector_norm,
)  # fmt: skip
from .matrix_functions import linalg_matmul as matmul
from .reflections import householder_product
from .shape import squeeze, unsqueeze
from .solvers import (
    cholesky,
    cholesky_ex,
    det,
    inv,
    inv_ex,
    slogdet,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
)  # fmt: skip

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]  # fmt: skip


@public(namespace="torch.linalg", out=True, exact=True)
def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """Cross product of vectors of size 3 along `dim`; the other dimensions broadcast."""
    return crossed(input, other, dim)


@public(namespace="torch.linalg", out=True, exact=True)
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of matrices in the cheapest order; the first and the last may be vectors."""
    many = list(tensors)
    n = len(many)
    if n < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {n}")
    for i, t in enumerate(many):
        low = 1 if i in (0, n - 1) else 2
        if not low <= t.ndim <= 2:
            kind = "1D or 2D" if low == 1 else "2D"
            raise RuntimeError(f"multi_dot(): tensor {i} must be {kind} but got {t.ndim}D")
    row, column = many[0].ndim == 1, many[-1].ndim == 1
    matrices = list(many)
    if row:
        matrices[0] = unsqueeze(many[0], 0)
    if column:
        matrices[-1] = unsqueeze(many[-1], 1)
    for i in range(n - 1):
        if matrices[i]._array.shape[1] != matrices[i + 1]._array.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(many[i].shape)} and {list(many[i + 1].shape)} cannot be multiplied"
            )
    out = _multiplied(matrices, _splits(matrices), 0, n - 1) if n > 2 else _product(*matrices)
    if row:
        out = squeeze(out, 0)
    return squeeze(out, -1) if column else out


def _splits(matrices: list[Tensor]) -> dict[tuple[int, int], int]:
    """For every run of matrices after which of them it is best split (the matrix chain problem, by dynamic programming)."""
    sizes = [matrices[0]._array.shape[0], *(t._array.shape[1] for t in matrices)]
    n = len(matrices)
    cost = {(i, i): 0 for i in range(n)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            choices = [
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            ]
            cost[i, j], split[i, j] = min(choices)
    return split


def _multiplied(matrices: list[Tensor], split: dict[tuple[int, int], int], i: int, j: int) -> Tensor:
    if i == j:
        return matrices[i]
    k = split[i, j]
    return mm(_multiplied(matrices, split, i, k), _multiplied(matrices, split, k + 1, j))
