"""The normal distribution of vectors."""

from __future__ import annotations

import math
from typing import Any

from ..creation import empty
from ..functions import broadcast_shapes, broadcast_to, matmul
from ..linalg import cholesky, cholesky_ex, inv, solve_triangular
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution

__all__ = ["MultivariateNormal"]


class MultivariateNormal(Distribution):
    """Of mean loc (…, K) and one of covariance_matrix, precision_matrix and scale_tril (…, K, K), its lower Cholesky factor."""

    has_rsample = True
    arg_constraints = {
        "loc": constraints.real_vector, "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite, "scale_tril": constraints.lower_cholesky,
    }  # fmt: skip
    support = constraints.real_vector

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        named = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        given = {k: v for k, v in named.items() if v is not None}
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        ((name, matrix),) = given.items()
        if matrix.ndim < 2:
            raise ValueError(
                f"{name} {'matrix ' * (name == 'scale_tril')}must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch = tuple(broadcast_shapes(tuple(matrix.shape[:-2]), tuple(loc.shape[:-1])))
        k = loc.shape[-1]
        self.loc = broadcast_to(loc, (*batch, k))
        self.__dict__[name] = broadcast_to(matrix, (*batch, *matrix.shape[-2:]))
        super().__init__(batch, (k,), validate_args)
        if name == "scale_tril":
            self._factor = matrix
        elif name == "covariance_matrix":
            self._factor = cholesky(matrix)
        else:  # of the inverse, by the factor of the matrix turned round
            turned = cholesky_ex(matrix.flip(-2, -1)).L.flip(-2, -1).mT
            self._factor = inv(turned).tril()

    def __getattr__(self, name: str) -> Any:
        if name == "scale_tril":
            return broadcast_to(self._factor, (*self._batch_shape, *self._event_shape, *self._event_shape))
        if name == "covariance_matrix":
            return matmul(self.scale_tril, self.scale_tril.mT)
        if name == "precision_matrix":
            return inv(self.covariance_matrix)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        k = self._event_shape[0]
        factor = broadcast_to(self._factor, (*batch_shape, k, k))
        loc = broadcast_to(self.loc, (*batch_shape, k))
        new = MultivariateNormal(loc, scale_tril=factor, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return broadcast_to(self._factor.pow(2).sum(-1), tuple(self.loc.shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        eps = empty(
            self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device
        ).normal_()
        return self.loc + matmul(self._factor, eps.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        away = (value - self.loc).unsqueeze(-1)
        white = solve_triangular(
            broadcast_to(self._factor, (*away.shape[:-2], *self._factor.shape[-2:])), away, upper=False
        )
        distance = white.squeeze(-1).pow(2).sum(-1)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance) - self._half_log_det()

    def _half_log_det(self) -> Tensor:
        return self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def entropy(self) -> Tensor:
        h = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + self._half_log_det()
        return broadcast_to(h, tuple(self._batch_shape))
