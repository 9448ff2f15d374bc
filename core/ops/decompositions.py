"""QR, singular values, eigenvalues of symmetric matrices, LU and pseudo-inverses."""

from __future__ import annotations

from typing import Any

from ..backends import module_of
from ..node import Op
from .lapack import LinAlgError, called, factored, pivoted, raised
from .registry import register


def _column(m: Any, x: Any) -> Any:
    """A vector (…, n) as (…, n, 1)."""
    return m.reshape(x, (*x.shape, 1))


def _row(m: Any, x: Any) -> Any:
    """A vector (…, n) as (…, 1, n)."""
    return m.reshape(x, (*x.shape[:-1], 1, x.shape[-1]))


def _or_zeros(m: Any, g: Any, like: Any) -> Any:
    return m.zeros_like(like) if g is None else g


@register("qr", outputs=2)
class Qr(Op):
    """qr(a, mode): "reduced" or "complete". S. Walter and L. Lehmann, arXiv:1001.1654."""

    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any, mode: str) -> Any:
        xp = module_of(a)
        m, n = a.shape[-2:]
        if not a.size:
            k = m if mode == "complete" else min(m, n)
            q = xp.zeros((*a.shape[:-2], m, k), a.dtype)
            places = xp.arange(min(m, k))
            q[..., places, places] = 1
            return q, xp.zeros((*a.shape[:-2], k, n), a.dtype)
        q, r = xp.linalg.qr(a, mode)
        return q, r

    def backward(self, m: Any, g: Any, q: Any, r: Any) -> Any:
        gq, gr = _or_zeros(m, g[0], q), _or_zeros(m, g[1], r)
        rows, columns = r.shape[-2:]
        if q.shape[-1] > columns:
            raise RuntimeError(
                "The QR decomposition is not differentiable when mode='complete' and nrows > ncols; use mode='reduced'"
            )
        if columns <= rows:
            return (_qr_square(m, gq, gr, q, r),)
        first, rest = r[..., :, :rows], r[..., :, rows:]
        g_first, g_rest = gr[..., :, :rows], gr[..., :, rows:]
        gq = gq + m.matmul(m.matmul(q, rest), m.swap_last(g_rest))
        left, right = _qr_square(m, gq, g_first, q, first), m.matmul(q, g_rest)
        return (m.cat(left, right, (len(r.shape) - 1, (rows, columns - rows))),)

    def name(self) -> str:
        return "LinalgQrBackward0"


def _qr_square(m: Any, gq: Any, gr: Any, q: Any, r: Any) -> Any:
    inner = m.triu(m.matmul(gr, m.swap_last(r)) - m.matmul(m.swap_last(q), gq), 0)
    both = inner + m.swap_last(m.triu(inner, 1))
    side = m.swap_last(gq + m.matmul(q, both))
    return m.swap_last(m.solve_triangular(r, side, True, False))


@register("svd", outputs=3)
class Svd(Op):
    """svd(a, full): U, the singular values, and V transposed; the gradient goes through the columns of the values alone."""

    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any, full: bool) -> Any:
        xp = module_of(a)
        m, n = a.shape[-2:]
        k = min(m, n)
        if not a.size:
            u = xp.zeros((*a.shape[:-2], m, m if full else k), a.dtype)
            v = xp.zeros((*a.shape[:-2], n if full else k, n), a.dtype)
            for x in (u, v):
                places = xp.arange(min(x.shape[-2:]))
                x[..., places, places] = 1
            return u, xp.zeros((*a.shape[:-2], k), a.dtype), v
        finite = xp.isfinite(a).all(axis=(-2, -1))
        if not bool(finite.all()):
            raise raised(
                "linalg.svd",
                ~finite,
                "The algorithm failed to converge because the input matrix contained non-finite values.",
            )
        out = called("svd", a, full_matrices=full)
        if out is None:
            raise LinAlgError("linalg.svd: The algorithm failed to converge.")
        return tuple(out)

    def backward(self, m: Any, g: Any, u: Any, s: Any, vh: Any) -> Any:
        k = s.shape[-1]
        gu, gs, gvh = g
        rows, columns = u.shape[-2], vh.shape[-1]
        u, vh = u[..., :, :k], vh[..., :k, :]
        if gu is None and gvh is None:
            return (m.matmul(u * _row(m, gs), vh),)
        identity = m.eye_like(s if len(s.shape) > 1 else _row(m, s))
        square = s * s
        apart = _row(m, square) - _column(m, square) + identity
        inner = None
        if gu is not None:
            gu = gu[..., :, :k]
            inner = _skew(m, m.matmul(m.swap_last(u), gu)) / apart * _row(m, s)
        if gvh is not None:
            gvh = gvh[..., :k, :]
            right = _skew(m, m.matmul(vh, m.swap_last(gvh))) / apart * _column(m, s)
            inner = right if inner is None else inner + right
        if gs is not None:
            inner = inner + identity * _row(m, gs)
        total = m.matmul(m.matmul(u, inner), vh)
        if gu is not None and rows > k:
            outside = gu - m.matmul(u, m.matmul(m.swap_last(u), gu))
            total = total + m.matmul(outside / _row(m, s), vh)
        if gvh is not None and columns > k:
            outside = gvh - m.matmul(m.matmul(gvh, m.swap_last(vh)), vh)
            total = total + m.matmul(u, outside / _column(m, s))
        return (total,)

    def name(self) -> str:
        return "LinalgSvdBackward0"


