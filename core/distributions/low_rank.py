"""Normal distributions of vectors whose covariance is a low-rank one and a diagonal."""

from __future__ import annotations

import math
from typing import Any

from ..creation import eye
from ..functions import broadcast_shapes, broadcast_to, diag_embed, matmul
from ..linalg import cholesky, solve_triangular
from ..tensor import Tensor
from . import constraints
from .continuous import _standard_normal
from .distribution import Distribution

__all__ = ["LowRankMultivariateNormal"]


class LowRankMultivariateNormal(Distribution):
    """Of mean loc (…, K) and covariance cov_factor (…, K, R) times its transpose, and cov_diag (…, K) on the diagonal.

    Its determinant and inverse come from R x R matrices (the matrix determinant lemma and Woodbury's identity).
    """

    has_rsample = True
    arg_constraints = {
        "loc": constraints.real_vector, "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }  # fmt: skip
    support = constraints.real_vector

    def __init__(
        self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None
    ) -> None:
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event = loc.shape[-1:]
        if cov_factor.ndim < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch dimensions"
            )
        if tuple(cov_factor.shape[-2:-1]) != tuple(event):
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event[0]} x m")
        if tuple(cov_diag.shape[-1:]) != tuple(event):
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event}")
        sizes = (tuple(loc.shape[:-1]), tuple(cov_factor.shape[:-2]), tuple(cov_diag.shape[:-1]))
        try:
            batch = tuple(broadcast_shapes(*sizes))
        except RuntimeError:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}"
            ) from None
        self.loc, self.cov_diag = (broadcast_to(t, (*batch, *event)) for t in (loc, cov_diag))
        self.cov_factor = broadcast_to(cov_factor, (*batch, *cov_factor.shape[-2:]))
        super().__init__(batch, event, validate_args)

    def _capacitance_factor(self) -> Tensor:
        """The Cholesky factor of 1 + Wᵀ D⁻¹ W."""
        rank = self.cov_factor.shape[-1]
        inner = matmul(self.cov_factor.mT / self.cov_diag.unsqueeze(-2), self.cov_factor)
        return cholesky(inner + eye(rank, dtype=inner.dtype, device=inner.device))

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.cov_factor.square().sum(-1) + self.cov_diag

    @property
    def covariance_matrix(self) -> Tensor:
        return matmul(self.cov_factor, self.cov_factor.mT) + diag_embed(self.cov_diag)

    @property
    def scale_tril(self) -> Tensor:
        return cholesky(self.covariance_matrix)

    @property
    def precision_matrix(self) -> Tensor:
        scaled = self.cov_factor.mT / self.cov_diag.unsqueeze(-2)
        half = solve_triangular(self._capacitance_factor(), scaled, upper=False)
        return diag_embed(self.cov_diag.reciprocal()) - matmul(half.mT, half)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        wide = _standard_normal(self.loc, (*shape[:-1], self.cov_factor.shape[-1]))
        own = _standard_normal(self.loc, shape)
        return self.loc + matmul(self.cov_factor, wide.unsqueeze(-1)).squeeze(-1) + self.cov_diag.sqrt() * own

    def _log_det(self, factor: Tensor) -> Tensor:
        return 2 * factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) + self.cov_diag.log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        factor = self._capacitance_factor()
        away = value - self.loc
        scaled = away / self.cov_diag
        inner = matmul(self.cov_factor.mT, scaled.unsqueeze(-1))
        white = solve_triangular(
            broadcast_to(factor, (*inner.shape[:-2], *factor.shape[-2:])), inner, upper=False
        )
        distance = (away * scaled).sum(-1) - white.squeeze(-1).square().sum(-1)
        whole = self._event_shape[0] * math.log(2 * math.pi) + self._log_det(factor) + distance
        return -0.5 * whole

    def entropy(self) -> Tensor:
        k = self._event_shape[0]
        return 0.5 * (k * (1.0 + math.log(2 * math.pi)) + self._log_det(self._capacitance_factor()))
