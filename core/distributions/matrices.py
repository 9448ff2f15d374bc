"""Distributions of matrices: Wishart's of covariances, and that of Lewandowski, Kurowicka and Joe of correlations."""

from __future__ import annotations

import math
import warnings
from typing import Any

from ..creation import arange, tensor
from ..functions import broadcast_shapes, broadcast_to, cat, diag_embed, digamma, lgamma, matmul, mvlgamma
from ..grad_mode import no_grad
from ..limits import finfo
from ..linalg import cholesky, cholesky_ex, inv, slogdet, solve_triangular
from ..tensor import Tensor
from . import constraints
from .continuous import _standard_normal
from .distribution import Distribution, ExponentialFamily, broadcast_all
from .gamma import Beta, _standard_gamma

__all__ = ["LKJCholesky", "Wishart"]

_MATRICES = ("covariance_matrix", "precision_matrix", "scale_tril")


class Wishart(ExponentialFamily):
    """Of df degrees of freedom (more than K - 1) and one of three matrices (…, K, K): of covariances, their inverse or factor."""

    has_rsample = True
    support = constraints.positive_definite

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        named = zip(_MATRICES, (covariance_matrix, precision_matrix, scale_tril), strict=True)
        given = {k: v for k, v in named if v is not None}
        if len(given) != 1:
            raise AssertionError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
            )
        ((name, matrix),) = given.items()
        if matrix.ndim < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading batch dimensions"
            )
        df = df if isinstance(df, Tensor) else tensor(float(df), dtype=matrix.dtype, device=matrix.device)
        batch = tuple(broadcast_shapes(tuple(df.shape), tuple(matrix.shape[:-2])))
        k = matrix.shape[-1]
        if bool((df <= k - 1).any()):
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {k - 1}.")
        self.df = broadcast_to(df, batch)
        self.__dict__[name] = broadcast_to(matrix, (*batch, *matrix.shape[-2:]))
        super().__init__(batch, (k, k), validate_args)
        if bool((df < k).any()):
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        if name == "scale_tril":
            self._factor = self.scale_tril
        elif name == "covariance_matrix":
            self._factor = cholesky(self.covariance_matrix)
        else:  # of the inverse, by the factor of the matrix turned round
            turned = cholesky_ex(self.precision_matrix.flip(-2, -1)).L.flip(-2, -1).mT
            self._factor = inv(turned).tril()

    @property
    def arg_constraints(self) -> Any:  # type: ignore[override]
        return {
            "covariance_matrix": constraints.positive_definite, "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky, "df": constraints.greater_than(self._event_shape[-1] - 1),
        }  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        if name == "scale_tril":
            return self._factor
        if name == "covariance_matrix":
            return matmul(self._factor, self._factor.mT)
        if name == "precision_matrix":
            return inv(self.covariance_matrix)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = object.__new__(Wishart)
        new.__dict__.update(self.__dict__)
        for name in (*_MATRICES, "_factor"):
            if name in self.__dict__:
                new.__dict__[name] = broadcast_to(self.__dict__[name], (*batch_shape, *self._event_shape))
        new.df, new._batch_shape = (
            broadcast_to(self.df, tuple(batch_shape)),
            type(self._batch_shape)(batch_shape),
        )
        return new

    @property
    def mean(self) -> Tensor:
        return self.df[..., None, None] * self.covariance_matrix  # type: ignore[no-any-return]

    @property
    def mode(self) -> Tensor:
        """NaN where df is at most K + 1."""
        from ..functions import where

        factor = self.df - self._event_shape[-1] - 1
        return where(factor > 0, factor, math.nan)[..., None, None] * self.covariance_matrix  # type: ignore[no-any-return]

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        outer = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self.df[..., None, None] * (v.square() + outer)  # type: ignore[no-any-return]

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """By Bartlett's decomposition: the squares on the factor's diagonal are chi-squared, what is below them normal."""
        shape = self._extended_shape(sample_shape)
        k = shape[-1]
        freedom = broadcast_to(
            self.df.unsqueeze(-1) - arange(k, dtype=self.df.dtype, device=self.df.device), shape[:-1]
        )
        diagonal = (2 * _standard_gamma(freedom / 2)).sqrt()
        noise = _standard_normal(self._factor, shape).tril(-1) + diag_embed(diagonal)
        factor = matmul(self._factor, noise)
        return matmul(factor, factor.mT)

    def _half_log_det(self) -> Tensor:
        return self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        nu, k = self.df, self._event_shape[-1]
        factor = broadcast_to(
            self._factor, tuple(broadcast_shapes(tuple(value.shape), tuple(self._factor.shape)))
        )
        half = solve_triangular(factor, broadcast_to(value, tuple(factor.shape)), upper=False)
        trace = solve_triangular(factor.mT, half, upper=True).diagonal(dim1=-2, dim2=-1).sum(-1)
        return (
            -nu * (k * math.log(2) / 2 + self._half_log_det()) - mvlgamma(nu / 2, k)
            + (nu - k - 1) / 2 * slogdet(value).logabsdet - trace / 2
        )  # fmt: skip

    def entropy(self) -> Tensor:
        nu, k = self.df, self._event_shape[-1]
        rows = arange(k, dtype=nu.dtype, device=nu.device)
        slopes = digamma(nu.unsqueeze(-1) / 2 - rows / 2).sum(-1)
        whole = (k + 1) * (self._half_log_det() + k * math.log(2) / 2)
        return whole + mvlgamma(nu / 2, k) - (nu - k - 1) / 2 * slopes + nu * k / 2


class LKJCholesky(Distribution):
    """Cholesky factors (dim, dim) of correlation matrices of a density in proportion to their determinant ** (concentration - 1).

    Lewandowski, Kurowicka and Joe, "Generating random correlation matrices based on vines and extended onion method", 2009.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        super().__init__(self.concentration.shape, (dim, dim), validate_args)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Row by row: a direction, and a squared length below the diagonal from a beta distribution."""
        with no_grad():
            c, d = self.concentration, self.dim
            shape = self._extended_shape(sample_shape)
            before = arange(d - 1, dtype=c.dtype, device=c.device)
            first = 0.5 * before + 0.5
            second = c.unsqueeze(-1) + 0.5 * (d - 2) - 0.5 * before
            lengths = Beta(first, second, validate_args=False).sample(shape[: len(shape) - 2 - c.ndim])
            directions = _standard_normal(c, (*shape[:-2], d - 1, d)).tril()
            directions = directions / directions.square().sum(-1, keepdim=True).sqrt()
            below = lengths.unsqueeze(-1).sqrt() * directions
            below = cat([below[..., :1, :] * 0, below], -2)
            tiny = finfo(c.dtype).tiny
            return below + diag_embed((1 - below.square().sum(-1)).clamp(min=tiny).sqrt())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        c, less = self.concentration, self.dim - 1
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        rows = arange(2, self.dim + 1, dtype=c.dtype, device=c.device)
        powers = 2 * (c - 1).unsqueeze(-1) + self.dim - rows
        alpha = c + 0.5 * less
        normal = 0.5 * less * math.log(math.pi) + mvlgamma(alpha - 0.5, less) - lgamma(alpha) * less
        return (powers * diagonal.log()).sum(-1) - normal
