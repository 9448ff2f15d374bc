"""Distribution: what all distributions have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from ..creation import full, scalar_tensor
from ..functions import broadcast_tensors, exp
from ..grad_mode import no_grad
from ..tensor import Size, Tensor
from .constraints import Constraint

__all__ = ["Distribution", "ExponentialFamily", "broadcast_all"]


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """The values as tensors of one shape; numbers take the dtype and device of the tensors beside them."""
    like = next((v for v in values if isinstance(v, Tensor)), None)
    if not all(isinstance(v, (Tensor, int, float)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    if like is None:
        return tuple(broadcast_tensors(*(scalar_tensor(float(v)) for v in values)))
    made = [v if isinstance(v, Tensor) else full((), v, dtype=like.dtype, device=like.device) for v in values]
    return tuple(broadcast_tensors(*made))


class Distribution:
    """A probability distribution over events of event_shape, for each of batch_shape; see PyTorch's torch.distributions.

    validate_args: whether parameters and values are checked (ValueError); True unless Python runs with -O.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: ClassVar[dict[str, Constraint]] = {}
    _validate_args: bool = __debug__

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions that do not say check their arguments."""
        if value not in (True, False):
            raise ValueError
        Distribution._validate_args = value

    def __init__(
        self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        self._check(self.__dict__)

    def _check(self, values: Any, validate_args: bool | None = None) -> None:
        """Raises ValueError where a parameter among `values` breaks its constraint, unless nothing is to be checked."""
        if not (self._validate_args if validate_args is None else validate_args):
            return
        for name, constraint in self.arg_constraints.items():
            value = values.get(name)
            if not isinstance(value, Tensor) or not isinstance(constraint, Constraint):
                continue  # what was not given
            if not bool(constraint.check(value).all()):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution {self!r} "
                    f"to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    @property
    def batch_shape(self) -> Size:
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        return self._event_shape

    @property
    def support(self) -> Any:
        """The constraint that samples satisfy."""
        raise NotImplementedError(f"{type(self).__name__} does not say its support")

    @property
    def mean(self) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no mean")

    @property
    def mode(self) -> Tensor:
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no variance")

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Samples of shape sample_shape + batch_shape + event_shape, without gradients."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Samples through which gradients flow to the parameters."""
        raise NotImplementedError(
            f"{type(self).__name__} has no rsample(): gradients do not flow through its samples"
        )

    def sample_n(self, n: int) -> Tensor:
        return self.sample((n,))

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density, or of the probability, at `value`."""
        raise NotImplementedError(f"{type(self).__name__} has no log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no cdf")

    def icdf(self, value: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no icdf")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        raise NotImplementedError(f"the support of {type(self).__name__} cannot be enumerated")

    def entropy(self) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no entropy")

    def perplexity(self) -> Tensor:
        return exp(self.entropy())

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        """The same distribution for a larger batch_shape."""
        shape = Size(batch_shape)
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        for name, constraint in self.arg_constraints.items():
            value = self.__dict__.get(name)
            if isinstance(value, Tensor):
                dims = constraint.event_dim
                new.__dict__[name] = value.expand(*shape, *value.shape[value.ndim - dims :])
        new._batch_shape = shape
        return new

    def _extended_shape(self, sample_shape: Any = ()) -> tuple[int, ...]:
        sizes = (sample_shape,) if isinstance(sample_shape, int) else tuple(sample_shape)
        return (*sizes, *self._batch_shape, *self._event_shape)

    def _validate_sample(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        if not self._validate_args:
            return
        n = len(self._event_shape)
        if n and tuple(value.shape[-n:]) != tuple(self._event_shape):
            raise ValueError(
                f"The right-most size of value must match event_shape: {value.shape} vs {self._event_shape}."
            )
        expected = (*self._batch_shape, *self._event_shape)
        for i, j in zip(reversed(tuple(value.shape)), reversed(expected), strict=False):
            if i != 1 and j != 1 and i != j:
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {value.shape} vs {Size(expected)}."
                )
        support = self.support
        if not bool(support.check(value).all()):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the support "
                f"({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        shown = []
        for name in self.arg_constraints:
            value = self.__dict__.get(name)
            if isinstance(value, Tensor):
                shown.append(f"{name}: {value if value.numel() == 1 else value.shape}")
        return f"{type(self).__name__}({', '.join(shown)})"


class ExponentialFamily(Distribution):
    """What has a density h(x) exp(η·t(x) - A(η)); those that say their _natural_params and _log_normalizer have an entropy by them."""

    @property
    def _natural_params(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not say its natural parameters")

    def _log_normalizer(self, *natural_params: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not say its logarithmic normalizer")

    @property
    def _mean_carrier_measure(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not say the mean of its carrier measure")

    def entropy(self) -> Tensor:
        """By the gradient of the normalizer. Nielsen and Nock, "Entropies and cross-entropies of exponential families" (2010)."""
        from ..autograd import grad

        result = -self._mean_carrier_measure
        natural = [p.detach().requires_grad_() for p in self._natural_params]
        normal = self._log_normalizer(*natural)
        slopes = grad(normal.sum(), natural, create_graph=True)
        result = result + normal
        for p, slope in zip(natural, slopes, strict=True):
            result = result - (p * slope).reshape(*self._batch_shape, -1).sum(-1)
        return result  # type: ignore[no-any-return]


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Logarithms of probabilities (is_binary: of odds), kept off 0 and 1 by the dtype's precision."""
    from ..limits import finfo

    eps = finfo(probs.dtype).eps
    clamped = probs.clamp(min=eps, max=1 - eps)
    return clamped.log() - (-clamped).log1p() if is_binary else clamped.log()


class Lazily:
    """`probs` from `logits`, or the other way, where the other one was given."""

    def __init__(self, name: str, is_binary: bool) -> None:
        self.name, self.is_binary = name, is_binary

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        if owner is None:
            return self
        if self.name == "probs":
            value = logits_to_probs(owner.logits, self.is_binary)
        else:
            value = probs_to_logits(owner.probs, self.is_binary)
        return value
