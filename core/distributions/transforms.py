"""Invertible changes of variables, with the logarithms of their Jacobians' determinants."""

from __future__ import annotations

import math
from typing import Any

from ..functions import log, tanh
from ..nn.functional import logsigmoid, pad, softplus
from ..tensor import Tensor
from . import constraints

__all__ = [
    "AbsTransform", "AffineTransform", "ComposeTransform", "ExpTransform", "IndependentTransform",
    "PowerTransform", "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform", "StickBreakingTransform", "TanhTransform", "Transform",
    "identity_transform",
]  # fmt: skip


def summed(value: Any, n: int) -> Any:
    """`value` summed over its last n dimensions."""
    return value.flatten(value.ndim - n).sum(-1) if n and isinstance(value, Tensor) else value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return bool((a == b).all())  # type: ignore[union-attr]
    return bool(a == b)


class Transform:
    """An invertible map: t(x), t.inv(y), t.log_abs_det_jacobian(x, y). Subclasses define _call and _inverse."""

    bijective = True
    domain: Any = constraints.real
    codomain: Any = constraints.real

    def __init__(self, cache_size: int = 0) -> None:
        self._cache_size = cache_size
        self._last: tuple[Any, Any] = (None, None)
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")

    @property
    def event_dim(self) -> int:
        if self.domain.event_dim == self.codomain.event_dim:
            return self.domain.event_dim  # type: ignore[no-any-return]
        raise ValueError("Please use either .domain.event_dim or .codomain.event_dim")

    @property
    def sign(self) -> Any:
        """1 where the map rises, -1 where it falls."""
        raise NotImplementedError(f"{type(self).__name__} neither rises nor falls everywhere")

    @property
    def inv(self) -> Transform:
        return _Inverse(self)

    def __call__(self, x: Tensor) -> Tensor:
        if self._cache_size and x is self._last[0]:
            return self._last[1]  # type: ignore[no-any-return]
        y = self._call(x)
        if self._cache_size:
            self._last = x, y
        return y

    def _inv_call(self, y: Tensor) -> Tensor:
        if self._cache_size and y is self._last[1]:
            return self._last[0]  # type: ignore[no-any-return]
        x = self._inverse(y)
        if self._cache_size:
            self._last = x, y
        return x

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not define _call")

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not say its Jacobian")

    def forward_shape(self, shape: Any) -> tuple[int, ...]:
        return tuple(shape)

    def inverse_shape(self, shape: Any) -> tuple[int, ...]:
        return tuple(shape)

    def __eq__(self, other: object) -> bool:
        """Whether the other is of the same kind and numbers."""
        if self is other or type(self) is not type(other):
            return self is other
        own, others = (
            {k: v for k, v in t.__dict__.items() if k not in ("_last", "_cache_size")} for t in (self, other)
        )
        return own.keys() == others.keys() and all(_same(v, others[k]) for k, v in own.items())

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self._inv = transform
        self.domain, self.codomain, self.bijective = transform.codomain, transform.domain, transform.bijective

    @property
    def sign(self) -> Any:
        return self._inv.sign

    @property
    def inv(self) -> Transform:
        return self._inv

    def __call__(self, x: Tensor) -> Tensor:
        return self._inv._inv_call(x)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._inv.log_abs_det_jacobian(y, x)

    def _inv_call(self, y: Tensor) -> Tensor:
        return self._inv(y)

    def forward_shape(self, shape: Any) -> tuple[int, ...]:
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape: Any) -> tuple[int, ...]:
        return self._inv.forward_shape(shape)

    def __repr__(self) -> str:
        return f"_InverseTransform({self._inv!r})"


