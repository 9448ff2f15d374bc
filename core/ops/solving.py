"""Inverses, solutions of linear equations, Cholesky factors, determinants."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..node import Op
from .lapack import called, eye, factored, info_of_cholesky, info_of_lu, raised, triangular
from .registry import register


@register("eye_like")
class EyeLike(Op):
    """eye_like(a): the identity as large as the columns of `a`; no gradient."""

    __slots__ = ()
    exact = True
    forward = staticmethod(eye)

    def backward(self, m: Any, g: Any) -> Any:
        return (None,)


def _in_order(a: Any) -> Any:
    """`a` laid out in the order of its elements, as PyTorch's result is."""
    return a if a.flags.c_contiguous else module_of(a).ascontiguousarray(a)


@register("tril")
class Tril(Op):
    """tril(a, k): zeros above diagonal k."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(a: Any, k: int) -> Any:
        return _in_order(module_of(a).tril(a, k))

    def backward(self, m: Any, g: Any) -> Any:
        return (m.tril(g, self.attrs[0]),)


@register("triu")
class Triu(Op):
    """triu(a, k): zeros below diagonal k."""

    __slots__ = ()
    exact = True

    @staticmethod
    def forward(a: Any, k: int) -> Any:
        return _in_order(module_of(a).triu(a, k))

    def backward(self, m: Any, g: Any) -> Any:
        return (m.triu(g, self.attrs[0]),)


def _one_by_one(a: Any, out: Any, fill: Any) -> Any:
    """Puts into `out` what `fill(i)` gives for each matrix of the batch, NaN where that is None."""
    flat = out.reshape(-1, *out.shape[-2:])
    for i in range(len(flat)):
        found = fill(i)
        flat[i] = a.dtype.type("nan") if found is None else found
    return flat.reshape(out.shape)


def _spoiled(a: Any, out: Any, dims: int = 2, value: float = float("nan")) -> Any:
    """`out` with `value` for the matrices that hold NaN: LAPACK's pivoting passes over it, and may give a number."""
    bad = (a != a).any(axis=(-2, -1))
    if not bool(bad.any()):
        return out
    return module_of(a).where(bad.reshape(bad.shape + (1,) * dims), a.dtype.type(value), out)


@register("inv")
class Inv(Op):
    """inv(a, name): inverses; a singular matrix raises LinAlgError for the function `name`, or gives NaN where it is None."""

    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any, name: str | None) -> Any:
        if not a.size:
            return a.copy()
        out = called("inv", a)
        if out is not None:
            return _spoiled(a, out)
        info = info_of_lu(factored(a)[0])
        if name is not None and bool((info > 0).any()):
            raise raised(
                name,
                info,
                "The diagonal element {} is zero, the inversion could not be completed because the input matrix is singular.",
            )
        flat = a.reshape(-1, *a.shape[-2:])
        return _one_by_one(a, module_of(a).empty(a.shape, a.dtype), lambda i: called("inv", flat[i]))

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        turned = m.swap_last(out)
        return (-m.matmul(m.matmul(turned, g), turned),)

    def name(self) -> str:
        return "LinalgInvExBackward0"


@register("solve", inputs=2)
class Solve(Op):
    """solve(a, b, name): the solution x of a @ x = b for matrices of one batch shape; singular ones as in inv."""

    __slots__ = ()
    save = (0, "out")

    @staticmethod
    def forward(a: Any, b: Any, name: str | None) -> Any:
        xp = module_of(a)
        if not b.size or not a.size:
            return xp.zeros(b.shape, b.dtype)
        out = called("solve", a, b)
        if out is not None:
            return _spoiled(a, out)
        info = info_of_lu(factored(a)[0])
        if name is not None and bool((info > 0).any()):
            raise raised(name, info, "The solver failed because the input matrix is singular.")
        matrices, sides = a.reshape(-1, *a.shape[-2:]), b.reshape(-1, *b.shape[-2:])
        return _one_by_one(a, xp.empty(b.shape, b.dtype), lambda i: called("solve", matrices[i], sides[i]))

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        side = m.solve(m.swap_last(a), g, self.attrs[0])
        return -m.matmul(side, m.swap_last(out)) if self.edges[0] is not None else None, side

    def name(self) -> str:
        return "LinalgSolveExBackward0"


