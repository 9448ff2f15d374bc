"""Divergences of one family from another: minus the entropy of p and the mean of q's logarithmic density under p."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..functions import broadcast_to, digamma, erf, lgamma, where, xlogy
from ..tensor import Tensor
from .composed import TransformedDistribution
from .continuous import Cauchy, Exponential, Gumbel, HalfNormal, Laplace, LogNormal, Normal, Uniform
from .discrete import Bernoulli, Binomial, Poisson
from .distribution import Distribution
from .gamma import Beta, Gamma
from .kl import kl_divergence, register_kl
from .low_rank import LowRankMultivariateNormal
from .multivariate_normal import MultivariateNormal
from .tails import ContinuousBernoulli
from .transformed import Pareto
from .transforms import summed

__all__: list[str] = []

_EULER = 0.57721566490153286060


@register_kl(Binomial, Binomial)
def _(p: Binomial, q: Binomial) -> Tensor:
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    of_one = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return where(p.total_count > q.total_count, math.inf, p.total_count * of_one)


@register_kl(Cauchy, Cauchy)
def _(p: Cauchy, q: Cauchy) -> Tensor:
    wide = (p.scale + q.scale).square() + (p.loc - q.loc).square()
    return wide.log() - (4 * p.scale * q.scale).log()


@register_kl(HalfNormal, HalfNormal)
def _(p: HalfNormal, q: HalfNormal) -> Tensor:
    ratio = (p.scale / q.scale).square()
    return 0.5 * (ratio - 1 - ratio.log())


@register_kl(LogNormal, LogNormal)
def _(p: LogNormal, q: LogNormal) -> Tensor:
    return kl_divergence(Normal(p.loc, p.scale), Normal(q.loc, q.scale))


@register_kl(Pareto, Pareto)
def _(p: Pareto, q: Pareto) -> Tensor:
    ratio = q.alpha / p.alpha
    result = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return where(p.scale < q.scale, math.inf, result)


@register_kl(Bernoulli, Poisson)
def _(p: Bernoulli, q: Poisson) -> Tensor:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _(p: ContinuousBernoulli, q: ContinuousBernoulli) -> Tensor:
    return -p.entropy() - _of_continuous_bernoulli(p, q)


@register_kl(Normal, Laplace)
def _(p: Normal, q: Laplace) -> Tensor:
    away = p.loc - q.loc
    spread = math.sqrt(2 / math.pi) * p.scale * (-0.5 * (away / p.scale).square()).exp()
    distance = spread + away * erf(away / (math.sqrt(2) * p.scale))
    return -p.entropy() + (2 * q.scale).log() + distance / q.scale


def _as_multivariate(d: Any) -> MultivariateNormal:
    if isinstance(d, MultivariateNormal):
        return d
    return MultivariateNormal(d.loc, covariance_matrix=d.covariance_matrix, validate_args=False)


for _p, _q in (
    (LowRankMultivariateNormal, LowRankMultivariateNormal),
    (LowRankMultivariateNormal, MultivariateNormal),
    (MultivariateNormal, LowRankMultivariateNormal),
):

    @register_kl(_p, _q)
    def _(p: Any, q: Any) -> Tensor:
        if tuple(p.event_shape) != tuple(q.event_shape):
            raise ValueError(
                "KL-divergence between two (Low Rank) Multivariate Normals with different event shapes cannot be computed"
            )
        return kl_divergence(_as_multivariate(p), _as_multivariate(q))


@register_kl(TransformedDistribution, TransformedDistribution)
def _(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    if p.transforms != q.transforms or tuple(p.event_shape) != tuple(q.event_shape):
        raise NotImplementedError(
            "KL of two TransformedDistributions of different transforms or event shapes"
        )
    extra = len(p.event_shape) - len(p.base_dist.event_shape)
    inner: Tensor = summed(kl_divergence(p.base_dist, q.base_dist), max(extra, 0))
    return inner


# What the families q need: the mean of log q under p, from these moments of p.


def _mean_log(p: Any) -> Tensor:
    """The mean of log x."""
    if isinstance(p, Beta):
        return digamma(p.concentration1) - digamma(p.concentration1 + p.concentration0)
    if isinstance(p, Exponential):
        return -_EULER - p.rate.log()
    if isinstance(p, Pareto):
        return p.scale.log() + p.alpha.reciprocal()
    return (xlogy(p.high, p.high) - xlogy(p.low, p.low)) / (p.high - p.low) - 1


def _mean_exp(p: Any, t: Tensor) -> Tensor:
    """The mean of exp(-t x)."""
    if isinstance(p, Exponential):
        return p.rate / (p.rate + t)
    if isinstance(p, Gamma):
        return (p.rate / (p.rate + t)) ** p.concentration
    if isinstance(p, Normal):
        return (-p.loc * t + 0.5 * (p.scale * t).square()).exp()
    return ((-p.low * t).exp() - (-p.high * t).exp()) / (t * (p.high - p.low))


def _of_normal(p: Any, q: Normal) -> Tensor:
    square = q.scale.square()
    return -0.5 * (2 * math.pi * square).log() - (p.variance + (p.mean - q.loc).square()) / (2 * square)


def _of_exponential(p: Any, q: Exponential) -> Tensor:
    return q.rate.log() - q.rate * p.mean


def _of_gamma(p: Any, q: Gamma) -> Tensor:
    a, b = q.concentration, q.rate
    return a * b.log() - lgamma(a) + (a - 1) * _mean_log(p) - b * p.mean


def _of_gumbel(p: Any, q: Gumbel) -> Tensor:
    t = q.scale.reciprocal()
    return -(p.mean - q.loc) * t - (q.loc * t).exp() * _mean_exp(p, t) - q.scale.log()


def _of_uniform(p: Any, q: Uniform) -> Tensor:
    return -(q.high - q.low).log() + 0 * p.mean


def _of_continuous_bernoulli(p: Any, q: ContinuousBernoulli) -> Tensor:
    return p.mean * q.logits + (-q.probs).log1p() + q._log_norm()


def _of_pareto(p: Any, q: Pareto) -> Tensor:
    return q.alpha.log() + q.alpha * q.scale.log() - (q.alpha + 1) * _mean_log(p)


def _of_beta(p: Uniform, q: Beta) -> Tensor:
    a, b = q.concentration1, q.concentration0
    other = -(xlogy(1 - p.high, 1 - p.high) - xlogy(1 - p.low, 1 - p.low)) / (p.high - p.low) - 1
    return (a - 1) * _mean_log(p) + (b - 1) * other + lgamma(a + b) - lgamma(a) - lgamma(b)


_Where = Callable[[Any, Any], Tensor]


def _enter(
    p_type: type[Distribution], q_type: type[Distribution], mean: Any, infinite: _Where | None
) -> None:
    """A divergence by the mean of log q, infinite where told."""

    @register_kl(p_type, q_type)
    def _(p: Any, q: Any) -> Tensor:
        result: Tensor = -p.entropy() - mean(p, q)
        return result if infinite is None else where(infinite(p, q), math.inf, result)


def _beyond_unit(p: Any, q: Any) -> Tensor:
    return (p.low < 0) | (p.high > 1)  # type: ignore[no-any-return]


def _within_unit(p: Any, q: Any) -> Tensor:
    return (q.low > 0) | (q.high < 1)  # type: ignore[no-any-return]


def _negative(p: Any, q: Any) -> Tensor:
    return p.low < 0  # type: ignore[no-any-return]


def _without_mean(p: Any, q: Any) -> Tensor:
    return p.alpha <= 1  # type: ignore[no-any-return]


for _entry in (
    (Beta, ContinuousBernoulli, _of_continuous_bernoulli, None),
    (Uniform, ContinuousBernoulli, _of_continuous_bernoulli, _beyond_unit),
    (Beta, Exponential, _of_exponential, None), (ContinuousBernoulli, Exponential, _of_exponential, None),
    (Gamma, Exponential, _of_exponential, None), (Pareto, Exponential, _of_exponential, _without_mean),
    (Uniform, Exponential, _of_exponential, _negative),
    (Beta, Gamma, _of_gamma, None), (Exponential, Gamma, _of_gamma, None), (Pareto, Gamma, _of_gamma, _without_mean),
    (Uniform, Gamma, _of_gamma, _negative),
    (Exponential, Gumbel, _of_gumbel, None), (Gamma, Gumbel, _of_gumbel, None), (Normal, Gumbel, _of_gumbel, None),
    (Uniform, Gumbel, _of_gumbel, None),
    *((p, Normal, _of_normal, None) for p in (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Laplace, Uniform)),
    (Pareto, Normal, _of_normal, lambda p, q: p.alpha <= 2),
    (Beta, Uniform, _of_uniform, _within_unit), (ContinuousBernoulli, Uniform, _of_uniform, _within_unit),
    (Uniform, Pareto, _of_pareto, lambda p, q: p.low < q.scale), (Uniform, Beta, _of_beta, _beyond_unit),
):  # fmt: skip
    _enter(*_entry)  # type: ignore[arg-type]


@register_kl(Gumbel, Gumbel)
def _(p: Gumbel, q: Gumbel) -> Tensor:
    ratio = p.scale / q.scale
    t = q.scale.reciprocal()
    mean_exp = (-p.loc * t + lgamma(1 + ratio)).exp()
    return -p.entropy() + (p.mean - q.loc) * t + (q.loc * t).exp() * mean_exp + q.scale.log()


def _infinite(p: Any, q: Any) -> Tensor:
    """p reaches beyond the support of q."""
    like = p.entropy() * 0 if not isinstance(p, Poisson) else p.rate * 0
    shape = (like + 0 * (q.mean if not isinstance(q, Pareto) else q.scale)).shape
    return broadcast_to(like * 0 + math.inf, tuple(shape))


_BOUNDED: tuple[type[Distribution], ...] = (Beta, ContinuousBernoulli, Pareto, Uniform)
_REACH: tuple[tuple[type[Distribution], tuple[type[Distribution], ...]], ...] = (
    (Beta, (Pareto,)), (ContinuousBernoulli, (Pareto,)), (Exponential, _BOUNDED), (Gamma, _BOUNDED),
    (Gumbel, (*_BOUNDED, Exponential, Gamma)), (Laplace, (*_BOUNDED, Exponential, Gamma)), (Normal, (*_BOUNDED, Exponential, Gamma)),
    (Pareto, (Beta, ContinuousBernoulli, Uniform)), (Poisson, (Bernoulli, Binomial)),
)  # fmt: skip
for _far, _near in _REACH:
    for _kind in _near:
        register_kl(_far, _kind)(_infinite)