def _skew(m: Any, x: Any) -> Any:
    return x - m.swap_last(x)


@register("eigh", outputs=2)
class Eigh(Op):
    """eigh(a, uplo): eigenvalues, ascending, and eigenvectors of symmetric matrices, of which one triangle is read."""

    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any, uplo: str) -> Any:
        if not a.size:
            return module_of(a).zeros(a.shape[:-1], a.dtype), a.copy()
        out = called("eigh", a, uplo)
        if out is None:
            raise LinAlgError(
                "linalg.eigh: The algorithm failed to converge because the input matrix is ill-conditioned or has too many "
                "repeated eigenvalues."
            )
        return tuple(out)

    def backward(self, m: Any, g: Any, w: Any, v: Any) -> Any:
        gw, gv = g
        turned = m.swap_last(v)
        if gv is None:
            return (m.matmul(v * _row(m, gw), turned),)
        identity = m.eye_like(v)
        inner = m.matmul(turned, gv) * (1 - identity) / (_row(m, w) - _column(m, w) + identity)
        inner = (
            inner + m.swap_last(inner)
        ) * 0.5  # the same for what is symmetric; PyTorch's choice for what is not
        if gw is not None:
            inner = inner + identity * _row(m, gw)
        return (m.matmul(m.matmul(v, inner), turned),)

    def name(self) -> str:
        return "LinalgEighBackward0"


@register("lu", outputs=3)
class Lu(Op):
    """lu(a): the packed factors, the pivots from 1 (int32), and the permutation matrix P with a = P @ L @ U."""

    __slots__ = ()
    save = ("out",)

    @staticmethod
    def forward(a: Any) -> Any:
        lu, pivots, order = factored(a)
        return lu, pivots, pivoted(order, a.dtype)

    def backward(self, m: Any, g: Any, lu: Any, pivots: Any, permutation: Any) -> Any:
        if g[0] is None:
            return (None,)
        rows, columns = lu.shape[-2:]
        k = min(rows, columns)
        square = lu[..., :k, :k]
        gl, gu = m.tril(g[0], -1), m.triu(g[0], 0)
        g_low, g_up = gl[..., :k, :k], gu[..., :k, :k]
        upper = m.swap_last(m.triu(square, 0))
        lower = m.swap_last(square)
        rest = None
        if rows > k:  # the rows below the square are their part of L times U
            side = m.swap_last(gl[..., k:, :])
            rest = m.swap_last(m.solve_triangular(m.triu(square, 0), side, True, False))
            g_up = g_up - m.triu(m.matmul(m.swap_last(lu[..., k:, :]), rest), 0)
        elif columns > k:
            rest = m.solve_triangular(lower, gu[..., :, k:], True, True)
            g_low = g_low - m.tril(m.matmul(rest, m.swap_last(lu[..., :, k:])), -1)
        identity = m.eye_like(square)
        unit = m.swap_last(m.tril(square, -1) + identity)
        inner = m.tril(m.matmul(unit, g_low), -1) + m.triu(m.matmul(g_up, upper), 0)
        inner = m.solve_triangular(lower, inner, True, True)
        ga = m.swap_last(m.solve_triangular(m.triu(square, 0), m.swap_last(inner), True, False))
        if rest is not None:
            dim = len(lu.shape) - (2 if rows > k else 1)
            ga = m.cat(ga, rest, (dim, (k, max(rows, columns) - k)))
        return (m.matmul(permutation, ga),)

    def name(self) -> str:
        return "LinalgLuFactorExBackward0"


@register("pinv", inputs=1)
class Pinv(Op):
    """pinv(a, atol, rtol): the pseudo-inverse without the singular values up to max(atol, rtol * the largest).

    atol and rtol are numbers, or raw arrays of the batch's shape. G. H. Golub and V. Pereyra, SIAM J. Numer. Anal. 10 (1973).
    """

    __slots__ = ()
    save = (0, "out")

    @staticmethod
    def forward(a: Any, atol: Any, rtol: Any) -> Any:
        xp = module_of(a)
        if not a.size:
            return xp.zeros((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)
        u, s, vh = Svd.forward(a, False)
        least = xp.maximum(xp.asarray(atol, s.dtype), xp.asarray(rtol, s.dtype) * s.max(axis=-1))
        kept = s > least[..., None]
        inverse = xp.where(kept, 1 / xp.where(kept, s, s.dtype.type(1)), s.dtype.type(0))
        return (vh.swapaxes(-2, -1) * inverse[..., None, :]) @ u.swapaxes(-2, -1)

    def backward(self, m: Any, g: Any, a: Any, out: Any) -> Any:
        p, pt, gt = out, m.swap_last(out), m.swap_last(g)
        inner = m.matmul(gt, m.matmul(p, pt))
        total = inner - m.matmul(a, m.matmul(p, inner))
        outer = m.matmul(m.matmul(pt, p), gt)
        total = total + outer - m.matmul(m.matmul(outer, p), a)
        return (total - m.matmul(m.matmul(pt, g), pt),)

    def name(self) -> str:
        return "LinalgPinvBackward0"
