"""Distributions of heavy or of round tails: Fisher's F, the generalised Pareto, the continuous Bernoulli and von Mises'."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import random
from ..backends import to_device, to_numpy
from ..functions import broadcast_to, lgamma, where
from ..grad_mode import no_grad
from ..limits import finfo
from ..special import i0e, i1e
from ..tensor import Tensor
from . import constraints
from .continuous import _uniform
from .discrete import _Odds
from .distribution import Distribution, ExponentialFamily, broadcast_all
from .gamma import _standard_gamma

__all__ = ["ContinuousBernoulli", "FisherSnedecor", "GeneralizedPareto", "VonMises"]


class FisherSnedecor(Distribution):
    """The ratio of two chi-squared variables of df1 and df2 degrees of freedom, each divided by them."""

    has_rsample = True
    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = broadcast_all(df1, df2)
        super().__init__(self.df1.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return where(self.df2 > 2, self.df2 / (self.df2 - 2), math.nan)

    @property
    def mode(self) -> Tensor:
        return where(self.df1 > 2, (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2), math.nan)

    @property
    def variance(self) -> Tensor:
        a, b = self.df1, self.df2
        usual = 2 * b.square() * (a + b - 2) / (a * (b - 2).square() * (b - 4))
        return where(b > 4, usual, math.nan)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        halves = [broadcast_to(df, shape) / 2 for df in (self.df1, self.df2)]
        above, below = (_standard_gamma(h) / h for h in halves)
        tiny = finfo(self.df2.dtype).tiny
        return (above / below.clamp(min=tiny)).clamp(min=tiny)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, b = self.df1 / 2, self.df2 / 2
        ratio = self.df1 / self.df2
        beta = lgamma(a) + lgamma(b) - lgamma(a + b)
        return a * ratio.log() + (a - 1) * value.log() - (a + b) * (ratio * value).log1p() - beta


class GeneralizedPareto(Distribution):
    """What lies above a threshold `loc`: of tails bounded (concentration < 0), exponential (0) or heavy (> 0)."""

    has_rsample = True
    arg_constraints = {
        "loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real,
    }  # fmt: skip

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    def _shape(self) -> tuple[Tensor, Tensor]:
        """Where the tail is exponential, and the concentration with 1 in its place there."""
        flat = self.concentration.abs() <= 1e-8
        return flat, where(flat, 1.0, self.concentration)

    @property
    def support(self) -> Any:
        k = self.concentration
        upper = where(k < 0, self.loc - self.scale / where(k < 0, k, -1.0), math.inf)
        return constraints.interval(self.loc, upper)

    @property
    def mean(self) -> Tensor:
        k = self.concentration
        return where(k < 1, self.loc + self.scale / (1 - k), math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        k = self.concentration
        return where(k < 0.5, self.scale.square() / ((1 - k).square() * (1 - 2 * k)), math.nan)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(_uniform(self.loc, self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        flat, k = self._shape()
        return where(flat, -z, -(1 / k + 1) * (k * z).log1p()) - self.scale.log()

    def log_survival_function(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        flat, k = self._shape()
        return where(flat, -z, -(k * z).log1p() / k)

    def log_cdf(self, value: Tensor) -> Tensor:
        return (-self.log_survival_function(value).exp()).log1p()

    def cdf(self, value: Tensor) -> Tensor:
        return self.log_cdf(value).exp()

    def icdf(self, value: Tensor) -> Tensor:
        left = (-value).log1p()
        flat, k = self._shape()
        return self.loc + self.scale * where(flat, -left, (-k * left).expm1() / k)

    def entropy(self) -> Tensor:
        return self.scale.log() + self.concentration + 1


class ContinuousBernoulli(_Odds, ExponentialFamily):
    """On [0, 1], of a density in proportion to probs ** x (1 - probs) ** (1 - x); within lims of 1/2 by its Taylor series.

    Loaiza-Ganem and Cunningham, arXiv:1907.06845.
    """

    has_rsample = True
    support = constraints.unit_interval

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        value = self._take(probs, logits)
        self._lims = lims
        super().__init__(value.shape, validate_args=validate_args)
        if probs is not None:
            eps = finfo(value.dtype).eps
            self.__dict__["probs"] = value.clamp(min=eps, max=1 - eps)

    def _near_half(self) -> tuple[Tensor, Tensor, Tensor]:
        """Where probs is near 1/2, probs with the lower limit in its place there, and its distance from 1/2."""
        p = self.probs
        near = (p > self._lims[0]) & (p <= self._lims[1])
        return near, where(near, self._lims[0], p), p - 0.5

    def _log_norm(self) -> Tensor:
        near, p, d = self._near_half()
        usual = ((-p).log1p() - p.log()).abs().log() - (1 - 2 * p).abs().log()
        square = d.square()
        return where(near, math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * square) * square, usual)

    @property
    def mean(self) -> Tensor:
        near, p, d = self._near_half()
        usual = p / (2 * p - 1) + 1 / ((-p).log1p() - p.log())
        return where(near, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * d.square()) * d, usual)

    @property
    def variance(self) -> Tensor:
        near, p, d = self._near_half()
        usual = p * (p - 1) / (1 - 2 * p).square() + 1 / ((-p).log1p() - p.log()).square()
        square = d.square()
        return where(near, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * square) * square, usual)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(_uniform(self.probs, self._extended_shape(sample_shape)))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return self.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        from ..nn.functional import binary_cross_entropy_with_logits

        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none") + self._log_norm()

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        near, p, _ = self._near_half()
        usual = (p**value * (1 - p) ** (1 - value) + p - 1) / (2 * p - 1)
        inner = where(near, value, usual)
        return where(value <= 0, 0.0, where(value >= 1, 1.0, inner))

    def icdf(self, value: Tensor) -> Tensor:
        near, p, _ = self._near_half()
        none = (-p).log1p()
        return where(near, value, ((-p + value * (2 * p - 1)).log1p() - none) / (p.log() - none))

    def entropy(self) -> Tensor:
        p = self.probs
        none = (-p).log1p()
        return self.mean * (none - p.log()) - self._log_norm() - none


class VonMises(Distribution):
    """An angle in [-π, π) around `loc`; concentration: the reciprocal of its spread."""

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The circular variance, 1 - I1 / I0."""
        return 1 - i1e(self.concentration) / i0e(self.concentration)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        loc, spread = (to_numpy(t._array).astype(np.float64) for t in (self.loc, self.concentration))
        drawn = random.current().numpy.vonmises(0.0, spread, shape) + loc
        angles = (drawn + math.pi) % (2 * math.pi) - math.pi
        return Tensor._wrap(to_device(angles.astype(self.loc._array.dtype), self.loc.device))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        k = self.concentration
        return k * ((value - self.loc).cos() - 1) - math.log(2 * math.pi) - i0e(k).log()
