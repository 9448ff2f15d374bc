"""Functions of the `torch` namespace that make tensors."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import random
from .backends import Device, to_numpy
from .dtypes import FLOATS, from_numpy_dtype, get_default_dtype, int64
from .dtypes import dtype as DType
from .tensor import Size, Tensor, wrap_device

_float = builtins.float


def _finished(array: Any, device: Any, requires_grad: bool) -> Tensor:
    t = Tensor._wrap(np.asarray(array) if isinstance(array, np.generic) else array)
    if device is not None:
        t._array = wrap_device(t._array, device)
    return t.requires_grad_() if requires_grad else t


def _size(size: tuple[Any, ...], name: str) -> tuple[int, ...]:
    """zeros(2, 3), zeros((2, 3)) and zeros(Size) alike."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    try:
        shape = tuple(n.__index__() for n in size)
    except (AttributeError, TypeError):
        raise TypeError(f"{name}: expected sizes as integers, got {size}") from None
    if builtins.any(n < 0 for n in shape):
        raise RuntimeError(f"{name}: trying to create tensor with negative dimension: {list(shape)}")
    return shape


def _numpy_dtype(dtype: DType | None) -> Any:
    return (dtype or get_default_dtype()).numpy


def tensor(
    data: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A new tensor that copies `data` (numbers, nested sequences, arrays, tensors). Python floats become the default dtype."""
    if isinstance(data, Tensor):
        array, device = data._array.copy(), device if device is not None else data.device
        array = array if dtype is None else array.astype(dtype.numpy)
        return _finished(array, device, requires_grad)
    try:
        array = np.array(_plain(data), None if dtype is None else dtype.numpy)
    except ValueError as e:
        raise ValueError(f"tensor: expected sequences of equal lengths at every depth ({e})") from None
    if array.dtype.kind in "OUSV" and array.dtype not in FLOATS:
        raise TypeError(f"tensor: expected numbers, got {type(data).__name__} of {array.dtype}")
    if dtype is None and array.dtype == np.float64 and not isinstance(data, (np.ndarray, np.generic)):
        array = array.astype(get_default_dtype().numpy)
    from_numpy_dtype(array.dtype)
    return _finished(array, device, requires_grad)


def _plain(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        return [_plain(d) for d in data]
    return to_numpy(data._array) if isinstance(data, Tensor) else data


def as_tensor(data: Any, dtype: DType | None = None, device: Any = None) -> Tensor:
    """`data` as a tensor, sharing its memory where it can."""
    if isinstance(data, np.ndarray):
        data = from_numpy(data)
    if isinstance(data, Tensor):
        return data.to(*[x for x in (dtype, device) if x is not None])
    return tensor(data, dtype=dtype, device=device)


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the array's memory."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    from_numpy_dtype(ndarray.dtype)
    return Tensor._wrap(ndarray)


def zeros(*size: Any, dtype: DType | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    return _finished(np.zeros(_size(size, "zeros"), _numpy_dtype(dtype)), device, requires_grad)


def ones(*size: Any, dtype: DType | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    return _finished(np.ones(_size(size, "ones"), _numpy_dtype(dtype)), device, requires_grad)


def empty(*size: Any, dtype: DType | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Uninitialised."""
    return _finished(np.empty(_size(size, "empty"), _numpy_dtype(dtype)), device, requires_grad)


def full(
    size: Sequence[int],
    fill_value: Any,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    d = dtype or (
        get_default_dtype()
        if isinstance(fill_value, _float)
        else from_numpy_dtype(np.asarray(fill_value).dtype)
    )
    return _finished(np.full(_size((size,), "full"), fill_value, d.numpy), device, requires_grad)


def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    if end is None:
        start, end = 0, start
    if not step:
        raise RuntimeError("step must be nonzero")
    if (end - start) / step < 0:
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    whole = builtins.all(isinstance(x, int) for x in (start, end, step))
    d = dtype or (int64 if whole else get_default_dtype())
    return _finished(np.arange(start, end, step).astype(d.numpy), device, requires_grad)


def linspace(
    start: _float,
    end: _float,
    steps: int,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    return _finished(np.linspace(start, end, steps).astype(_numpy_dtype(dtype)), device, requires_grad)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    return _finished(np.eye(n, m, dtype=_numpy_dtype(dtype)), device, requires_grad)


def _drawn(array: Any, dtype: DType | None, device: Any, requires_grad: bool) -> Tensor:
    return _finished(np.asarray(array).astype(_numpy_dtype(dtype), copy=False), device, requires_grad)


def _uniform(generator: random.Generator | None, shape: Any, dtype: DType | None) -> Any:
    draw = (generator or random.current()).numpy
    return draw.random(shape, np.float64 if _numpy_dtype(dtype) == np.float64 else np.float32)


def rand(
    *size: Any,
    generator: random.Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform in [0, 1)."""
    return _drawn(_uniform(generator, _size(size, "rand"), dtype), dtype, device, requires_grad)


def randn(
    *size: Any,
    generator: random.Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Standard normal."""
    draw = (generator or random.current()).numpy
    kind = np.float64 if _numpy_dtype(dtype) == np.float64 else np.float32
    return _drawn(draw.standard_normal(_size(size, "randn"), kind), dtype, device, requires_grad)


def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: random.Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
) -> Tensor:
    """Integers of [low, high)."""
    if size is None:
        low, high, size = 0, low, high
    draw = (generator or random.current()).numpy
    return _drawn(draw.integers(low, high, _size((size,), "randint")), dtype or int64, device, False)


def randperm(
    n: int, *, generator: random.Generator | None = None, dtype: DType | None = None, device: Any = None
) -> Tensor:
    return _drawn((generator or random.current()).numpy.permutation(n), dtype or int64, device, False)


def normal(mean: Any, std: Any, size: Any = None, *, generator: random.Generator | None = None) -> Tensor:
    shape = (
        _size((size,), "normal")
        if size is not None
        else np.broadcast_shapes(*(getattr(x, "shape", ()) for x in (mean, std)))
    )
    drawn: Tensor = randn(*shape, generator=generator) * std + mean
    return drawn


def bernoulli(input: Tensor, *, generator: random.Generator | None = None) -> Tensor:
    """1 with the probability of each element, else 0."""
    p = input.detach()
    return (rand(*p.shape, generator=generator, device=p.device) < p).to(p.dtype)


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: random.Generator | None = None
) -> Tensor:
    """Indices drawn by weight, from each row."""
    weights = np.atleast_2d(np.asarray(input.detach().cpu().numpy(), np.float64))
    draw = (generator or random.current()).numpy
    rows = [draw.choice(w.size, num_samples, replacement, w / w.sum()) for w in weights]
    return _finished(np.array(rows if input.ndim == 2 else rows[0], np.int64), input.device, False)


def _like(function: Any) -> Any:
    def run(
        input: Tensor,
        *args: Any,
        dtype: DType | None = None,
        device: Any = None,
        requires_grad: bool = False,
        **kwargs: Any,
    ) -> Tensor:
        out: Tensor = function(
            Size(input.shape), *args, dtype=dtype or input.dtype, device=device if device is not None else input.device,
            requires_grad=requires_grad, **kwargs,
        )  # fmt: skip
        return out

    return run


zeros_like, ones_like, empty_like, full_like, rand_like, randn_like = map(
    _like, (zeros, ones, empty, full, rand, randn)
)


class FloatTensor(Tensor):
    """FloatTensor(3, 5): an uninitialised float32 tensor of that shape; FloatTensor([…]): one of those values."""

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Tensor:  # type: ignore[misc]
        return Tensor(*args)


class LongTensor(Tensor):
    """LongTensor([…]): an int64 tensor of those values."""

    __slots__ = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Tensor:  # type: ignore[misc]
        if len(args) == 1 and isinstance(args[0], (list, tuple)):
            return tensor(args[0], dtype=int64)
        return empty(*args, dtype=int64)


def _uniform_(
    self: Tensor, from_: _float = 0, to: _float = 1, generator: random.Generator | None = None
) -> Tensor:
    drawn = _uniform(generator, self.shape, self.dtype)
    return self.copy_(from_numpy(np.asarray(drawn * drawn.dtype.type(to - from_) + drawn.dtype.type(from_))))


def _normal_(
    self: Tensor, mean: _float = 0, std: _float = 1, generator: random.Generator | None = None
) -> Tensor:
    return self.copy_(randn(*self.shape, generator=generator, dtype=self.dtype) * std + mean)


def _attach() -> None:
    more: dict[str, Any] = {
        "uniform_": _uniform_, "normal_": _normal_,
        "new_zeros": lambda self, *size, **kw: zeros(*size, **{"dtype": self.dtype, "device": self.device, **kw}),
        "new_ones": lambda self, *size, **kw: ones(*size, **{"dtype": self.dtype, "device": self.device, **kw}),
        "new_tensor": lambda self, data, **kw: tensor(data, **{"dtype": self.dtype, "device": self.device, **kw}),
    }  # fmt: skip
    for name, function in more.items():
        setattr(Tensor, name, function)


_attach()


def device(name: Any, index: int | None = None) -> Device:
    """torch.device("cuda:1")."""
    return Device(name, index)
