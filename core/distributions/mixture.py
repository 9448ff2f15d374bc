"""Mixtures of distributions of one family."""

from __future__ import annotations

from typing import Any

from ..functions import broadcast_to
from ..grad_mode import no_grad
from ..tensor import Tensor
from . import constraints
from .discrete import Categorical
from .distribution import Distribution

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """A component, the last batch dimension of component_distribution, chosen by mixture_distribution, a Categorical."""

    arg_constraints = {}

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an  instance of torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution needs to be an instance of torch.distributions.Distribution"
            )
        mixed, of_parts = mixture_distribution.batch_shape, component_distribution.batch_shape
        for a, b in zip(reversed(mixed), reversed(of_parts[:-1]), strict=False):
            if a != 1 and b != 1 and a != b:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixed!r}) is not compatible with "
                    f"`component_distribution.batch_shape`({of_parts[:-1]!r})"
                )
        k = mixture_distribution.logits.shape[-1]
        there = of_parts[-1] if of_parts else None
        if k != there and there is not None:
            raise ValueError(
                f"`mixture_distribution component` ({k}) does not equal `component_distribution.batch_shape[-1]` ({there})"
            )
        if there is None:
            raise ValueError(
                "MixtureSameFamily: component_distribution needs a batch dimension of components"
            )
        self._mixture, self._components, self._k = mixture_distribution, component_distribution, k
        super().__init__(of_parts[:-1], component_distribution.event_shape, validate_args)

    @property
    def mixture_distribution(self) -> Categorical:
        return self._mixture

    @property
    def component_distribution(self) -> Distribution:
        return self._components

    @property
    def support(self) -> Any:
        return constraints.MixtureSameFamilyConstraint(self._components.support)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        made = MixtureSameFamily(
            self._mixture.expand(batch_shape),
            self._components.expand((*batch_shape, self._k)),
            validate_args=False,
        )
        made._validate_args = self._validate_args
        return made

    def _weighed(self, of_parts: Tensor) -> Tensor:
        """The mean over components of what has the shape of their batch and event."""
        events = len(self._event_shape)
        probs = self._mixture.probs
        return (probs.reshape(*probs.shape, *(1,) * events) * of_parts).sum(-1 - events)

    @property
    def mean(self) -> Tensor:
        return self._weighed(self._components.mean)

    @property
    def variance(self) -> Tensor:
        """The mean of the components' variances and the variance of their means."""
        away = self._components.mean - self.mean.unsqueeze(-1 - len(self._event_shape))
        return self._weighed(self._components.variance) + self._weighed(away.square())

    def cdf(self, value: Tensor) -> Tensor:
        below = self._components.cdf(value.unsqueeze(-1 - len(self._event_shape)))
        return (below * self._mixture.probs).sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        of_parts = self._components.log_prob(value.unsqueeze(-1 - len(self._event_shape)))
        return (of_parts + self._mixture.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            sizes = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
            mixture = self._mixture.expand(tuple(self._batch_shape))
            which, drawn = mixture.sample(sizes), self._components.sample(sizes)
            events = len(self._event_shape)
            place = which.reshape(*which.shape, *(1,) * (events + 1))
            chosen = broadcast_to(place, (*which.shape, 1, *self._event_shape))
            return drawn.gather(drawn.ndim - 1 - events, chosen).squeeze(-1 - events)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self._mixture},\n  {self._components})"
