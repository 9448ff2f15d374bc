"""Methods of Tensor that put random numbers in the place of what was there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backends import to_device
from ..dtypes import FLOATS, limits
from ..grad_mode import state as grad_state
from ..in_place import in_place
from ..ops.overwriting import Drawn
from ..ops.registry import apply
from ..tensor import Tensor
from .drawn import check_std, digits, floating, integers, stream, unit, whole_number, wide, zeros_and_ones
from .factory import C_NAMES, SCALAR_NAMES


def _fill(self: Tensor, method: str, drawn: Any, node: str = "") -> Tensor:
    """Puts drawn host values into `self`; PyTorch's gradient of that is zero."""
    values = to_device(np.asarray(drawn).astype(self._array.dtype, copy=False), self.device)
    named = node or method.rstrip("_").title().replace("_", "") + "Backward0"
    return in_place(self, lambda old: apply(Drawn, (old,), (values, named)), method)


def _continuous(self: Tensor, name: str) -> Any:
    if self._array.dtype not in FLOATS:
        raise RuntimeError(
            f"{name} distribution is a continuous probability distribution. dtype must be a floating point but you "
            f"specified {SCALAR_NAMES[self.dtype.name]}"
        )
    return wide(self._array.dtype)


def uniform_(self: Tensor, from_: float = 0, to: float = 1, *, generator: Any = None, **named: Any) -> Tensor:
    """Uniform numbers of [from, to)."""
    low = named.pop("from", from_)
    if named:
        raise TypeError(f"uniform_() got an unexpected keyword argument '{next(iter(named))}'")
    d = self._array.dtype
    floating(d, "uniform_", "check_uniform_bounds")
    for argument, x in (("from", low), ("to", to)):
        if not abs(x) <= float(limits(d).max):
            raise RuntimeError(f"{argument} is out of bounds for {C_NAMES[self.dtype.name]}")
    if low > to:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low:g} > to={to:g}"
        )
    kind = wide(d)
    drawn = unit(stream(generator, "uniform_"), self.shape, d) * kind(to - low) + kind(low)
    if low < to:  # rounding may reach `to`
        drawn = np.where(drawn.astype(d) >= d.type(to), kind(low), drawn)
    return _fill(self, "uniform_", drawn)


def normal_(self: Tensor, mean: float = 0, std: float = 1, *, generator: Any = None) -> Tensor:
    """Normal numbers of a mean and a standard deviation."""
    d = self._array.dtype
    floating(d, "normal_", "normal_kernel_cpu")
    check_std(std)
    kind = wide(d)
    return _fill(
        self,
        "normal_",
        stream(generator, "normal_").standard_normal(self.shape, kind) * kind(std) + kind(mean),
    )


def log_normal_(self: Tensor, mean: float = 1, std: float = 2, *, generator: Any = None) -> Tensor:
    """exp of normal numbers of that mean and standard deviation."""
    d = self._array.dtype
    if std <= 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std:g}")
    floating(d, "log_normal_", "log_normal_cpu")
    kind = wide(d)
    drawn = stream(generator, "log_normal_").standard_normal(self.shape, kind)
    return _fill(self, "log_normal_", grad_state.quiet(np.exp, drawn * kind(std) + kind(mean)))


def exponential_(self: Tensor, lambd: float = 1, *, generator: Any = None) -> Tensor:
    """Exponential numbers of the rate `lambd`."""
    kind = _continuous(self, "Exponential")
    if lambd <= 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd:g}")
    drawn = stream(generator, "exponential_").standard_exponential(self.shape, kind)
    return _fill(self, "exponential_", np.maximum(drawn, np.finfo(kind).tiny) / kind(lambd))


def cauchy_(self: Tensor, median: float = 0, sigma: float = 1, *, generator: Any = None) -> Tensor:
    """Cauchy numbers around `median`, half of them within `sigma` of it."""
    kind = _continuous(self, "Cauchy")
    if sigma <= 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma:g}")
    drawn = stream(generator, "cauchy_").random(self.shape)
    return _fill(self, "cauchy_", (median + sigma * np.tan(math.pi * (drawn - 0.5))).astype(kind))


def geometric_(self: Tensor, p: float, *, generator: Any = None) -> Tensor:
    """Numbers of trials up to the first success, of the probability `p`."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p:g}")
    return _fill(self, "geometric_", stream(generator, "geometric_").geometric(p, self.shape))


def random_(self: Tensor, *bounds: Any, generator: Any = None, **named: Any) -> Tensor:
    """random_(from, to): integers of [from, to); random_(to) starts at 0, random_() takes all that the dtype holds."""
    d = self._array.dtype
    if len(bounds) > 2 or (bounds and "from" in named) or (len(bounds) == 2 and "to" in named):
        raise TypeError("random_(): expected (), (to) or (from, to)")
    if len(bounds) == 1 and "to" not in named:
        low, high, node = 0, bounds[0], "RandomBackward1"
    else:
        low = named.pop("from", bounds[0] if bounds else 0)
        high = named.pop("to", bounds[1] if len(bounds) == 2 else None)
        node = "RandomBackward2" if not bounds and high is None else "RandomBackward0"
    if named:
        raise TypeError(f"random_() got an unexpected keyword argument '{next(iter(named))}'")
    low = whole_number("random_", "from", low)
    draw = stream(generator, "random_")
    if high is None:
        most = 2 ** digits(d) if d in FLOATS else 1 if d == np.bool_ else int(np.iinfo(d).max)
        return _fill(self, "random_", draw.integers(low, most, self.shape, endpoint=True), node)
    return _fill(
        self, "random_", integers(draw, low, whole_number("random_", "to", high), self.shape, d), node
    )


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """1 with the probability `p`, a number or a tensor, else 0."""
    node = "BernoulliBackward1" if isinstance(p, Tensor) else "BernoulliBackward2"
    return _fill(self, "bernoulli_", zeros_and_ones(self, p, generator), node)


for _method in (uniform_, normal_, log_normal_, exponential_, cauchy_, geometric_, random_, bernoulli_):
    setattr(Tensor, _method.__name__, _method)
