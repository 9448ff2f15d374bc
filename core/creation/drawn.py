"""Random tensors. Numbers are drawn on the host for every device, from the generator given or the thread's current one,
in float32 (float64 for tensors of it), so that CPU and GPU see the same ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import random
from ..backends import to_device, to_numpy
from ..dtypes import FLOATS, HALVES, from_numpy_dtype, int64
from ..dtypes import dtype as DType
from ..functions.catalogue import write
from ..grad_mode import state as grad_state
from ..ops.overwriting import Drawn
from ..ops.registry import apply, cast_inputs
from ..tensor import Tensor
from .factory import C_NAMES, SCALAR_NAMES, factory, numpy_dtype, sizes
from .filled import like

__all__ = [
    "bernoulli", "binomial", "multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like", "randn",
    "randn_like", "randperm",
]  # fmt: skip
_DIGITS = {"float16": 11, "bfloat16": 8}


def stream(generator: Any, name: str) -> np.random.Generator:
    if generator is None:
        return random.current().numpy
    if not isinstance(generator, random.Generator):
        raise TypeError(
            f"{name}(): argument 'generator' must be torch.Generator, not {type(generator).__name__}"
        )
    return generator.numpy


def wide(d: Any) -> Any:
    return np.float64 if d == np.float64 else np.float32


def unit(draw: np.random.Generator, shape: tuple[int, ...], d: Any) -> Any:
    """Uniform in [0, 1), with the digits that dtype `d` has: rounding must not make a 1 of the largest."""
    drawn = draw.random(shape, wide(d))
    if d in HALVES:
        scale = np.float32(2 ** _DIGITS[d.name])
        drawn = np.floor(drawn * scale) / scale
    return drawn


def floating(d: Any, name: str, kernel: str) -> None:
    if d not in FLOATS:
        raise NotImplementedError(
            f"\"{kernel}\" not implemented for '{SCALAR_NAMES[from_numpy_dtype(d).name]}' ({name}: ask for a floating-point dtype)"
        )


def _put(xp: Any, drawn: Any, d: Any) -> Any:
    return xp.asarray(np.asarray(drawn).astype(d, copy=False))


@factory
def rand(xp: Any, dtype: Any, *size: Any, generator: Any = None, **named: Any) -> Any:
    """Uniform in [0, 1)."""
    shape, d = sizes("rand", size, named), numpy_dtype(xp, dtype)
    floating(d, "rand", "check_uniform_bounds")
    return _put(xp, unit(stream(generator, "rand"), shape, d), d)


@factory
def randn(xp: Any, dtype: Any, *size: Any, generator: Any = None, **named: Any) -> Any:
    """Standard normal."""
    shape, d = sizes("randn", size, named), numpy_dtype(xp, dtype)
    floating(d, "randn", "normal_kernel_cpu")
    return _put(xp, stream(generator, "randn").standard_normal(shape, wide(d)), d)


def integers(draw: np.random.Generator, low: int, high: int, shape: tuple[int, ...], d: Any) -> Any:
    if low >= high:
        raise RuntimeError(f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}")
    name = from_numpy_dtype(d).name
    if d in FLOATS:
        least, most = -(2 ** digits(d)), 2 ** digits(d)
    else:
        least, most = (0, 1) if d == np.bool_ else (int(np.iinfo(d).min), int(np.iinfo(d).max))
    for argument, n in (("from", low), ("to - 1", high - 1)):
        if not least <= n <= most:
            raise RuntimeError(f"{argument} is out of bounds for {C_NAMES[name]}")
    return draw.integers(low, high, shape)


def digits(d: Any) -> int:
    return {"float32": 24, "float64": 53}.get(d.name) or _DIGITS[d.name]


def whole_number(name: str, argument: str, x: Any) -> int:
    if isinstance(x, bool) or not hasattr(x, "__index__"):
        raise TypeError(f"{name}(): argument '{argument}' must be int, not {type(x).__name__}")
    return int(x.__index__())


@factory
def randint(
    xp: Any, dtype: Any, low: Any = None, high: Any = None, size: Any = None, *, generator: Any = None
) -> Any:
    """Integers of [low, high); randint(high, size) starts at 0. int64 unless told otherwise."""
    if size is None and isinstance(high, (tuple, list)):
        low, high, size = 0, low, high
    elif low is None:
        low = 0
    elif high is None:
        low, high = 0, low
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint(): argument 'size' must be tuple of ints, not {type(size).__name__}")
    d = numpy_dtype(xp, dtype or int64)
    low, high = whole_number("randint", "low", low), whole_number("randint", "high", high)
    return _put(xp, integers(stream(generator, "randint"), low, high, sizes("randint", (size,)), d), d)


@factory
def randperm(xp: Any, dtype: Any, n: int, *, generator: Any = None) -> Any:
    """A permutation of 0 … n - 1, int64 unless told otherwise."""
    n = whole_number("randperm", "n", n)
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    d = numpy_dtype(xp, dtype or int64)
    if d == np.bool_:
        raise NotImplementedError("\"randperm\" not implemented for 'Bool'")
    most = 2 ** digits(d) if d in FLOATS else int(np.iinfo(d).max)
    if n - 1 > most:
        raise RuntimeError(
            f"value cannot be converted to type {C_NAMES[from_numpy_dtype(d).name]} without overflow"
        )
    return _put(xp, stream(generator, "randperm").permutation(n), d)


def rand_like(input: Tensor, *, generator: Any = None, **options: Any) -> Tensor:
    """Uniform in [0, 1), of input's shape. options: dtype, device, requires_grad, memory_format; input's where left out."""
    return _like(
        "rand_like",
        input,
        options,
        lambda s, d: unit(stream(generator, "rand_like"), s, d),
        "check_uniform_bounds",
    )


def randn_like(input: Tensor, *, generator: Any = None, **options: Any) -> Tensor:
    """Standard normal, of input's shape; options as for rand_like."""
    return _like(
        "randn_like", input, options,
        lambda s, d: stream(generator, "randn_like").standard_normal(s, wide(d)), "normal_kernel_cpu",
    )  # fmt: skip


