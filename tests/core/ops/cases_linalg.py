"""Factorizations of matrices. Gradients of factors are those with respect to what their uniqueness leaves free."""

from __future__ import annotations

import numpy as np
import torch

from .cases import Case, given, positive, signed

_draw = np.random.default_rng(34)
L = torch.linalg


def regular(*shape: int) -> np.ndarray:
    """Random matrices with singular values from 1 to 2, apart from each other."""
    *batch, m, n = shape
    k = min(m, n)
    a = _draw.normal(size=(*batch, m, n))
    u, _, v = np.linalg.svd(a, full_matrices=False)
    return (u * (1 + np.arange(k) / k)) @ v


def definite(*shape: int) -> np.ndarray:
    a = regular(*shape)
    return a @ a.swapaxes(-2, -1)


def _lu(a):
    factors, pivots, _ = L.lu_factor_ex(a)
    return factors, pivots, torch.lu_unpack(factors, pivots)[0]


def _svd(a):
    """NumPy's: the signs of the vectors, which are nobody's choice, are those of the LAPACK that computes them."""
    return tuple(torch.from_numpy(x) for x in np.linalg.svd(a.numpy(), full_matrices=False))


SHAPES = {"matrix": (3, 3), "batch": (2, 2, 2)}
CASES: list[Case] = [
    Case("eye_like", (signed(2, 3),), lambda a: torch.eye(3, dtype=a.dtype)),
    *(Case(op, (signed(2, 3, 4),), lambda a, op=op, k=k: getattr(torch, op)(a, k), given(k), note=str(k)) for op in ("tril", "triu")
      for k in (0, 1, -1)),
    *(c for note, shape in SHAPES.items() for c in (
        Case("inv", (regular(*shape),), L.inv, given("inv"), note=note),
        Case("solve", (regular(*shape), signed(*shape[:-1], 2)), L.solve, given("solve"), note=note),
        Case("solve_triangular", (regular(*shape) + 2 * np.eye(shape[-1]), signed(*shape[:-1], 2)),
             lambda a, b: L.solve_triangular(a, b, upper=True), given(True, False), note=note),
        Case("solve_triangular", (regular(*shape), signed(*shape[:-1], 2)),
             lambda a, b: L.solve_triangular(a, b, upper=False, unitriangular=True), given(False, True), note=note + "-unit"),
        Case("cholesky", (definite(*shape),), L.cholesky, given("cholesky"), note=note, symmetric=True),
        Case("det", (regular(*shape),), L.det, note=note),
        Case("slogdet", (regular(*shape),), L.slogdet, note=note),
        Case("eigh", (definite(*shape),), L.eigh, given("L"), note=note, symmetric=True),
    )),
    # its gradient is that of a product with the other triangle, which is not read; 1 by 1 there is none
    *(Case("cholesky_solve", (signed(2, 1, 3), positive(2, 1, 1)), lambda b, a, upper=upper: torch.cholesky_solve(b, a, upper), given(upper),
           note=f"upper-{upper}") for upper in (False, True)),
    Case("solve_triangular", (np.tril(regular(20, 20)) + 3 * np.eye(20), signed(20, 1)), lambda a, b: L.solve_triangular(a, b, upper=False),
         given(False, False), note="blocks"),
    *(c for note, shape in {"tall": (3, 2), "wide": (2, 3), "batch": (2, 2, 2)}.items() for c in (
        Case("qr", (regular(*shape),), L.qr, given("reduced"), note=note),
        Case("svd", (regular(*shape),), _svd, given(False), note=note),
        Case("lu", (regular(*shape),), _lu, note=note),
        Case("pinv", (regular(*shape),), L.pinv, given(0.0, 1e-12), note=note),
    )),
]  # fmt: skip