class ComposeTransform(Transform):
    """Transforms one after the other."""

    def __init__(self, parts: list[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.parts = parts
        if not parts:
            return
        domain, need = parts[0].domain, parts[-1].codomain.event_dim
        for t in reversed(parts):
            need += t.domain.event_dim - t.codomain.event_dim
            need = max(need, t.domain.event_dim)
        self.domain = (
            constraints.independent(domain, need - domain.event_dim) if need > domain.event_dim else domain
        )
        codomain, need = parts[-1].codomain, parts[0].domain.event_dim
        for t in parts:
            need += t.codomain.event_dim - t.domain.event_dim
            need = max(need, t.codomain.event_dim)
        more = need - codomain.event_dim
        self.codomain = constraints.independent(codomain, more) if more > 0 else codomain
        self.bijective = all(t.bijective for t in parts)

    @property
    def sign(self) -> Any:
        sign: Any = 1
        for t in self.parts:
            sign = sign * t.sign
        return sign

    def _call(self, x: Tensor) -> Tensor:
        for t in self.parts:
            x = t(x)
        return x

    def _inverse(self, y: Tensor) -> Tensor:
        for t in reversed(self.parts):
            y = t.inv(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if not self.parts:
            return x * 0
        values = [x]
        for t in self.parts[:-1]:
            values.append(t(values[-1]))
        values.append(y)
        total: Any = 0
        event = self.domain.event_dim
        for t, a, b in zip(self.parts, values[:-1], values[1:], strict=True):
            total = total + summed(t.log_abs_det_jacobian(a, b), event - t.domain.event_dim)
            event += t.codomain.event_dim - t.domain.event_dim
        return total

    def forward_shape(self, shape: Any) -> tuple[int, ...]:
        for t in self.parts:
            shape = t.forward_shape(shape)
        return tuple(shape)

    def inverse_shape(self, shape: Any) -> tuple[int, ...]:
        for t in reversed(self.parts):
            shape = t.inverse_shape(shape)
        return tuple(shape)

    def __repr__(self) -> str:
        return "ComposeTransform(\n    " + ",\n    ".join(map(repr, self.parts)) + "\n)"


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """A transform of each element, as one of events of reinterpreted_batch_ndims dimensions more."""

    def __init__(
        self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0
    ) -> None:
        super().__init__(cache_size)
        self.base_transform, self.reinterpreted_batch_ndims = base_transform, reinterpreted_batch_ndims
        self.domain = constraints.independent(base_transform.domain, reinterpreted_batch_ndims)
        self.codomain = constraints.independent(base_transform.codomain, reinterpreted_batch_ndims)
        self.bijective = base_transform.bijective

    @property
    def sign(self) -> Any:
        return self.base_transform.sign

    def _call(self, x: Tensor) -> Tensor:
        return self.base_transform(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return summed(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"IndependentTransform({self.base_transform!r}, {self.reinterpreted_batch_ndims})"


class ExpTransform(Transform):
    """y = exp(x)."""

    codomain = constraints.positive
    sign = 1

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class PowerTransform(Transform):
    """y = x ** exponent, of positive x."""

    domain = constraints.positive
    codomain = constraints.positive

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        from .distribution import broadcast_all

        (self.exponent,) = broadcast_all(exponent)

    @property
    def sign(self) -> Any:
        return self.exponent.sign()

    def _call(self, x: Tensor) -> Tensor:
        return x.pow(self.exponent)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.exponent * y / x).abs().log()


class SigmoidTransform(Transform):
    """y = 1 / (1 + exp(-x))."""

    codomain = constraints.unit_interval
    sign = 1

    def _call(self, x: Tensor) -> Tensor:
        from ..limits import finfo

        eps = finfo(x.dtype)
        return x.sigmoid().clamp(min=eps.tiny, max=1.0 - eps.eps)

    def _inverse(self, y: Tensor) -> Tensor:
        from ..limits import finfo

        eps = finfo(y.dtype)
        y = y.clamp(min=eps.tiny, max=1.0 - eps.eps)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return logsigmoid(x) + logsigmoid(-x)


class TanhTransform(Transform):
    """y = tanh(x)."""

    codomain = constraints.interval(-1.0, 1.0)
    sign = 1

    def _call(self, x: Tensor) -> Tensor:
        return tanh(x)

    def _inverse(self, y: Tensor) -> Tensor:
        from ..functions import atanh

        return atanh(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))


class SoftplusTransform(Transform):
    """y = log(1 + exp(x))."""

    codomain = constraints.positive
    sign = 1

    def _call(self, x: Tensor) -> Tensor:
        return softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -softplus(-x)


class AbsTransform(Transform):
    """y = |x|, whose inverse takes the positive one."""

    codomain = constraints.positive
    bijective = False

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse(self, y: Tensor) -> Tensor:
        return y


class AffineTransform(Transform):
    """y = loc + scale * x; event_dim: dimensions of an event."""

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale, self._event_dim = loc, scale, event_dim
        if event_dim:
            self.domain = self.codomain = constraints.independent(constraints.real, event_dim)

    @property
    def event_dim(self) -> int:
        return self._event_dim

    @property
    def sign(self) -> Any:
        if isinstance(self.scale, Tensor):
            return self.scale.sign()
        return 1 if self.scale > 0 else -1 if self.scale < 0 else 0

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if isinstance(self.scale, Tensor):
            result = (
                log(self.scale.abs()).expand(*x.shape) if self.scale.ndim <= x.ndim else log(self.scale.abs())
            )
        else:
            result = x * 0 + math.log(abs(self.scale))
        return summed(result, self._event_dim)


class SoftmaxTransform(Transform):
    """y = softmax(x), whose inverse is one of many."""

    bijective = False
    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        return x.softmax(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()


class StickBreakingTransform(Transform):
    """K real numbers to K + 1 probabilities, each a share of what those before have left."""

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        from ..creation import arange

        k = x.shape[-1]
        offset = (k - arange(k, dtype=x.dtype, device=x.device)).log()
        z = _clipped((x - offset).sigmoid())
        left = (1 - z).cumprod(-1)
        return pad(z, [0, 1], value=1) * pad(left, [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        from ..creation import arange

        k = y.shape[-1] - 1
        offset = (k - arange(k, dtype=y.dtype, device=y.device)).log()
        left = (1 - y[..., :-1].cumsum(-1)).clamp(min=1e-30)
        return y[..., :-1].log() - left.log() + offset

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        from ..creation import arange

        k = x.shape[-1]
        x = x - (k - arange(k, dtype=x.dtype, device=x.device)).log()
        return (-x + logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> tuple[int, ...]:
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: Any) -> tuple[int, ...]:
        return (*shape[:-1], shape[-1] - 1)


def _clipped(p: Tensor) -> Tensor:
    from ..limits import finfo

    f = finfo(p.dtype)
    return p.clamp(min=f.tiny, max=1.0 - f.eps)


def __getattr__(name: str) -> Any:
    """The transforms of parts, which build on these, by PyTorch's place for all of them."""
    from . import transforms_of_parts as more

    if name in more.__all__:
        return getattr(more, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
