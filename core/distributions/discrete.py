"""Distributions of counts, of classes and of yes or no."""

from __future__ import annotations

from typing import Any

from ..creation import arange, eye, full, poisson, rand
from ..creation import bernoulli as _draw_bernoulli
from ..functions import broadcast_to, lgamma, where, xlogy
from ..grad_mode import no_grad
from ..nn.functional import binary_cross_entropy_with_logits
from ..tensor import Size, Tensor
from . import constraints
from .distribution import Distribution, ExponentialFamily, Lazily, broadcast_all

__all__ = ["Bernoulli", "Binomial", "Categorical", "Geometric", "Multinomial", "OneHotCategorical", "Poisson"]


def _either(probs: Any, logits: Any) -> None:
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class _Odds(Distribution):
    """A probability, given as probs or as logits (log odds)."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    probs = Lazily("probs", True)
    logits = Lazily("logits", True)

    def _take(self, probs: Any, logits: Any) -> Tensor:
        _either(probs, logits)
        name, given = ("probs", probs) if probs is not None else ("logits", logits)
        (value,) = broadcast_all(given)
        self.__dict__[name] = value
        return value

    @property
    def _param(self) -> Tensor:
        return self.__dict__["probs"] if "probs" in self.__dict__ else self.__dict__["logits"]


class Bernoulli(_Odds, ExponentialFamily):
    """1 with probability probs, else 0."""

    has_enumerate_support = True
    support = constraints.boolean

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        super().__init__(self._take(probs, logits).shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        result = (self.probs >= 0.5).to(self.probs.dtype)
        return where(self.probs == 0.5, full((), float("nan"), dtype=result.dtype), result)

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return _draw_bernoulli(broadcast_to(self.probs, self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = arange(2, dtype=self._param.dtype, device=self._param.device)
        values = values.view(-1, *(1,) * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values


class Geometric(_Odds):
    """How often it fails before it succeeds, with probability probs each time."""

    support = constraints.nonnegative_integer

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        value = self._take(probs, logits)
        super().__init__(value.shape, validate_args=validate_args)
        if self._validate_args and probs is not None and not bool((value > 0).all()):
            raise ValueError(
                f"Expected parameter probs (Tensor of shape {tuple(value.shape)}) of distribution {self!r} to be positive but found "
                f"invalid values:\n{value[~(value > 0)]}"
            )

    @property
    def mean(self) -> Tensor:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        return self.probs * 0

    @property
    def variance(self) -> Tensor:
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            p = self.probs
            u = rand(self._extended_shape(sample_shape), dtype=p.dtype, device=p.device).clamp(min=1e-30)
            return (u.log() / (-p).log1p()).floor()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        sure = (probs == 1) & (value == 0)
        probs = where(sure, 0.0, probs)
        return value * (-probs).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class Binomial(_Odds):
    """How often of total_count times it succeeds."""

    arg_constraints = {"total_count": constraints.nonnegative_integer, **_Odds.arg_constraints}
    total_count: Tensor

    def __init__(
        self, total_count: Any = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        _either(probs, logits)
        name, given = ("probs", probs) if probs is not None else ("logits", logits)
        self.total_count, value = broadcast_all(total_count, given)
        self.total_count = self.total_count.to(value.dtype)
        self.__dict__[name] = value
        super().__init__(value.shape, validate_args=validate_args)

    @property
    def support(self) -> Any:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        from ..functions import minimum

        return minimum(((self.total_count + 1) * self.probs).floor(), self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        from ..creation import binomial

        shape = self._extended_shape(sample_shape)
        with no_grad():
            return binomial(broadcast_to(self.total_count, shape), broadcast_to(self.probs, shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        chosen = lgamma(n + 1) - lgamma(value + 1) - lgamma(n - value + 1)
        high = self.logits.clamp(min=0)
        normal = n * high + n * (-self.logits.abs()).exp().log1p()
        return value * self.logits + chosen - normal


class Poisson(ExponentialFamily):
    """How many events come where `rate` of them are expected."""

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.rate

    @property
    def mode(self) -> Tensor:
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        return self.rate

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return poisson(broadcast_to(self.rate, self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        rate, value = broadcast_all(self.rate, value)
        return xlogy(value, rate) - rate - lgamma(value + 1)


class _Classes(Distribution):
    """Probabilities of classes, normalised over the last dimension; given as probs or as logits."""

    probs = Lazily("probs", False)
    logits = Lazily("logits", False)

    def _take(self, probs: Any, logits: Any) -> Tensor:
        _either(probs, logits)
        given = probs if probs is not None else logits
        if given.ndim < 1:
            raise ValueError(
                f"`{'probs' if probs is not None else 'logits'}` parameter must be at least one-dimensional."
            )
        if probs is not None:
            self.__dict__["probs"] = probs / probs.sum(-1, keepdim=True)
            return self.__dict__["probs"]  # type: ignore[no-any-return]
        self.__dict__["logits"] = logits - logits.logsumexp(-1, keepdim=True)
        return self.__dict__["logits"]  # type: ignore[no-any-return]

    @property
    def _param(self) -> Tensor:
        return self.__dict__["probs"] if "probs" in self.__dict__ else self.__dict__["logits"]

    def _draw(self, sample_shape: Any) -> Tensor:
        """Classes, int64 of sample_shape + batch_shape."""
        sizes = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
        with no_grad():
            edges = self.probs.cumsum(-1)
            u = (
                rand((*sizes, *self._param.shape[:-1], 1), dtype=edges.dtype, device=edges.device)
                * edges[..., -1:]
            )
            return (u >= edges).sum(-1).clamp(max=self._param.shape[-1] - 1)


class Categorical(_Classes):
    """A class 0 … K - 1."""

    has_enumerate_support = True
    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        param = self._take(probs, logits)
        self._num_events = int(param.shape[-1])
        super().__init__(param.shape[:-1], validate_args=validate_args)

    @property
    def support(self) -> Any:
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def param_shape(self) -> Size:
        return self._param.shape

    @property
    def mean(self) -> Tensor:
        return full(
            tuple(self._batch_shape), float("nan"), dtype=self._param.dtype, device=self._param.device
        )

    @property
    def variance(self) -> Tensor:
        return self.mean

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self._draw(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        index = value.long().unsqueeze(-1)
        shape = _joint(index.shape[:-1], self.logits.shape[:-1])
        logits = broadcast_to(self.logits, (*shape, self._num_events))
        return logits.gather(-1, broadcast_to(index, (*shape, 1))).squeeze(-1)

    def entropy(self) -> Tensor:
        from ..limits import finfo

        logits = self.logits.clamp(min=finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = arange(self._num_events, device=self._param.device).view(-1, *(1,) * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values


def _joint(a: Any, b: Any) -> tuple[int, ...]:
    from ..functions import broadcast_shapes

    return tuple(broadcast_shapes(tuple(a), tuple(b)))


class OneHotCategorical(_Classes):
    """A class, as a vector (K,) of zeros with a one."""

    has_enumerate_support = True
    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.one_hot

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        param = self._take(probs, logits)
        super().__init__(param.shape[:-1], param.shape[-1:], validate_args)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return self._of(self.probs.argmax(-1))

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def _of(self, classes: Tensor) -> Tensor:
        k = self._event_shape[0]
        return (classes.unsqueeze(-1) == arange(k, device=classes.device)).to(self._param.dtype)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self._of(self._draw(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return (value * self.logits).sum(-1)

    def entropy(self) -> Tensor:
        return -(self.logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        k = self._event_shape[0]
        values = eye(k, dtype=self._param.dtype, device=self._param.device).view(
            k, *(1,) * len(self._batch_shape), k
        )
        return values.expand(k, *self._batch_shape, k) if expand else values


class Multinomial(_Classes):
    """How often each class comes in total_count draws: (K,)."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(
        self, total_count: int = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        param = self._take(probs, logits)
        super().__init__(param.shape[:-1], param.shape[-1:], validate_args)

    @property
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        sizes = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
        drawn = self._draw((self.total_count, *sizes))
        k = self._event_shape[0]
        return (drawn.unsqueeze(-1) == arange(k, device=drawn.device)).to(self._param.dtype).sum(0)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        whole = lgamma(value.sum(-1) + 1)
        parts = lgamma(value + 1).sum(-1)
        logits = where((value == 0) & (logits == -float("inf")), 0.0, logits)
        return whole - parts + (logits * value).sum(-1)