def randint_like(
    input: Tensor, low: Any = 0, high: Any = None, *, generator: Any = None, **options: Any
) -> Tensor:
    """Integers of [low, high), of input's shape and dtype; randint_like(input, high) starts at 0."""
    low, high = (0, low) if high is None else (low, high)
    low, high = whole_number("randint_like", "low", low), whole_number("randint_like", "high", high)
    return _like(
        "randint_like",
        input,
        options,
        lambda s, d: integers(stream(generator, "randint_like"), low, high, s, d),
    )


def _like(name: str, input: Any, options: dict[str, Any], drawn: Any, kernel: str = "") -> Tensor:
    def made(xp: Any, shape: tuple[int, ...], d: DType) -> Any:
        if kernel:
            floating(d.numpy, name, kernel)
        return _put(xp, drawn(shape, d.numpy), d.numpy)

    return like(name, input, options, made)


# Draws whose parameters are tensors. Their gradient is zero, as PyTorch has it.


def _host(x: Any) -> Any:
    a = to_numpy(x._array)
    return a if a.dtype == np.float64 else a.astype(np.float32, copy=False)


def _result(name: str, input: Tensor, drawn: Any) -> Tensor:
    """The drawn values in input's dtype, at their place in the graph where input requires grad."""
    values = to_device(np.asarray(drawn).astype(input._array.dtype), input.device)
    if grad_state.enabled and input.requires_grad:
        return apply(Drawn, (input,), (values, name))
    return Tensor._wrap(values)


def _tensor(x: Any, name: str, argument: str) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}(): argument '{argument}' must be Tensor, not {type(x).__name__}")
    return x


def _out(name: str, out: Any, result: Tensor) -> Tensor:
    if out is None:
        return result
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    write(name, out, result)
    return out


def check_std(std: Any) -> None:
    if not isinstance(std, Tensor):
        if std < 0:
            raise RuntimeError(f"normal expects std >= 0.0, but found std {std:g}")
    elif bool((std.detach() < 0).any()):
        raise RuntimeError("normal expects all elements of std >= 0.0")


def normal(
    mean: Any, std: Any = 1.0, size: Any = None, *, generator: Any = None, out: Any = None, **options: Any
) -> Tensor:
    """Normal numbers of a mean and a standard deviation, each a tensor or a number; of two numbers, `size` many."""
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        if size is None:
            raise TypeError("normal(): expected a size where mean and std are both numbers")
        check_std(std)
        return _out(
            "normal",
            out,
            _scaled_normal(randn(*sizes("normal", (size,)), generator=generator, **options), mean, std),
        )
    if size is not None or options:
        raise TypeError("normal(): a size, a dtype and a device go with two numbers; tensors have theirs")
    check_std(std)
    like_ = mean if isinstance(mean, Tensor) else std
    floating(like_._array.dtype, "normal", "normal_kernel_cpu")
    tensors = [x for x in (mean, std) if isinstance(x, Tensor)]
    try:
        shape = np.broadcast_shapes(*(x.shape for x in tensors))
    except ValueError:
        raise RuntimeError(
            f"normal: the shapes of mean and std, {[list(x.shape) for x in tensors]}, do not match"
        ) from None
    drawn = stream(generator, "normal").standard_normal(shape, wide(like_._array.dtype))
    m, s = (_host(x.detach()) if isinstance(x, Tensor) else x for x in (mean, std))
    wanting = next((x for x in (mean, std) if isinstance(x, Tensor) and x.requires_grad), like_)
    values = to_device(np.asarray(drawn * s + m).astype(like_._array.dtype), like_.device)
    if grad_state.enabled and wanting.requires_grad:
        node = f"NormalBackward{3 if len(tensors) == 2 else 2 if like_ is std else 1}"
        result = apply(Drawn, (cast_inputs(wanting, like_.dtype).expand(shape),), (values, node))
    else:
        result = Tensor._wrap(values)
    return _out("normal", out, result)


