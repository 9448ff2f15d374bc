"""Relaxed distributions of classes, through whose samples gradients flow; and the negative binomial.

Maddison, Mnih and Teh, arXiv:1611.00712; Jang, Gu and Poole, arXiv:1611.01144.
"""

from __future__ import annotations

import math
from typing import Any

from ..creation import poisson
from ..functions import broadcast_to, lgamma, log, where
from ..grad_mode import no_grad
from ..limits import finfo
from ..nn.functional import logsigmoid, softplus
from ..tensor import Tensor
from . import constraints
from .composed import TransformedDistribution
from .continuous import _uniform
from .discrete import OneHotCategorical, _Classes, _either, _Odds
from .distribution import broadcast_all
from .gamma import _standard_gamma
from .transformed import _OfTheBase
from .transforms import ExpTransform, SigmoidTransform

__all__ = [
    "ExpRelaxedCategorical", "LogitRelaxedBernoulli", "NegativeBinomial", "OneHotCategoricalStraightThrough", "RelaxedBernoulli",
    "RelaxedOneHotCategorical",
]  # fmt: skip


def _inner_uniform(like: Tensor, shape: Any) -> Tensor:
    eps = finfo(like.dtype).eps
    return _uniform(like, shape).clamp(min=eps, max=1 - eps)


class LogitRelaxedBernoulli(_Odds):
    """The logit of a RelaxedBernoulli."""

    has_rsample = True
    support = constraints.real

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self.temperature = temperature
        super().__init__(self._take(probs, logits).shape, validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        u = _inner_uniform(self._param, self._extended_shape(sample_shape))
        return (u.log() - (-u).log1p() + self.logits) / self.temperature  # type: ignore[no-any-return]

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        away = logits - value * self.temperature
        heat = self.temperature.log() if isinstance(self.temperature, Tensor) else math.log(self.temperature)
        return heat + away - 2 * softplus(away)


class ExpRelaxedCategorical(_Classes):
    """The logarithm of a RelaxedOneHotCategorical."""

    has_rsample = True
    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.real_vector

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self.temperature = temperature
        param = self._take(probs, logits)
        super().__init__(param.shape[:-1], param.shape[-1:], validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        u = _inner_uniform(self._param, self._extended_shape(sample_shape))
        scores = (self.logits - log(-u.log())) / self.temperature
        return scores - scores.logsumexp(-1, keepdim=True)  # type: ignore[no-any-return]

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        k = self._event_shape[0]
        logits, value = broadcast_all(self.logits, value)
        scores = logits - value * self.temperature
        heat = self.temperature.log() if isinstance(self.temperature, Tensor) else math.log(self.temperature)
        normal: Tensor = (scores - scores.logsumexp(-1, keepdim=True)).sum(-1)
        return normal + (math.lgamma(k) + (k - 1) * heat)


class _Relaxed(TransformedDistribution):
    probs, logits, temperature = _OfTheBase(), _OfTheBase(), _OfTheBase()

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        name = "probs" if "probs" in self.base_dist.__dict__ else "logits"
        value = getattr(self, name).expand(*batch_shape, *self._event_shape)
        made = type(self)(self.temperature, **{name: value}, validate_args=False)  # type: ignore[call-arg, arg-type]
        made._validate_args = self._validate_args
        return made


class RelaxedBernoulli(_Relaxed):
    """Between 0 and 1, the nearer to one of them the lower the temperature."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval  # type: ignore[assignment]

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)


class RelaxedOneHotCategorical(_Relaxed):
    """Shares (K,) of the classes, the nearer to one class alone the lower the temperature."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex  # type: ignore[assignment]

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """OneHotCategorical whose samples have the gradient of probs. Bengio, Léonard and Courville, arXiv:1308.3432."""

    has_rsample = True

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.sample(sample_shape) + (self.probs - self.probs.detach())  # type: ignore[no-any-return]


class NegativeBinomial(_Odds):
    """How often it succeeds, with probability probs each time, before it has failed total_count times."""

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0), "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }  # fmt: skip
    support = constraints.nonnegative_integer

    def __init__(
        self, total_count: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        _either(probs, logits)
        name, given = ("probs", probs) if probs is not None else ("logits", logits)
        self.total_count, value = broadcast_all(total_count, given)
        self.total_count = self.total_count.type_as(value)
        self.__dict__[name] = value
        super().__init__(value.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        return self.mean / (-self.logits).sigmoid()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return poisson(_standard_gamma(broadcast_to(self.total_count, shape)) * self.logits.exp())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        chances = n * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        nothing = n + value == 0
        ways = lgamma(where(nothing, 1.0, n + value)) - lgamma(1 + value) - lgamma(where(nothing, 1.0, n))
        return chances + ways