@register("solve_triangular", inputs=2)
class SolveTriangular(Op):
    """solve_triangular(a, b, upper, unit): the solution x of a @ x = b, of which only the triangle is read."""

    __slots__ = ()
    save = (0, "out")

    @staticmethod
    def forward(a: Any, b: Any, upper: bool, unit: bool) -> Any:
        return triangular(a, b, upper, unit)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        upper, unit = self.attrs
        side = m.solve_triangular(m.swap_last(a), g, not upper, unit)
        ga = None
        if self.edges[0] is not None:
            full = -m.matmul(side, m.swap_last(out))
            ga = m.triu(full, int(unit)) if upper else m.tril(full, -int(unit))
        return ga, side

    def name(self) -> str:
        return "LinalgSolveTriangularBackward0"


@register("cholesky")
class Cholesky(Op):
    """cholesky(a, name): the lower factor, read from the lower triangle.

    A matrix that is not positive-definite raises LinAlgError for the function `name`; where that is None its factor is
    unspecified.
    """

    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any, name: str | None) -> Any:
        if not a.size:
            return a.copy()
        out = called("cholesky", a)
        if out is not None and bool((out == out).all()):
            return out
        partial, info = info_of_cholesky(a)
        if name is not None and bool((info > 0).any()):
            raise raised(
                name,
                info,
                "The factorization could not be completed because the input is not positive-definite "
                "(the leading minor of order {} is not positive-definite).",
            )
        return partial

    def backward(self, m: Any, g: Any, out: Any) -> Any:
        # I. Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527, equation 9
        turned = m.swap_last(out)
        inner = m.tril(m.matmul(turned, m.tril(g, 0)), 0)
        inner = (inner + m.swap_last(m.tril(inner, -1))) * 0.5
        left = m.solve_triangular(turned, inner, True, False)
        return (m.swap_last(m.solve_triangular(turned, m.swap_last(left), True, False)),)

    def name(self) -> str:
        return "LinalgCholeskyExBackward0"


@register("cholesky_solve", inputs=2)
class CholeskySolve(Op):
    """cholesky_solve(b, factor, upper): the solution x of a @ x = b, given a's factor, of which one triangle is read.

    The gradient is that of the product of the whole factor with its transpose, as in PyTorch.
    """

    __slots__ = ()
    save = (1, "out")

    @staticmethod
    def forward(b: Any, factor: Any, upper: bool) -> Any:
        turned = factor.swapaxes(-2, -1)
        first, second = (turned, factor) if upper else (factor, turned)
        return triangular(second, triangular(first, b, False, False), True, False)

    def backward(self, m: Any, g: Any, factor: Any, out: Any) -> Any:
        (upper,) = self.attrs
        side = m.cholesky_solve(g, factor, upper)
        gf = None
        if self.edges[1] is not None:
            half = m.matmul(side, m.swap_last(out))
            both = -half - m.swap_last(half)
            gf = m.matmul(factor, both) if upper else m.matmul(both, factor)
        return side, gf


@register("det")
class Det(Op):
    """det(a). The gradient is the transposed adjugate, by the singular values where a matrix is singular."""

    __slots__ = ()
    save = (0, "out")

    @staticmethod
    def forward(a: Any) -> Any:
        xp = module_of(a)
        return _spoiled(a, xp.linalg.det(a), 0) if a.size else xp.ones(a.shape[:-2], a.dtype)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        batch = tuple(out.shape)
        if not bool((getattr(out, "_array", out) == 0).any()):
            return (m.reshape(g * out, (*batch, 1, 1)) * m.swap_last(m.inv(a, None)),)
        u, s, vh = m.svd(a, False)
        n = s.shape[-1]
        identity = m.eye_like(a)
        others = m.prod(m.reshape(s, (*batch, 1, n)) * (1 - identity) + identity, len(batch) + 1, False)
        sign = m.det(u) * m.det(vh) * g
        return (m.matmul(u * m.reshape(others, (*batch, 1, n)), vh) * m.reshape(sign, (*batch, 1, 1)),)

    def name(self) -> str:
        return "LinalgDetBackward0"


@register("slogdet", outputs=2)
class Slogdet(Op):
    """slogdet(a): the sign of the determinant and the logarithm of its magnitude."""

    __slots__ = ()
    save = (0,)

    @staticmethod
    def forward(a: Any) -> Any:
        xp = module_of(a)
        if not a.size:
            return xp.ones(a.shape[:-2], a.dtype), xp.zeros(a.shape[:-2], a.dtype)
        sign, logarithm = xp.linalg.slogdet(a)
        return _spoiled(a, xp.asarray(sign), 0, 0.0), _spoiled(a, xp.asarray(logarithm), 0)

    def backward(self, m: Any, g: Any, a: Any) -> Any:
        if g[1] is None:
            return (m.zeros_like(a),)
        return (m.reshape(g[1], (*g[1].shape, 1, 1)) * m.swap_last(m.inv(a, None)),)

    def name(self) -> str:
        return "LinalgSlogdetBackward0"