def _scaled_normal(t: Tensor, mean: Any, std: Any) -> Tensor:
    scaled: Tensor = (
        t if std == 1 and mean == 0 else (t.detach() * std + mean).requires_grad_(t.requires_grad)
    )
    return scaled


def _probabilities(p: Any) -> None:
    if not bool(((p >= 0) & (p <= 1)).all()):
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true, but got false.")


def bernoulli(input: Tensor, p: Any = None, *, generator: Any = None, out: Any = None) -> Tensor:
    """1 with the probability of each element (or with `p`), else 0."""
    _tensor(input, "bernoulli", "input")
    if p is not None:
        return Tensor._wrap(to_device(zeros_and_ones(input, p, generator), input.device))
    floating(input._array.dtype, "bernoulli", "bernoulli_tensor_cpu_p_")
    probabilities = _host(input.detach())
    _probabilities(probabilities)
    drawn = (
        stream(generator, "bernoulli").random(probabilities.shape, wide(probabilities.dtype)) < probabilities
    )
    return _out("bernoulli", out, _result("BernoulliBackward0", input, drawn))


def zeros_and_ones(self: Tensor, p: Any, generator: Any) -> Any:
    """A host array of self's shape and dtype: 1 with the probability `p`, a number or a tensor, else 0."""
    if isinstance(p, Tensor):
        probabilities: Any = _host(p.detach().expand(self.shape))
        _probabilities(probabilities)
    else:
        if not 0 <= p <= 1:
            raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={p:g}")
        probabilities = np.float64(p)
    drawn = stream(generator, "bernoulli").random(self.shape, wide(probabilities.dtype)) < probabilities
    return np.asarray(drawn).astype(self._array.dtype)


def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Poisson counts of the rate of each element."""
    floating(_tensor(input, "poisson", "input")._array.dtype, "poisson", "poisson_cpu")
    rates = _host(input.detach())
    if not bool((rates >= 0).all()):
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    return _result("PoissonBackward0", input, stream(generator, "poisson").poisson(rates))


def binomial(count: Tensor, prob: Tensor, generator: Any = None) -> Tensor:
    """Successes of `count` trials with the probability `prob`; the two broadcast."""
    _tensor(count, "binomial", "count")
    _tensor(prob, "binomial", "prob")
    for name, t in (("count", count), ("prob", prob)):
        if t._array.dtype not in FLOATS:
            raise ValueError(
                f"binomial only supports floating-point dtypes for {name}, got: {SCALAR_NAMES[t.dtype.name]}"
            )
    n, p = _host(count.detach()), _host(prob.detach())
    if not bool((n >= 0).all()):
        raise RuntimeError("binomial: expected counts of at least 0")
    _probabilities(p)
    drawn = stream(generator, "binomial").binomial(n.astype(np.int64), p)
    return Tensor._wrap(to_device(np.asarray(drawn).astype(count._array.dtype), count.device))


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Any = None
) -> Tensor:
    """`num_samples` indices drawn by weight, from each row."""
    a = _tensor(input, "multinomial", "input")._array
    num_samples = whole_number("multinomial", "num_samples", num_samples)
    if a.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if a.dtype not in FLOATS:
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {SCALAR_NAMES[input.dtype.name]}"
        )
    if num_samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    if not replacement and num_samples > a.shape[-1]:
        raise RuntimeError("cannot sample n_sample > prob_dist.size(-1) samples without replacement")
    weights = np.atleast_2d(_host(input.detach())).astype(np.float64)
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    total = weights.sum(-1, keepdims=True)
    if (total <= 0).any():
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    draw = stream(generator, "multinomial")
    if replacement:
        steps = np.cumsum(weights, -1)
        at = draw.random((len(weights), num_samples)) * steps[:, -1:]
        drawn = np.stack([np.searchsorted(s, x, side="right") for s, x in zip(steps, at, strict=True)])
        last = np.array([np.nonzero(w)[0][-1] for w in weights])[:, None]  # where rounding went past the end
        drawn = np.minimum(drawn, last)
    else:  # the smallest of exponential times at the rates of the weights: Efraimidis and Spirakis, 2006
        with np.errstate(divide="ignore"):
            times = draw.standard_exponential(weights.shape) / weights
        drawn = np.argsort(times, -1, kind="stable")[:, :num_samples]
    result = Tensor._wrap(to_device((drawn if a.ndim == 2 else drawn[0]).astype(np.int64), input.device))
    return _out("multinomial", out, result)


for _function in (bernoulli, multinomial):
    setattr(Tensor, _function.__name__, _function)
