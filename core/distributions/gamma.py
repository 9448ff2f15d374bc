"""The gamma distribution and what is made of it: beta, Dirichlet, chi-squared, Student's t."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import random
from ..backends import to_device, to_numpy
from ..function import Function, once_differentiable
from ..functions import broadcast_to, digamma, lgamma, stack, xlogy
from ..special import gammainc
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, ExponentialFamily, broadcast_all

__all__ = ["Beta", "Chi2", "Dirichlet", "Gamma", "StudentT"]


class _StandardGamma(Function):
    """Draws from Gamma(alpha, 1); the gradient is that of the inverse of its distribution function.

    Figurnov, Mohamed and Mnih, "Implicit Reparameterization Gradients", arXiv:1805.08498: dx/dalpha = -(∂F/∂alpha) / density, with
    ∂F/∂alpha by central differences in float64.
    """

    @staticmethod
    def forward(ctx: Any, alpha: Tensor) -> Tensor:
        shape = to_numpy(alpha._array).astype(np.float64)
        drawn = random.current().numpy.standard_gamma(shape)
        least = np.finfo(np.float64).tiny if alpha.dtype.itemsize == 8 else 1e-35
        x = Tensor._wrap(to_device(np.maximum(drawn, least).astype(alpha._array.dtype), alpha.device))
        ctx.save_for_backward(alpha, x)
        return x

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> Tensor:
        alpha, x = ctx.saved_tensors
        a, at = alpha.double(), x.double()
        h = a.clamp(min=1e-2) * 1e-5
        h = h.minimum(a * 0.5)
        slope = (gammainc(a + h, at) - gammainc(a - h, at)) / (2 * h)
        log_density = (a - 1) * at.log() - at - lgamma(a)
        return g * (-slope * (-log_density).exp()).to(g.dtype)


def _standard_gamma(alpha: Tensor) -> Tensor:
    return _StandardGamma.apply(alpha)


class Gamma(ExponentialFamily):
    """Of shape `concentration` and rate `rate` (the reciprocal of the scale)."""

    has_rsample = True
    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support: Any = constraints.nonnegative

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate.pow(2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return _standard_gamma(broadcast_to(self.concentration, shape)) / broadcast_to(self.rate, shape)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, b = self.concentration, self.rate
        return xlogy(a, b) + xlogy(a - 1, value) - b * value - lgamma(a)

    def cdf(self, value: Tensor) -> Tensor:
        return gammainc(self.concentration, self.rate * value)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + lgamma(a) + (1.0 - a) * digamma(a)


class Chi2(Gamma):
    """The sum of df squared normal variables."""

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        (df,) = broadcast_all(df)
        self.df = df
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = Chi2(self.df.expand(*batch_shape), validate_args=False)
        new._validate_args = self._validate_args
        return new


class Dirichlet(ExponentialFamily):
    """Probabilities of K classes: `concentration` (…, K)."""

    has_rsample = True
    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.ndim < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def mode(self) -> Tensor:
        less = (self.concentration - 1).clamp(min=0.0)
        mode = less / less.sum(-1, keepdim=True)
        small = (self.concentration < 1).all(-1)
        if bool(small.any()):
            k = self.concentration.shape[-1]
            from ..creation import arange
            from ..functions import where

            top = (mode.nan_to_num(0.0).argmax(-1, keepdim=True) == arange(k, device=mode.device)).to(
                mode.dtype
            )
            mode = where(small.unsqueeze(-1), top, mode)
        return mode

    @property
    def variance(self) -> Tensor:
        whole = self.concentration.sum(-1, keepdim=True)
        return self.concentration * (whole - self.concentration) / (whole.pow(2) * (whole + 1))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        drawn = _standard_gamma(broadcast_to(self.concentration, self._extended_shape(sample_shape)))
        return drawn / drawn.sum(-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        return xlogy(a - 1.0, value).sum(-1) + lgamma(a.sum(-1)) - lgamma(a).sum(-1)

    def entropy(self) -> Tensor:
        a, k = self.concentration, self.concentration.shape[-1]
        whole = a.sum(-1)
        return (
            lgamma(a).sum(-1)
            - lgamma(whole)
            - (k - whole) * digamma(whole)
            - ((a - 1.0) * digamma(a)).sum(-1)
        )


class Beta(ExponentialFamily):
    """A probability, of which concentration1 and concentration0 tell how often it was one and zero."""

    has_rsample = True
    arg_constraints = {"concentration1": constraints.positive, "concentration0": constraints.positive}
    support = constraints.unit_interval

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        a, b = broadcast_all(concentration1, concentration0)
        self._dirichlet = Dirichlet(stack([a, b], -1), validate_args=False)
        self.__dict__["concentration1"], self.__dict__["concentration0"] = a, b
        super().__init__(a.shape, validate_args=validate_args)

    concentration1: Tensor
    concentration0: Tensor

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        params = (self.concentration1.expand(*batch_shape), self.concentration0.expand(*batch_shape))
        new = Beta(*params, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self) -> Tensor:
        whole = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (whole.pow(2) * (whole + 1))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self._dirichlet.rsample(sample_shape).select(-1, 0)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self._dirichlet.log_prob(stack([value, 1.0 - value], -1))

    def entropy(self) -> Tensor:
        return self._dirichlet.entropy()


class StudentT(Distribution):
    """Student's t of `df` degrees of freedom, moved by loc and stretched by scale."""

    has_rsample = True
    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        from ..functions import where

        return where(self.df <= 1, math.nan, self.loc)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        from ..functions import where

        usual = self.scale.pow(2) * self.df / (self.df - 2)
        return where(self.df > 2, usual, where(self.df > 1, math.inf, self.df * math.nan))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        from ..creation import empty

        shape = self._extended_shape(sample_shape)
        x = empty(shape, dtype=self.df.dtype, device=self.df.device).normal_()
        z = _standard_gamma(broadcast_to(self.df * 0.5, shape)) * 2
        return self.loc + self.scale * (x * (z / self.df).rsqrt())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        y = (value - self.loc) / self.scale
        normal = (
            self.scale.log() + 0.5 * self.df.log() + 0.5 * math.log(math.pi) + lgamma(0.5 * self.df)
            - lgamma(0.5 * (self.df + 1.0))
        )  # fmt: skip
        return -0.5 * (self.df + 1.0) * (y**2.0 / self.df).log1p() - normal

    def entropy(self) -> Tensor:
        half, more = 0.5 * self.df, 0.5 * (self.df + 1)
        log_beta = lgamma(half) + math.lgamma(0.5) - lgamma(half + 0.5)
        return self.scale.log() + more * (digamma(more) - digamma(half)) + 0.5 * self.df.log() + log_beta
