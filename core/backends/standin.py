"""A strict stand-in for CuPy on the host: for testing the "cuda" path without a GPU.

Its arrays hold NumPy arrays but behave as CuPy's do where that matters: nothing becomes a NumPy array by itself, host
and device arrays never meet in one operation, every result is an array, integer index arrays wrap around unchecked,
floating-point trouble warns nobody. The module offers what gradwire uses of CuPy, under CuPy's signatures, and nothing else:

    from gradwire.backends import standin, use_cuda_module
    before = use_cuda_module(standin)      # device "cuda" and "cuda:1" now work
    ...
    use_cuda_module(before)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from .standin_arrays import DEVICES, Device, called, host_of, made, ndarray

__all__ = [
    "add",
    "allclose",
    "arange",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "argsort",
    "asarray",
    "ascontiguousarray",
    "asnumpy",
    "bincount",
    "broadcast_to",
    "ceil",
    "concatenate",
    "copysign",
    "cos",
    "cosh",
    "cuda",
    "cumsum",
    "divide",
    "einsum",
    "empty",
    "empty_like",
    "exp",
    "exp2",
    "expand_dims",
    "expm1",
    "flip",
    "floor",
    "fmod",
    "frombuffer",
    "frexp",
    "full",
    "full_like",
    "gcd",
    "hypot",
    "isfinite",
    "isinf",
    "isnan",
    "lcm",
    "lib",
    "linalg",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "logaddexp2",
    "maximum",
    "may_share_memory",
    "minimum",
    "multiply",
    "ndarray",
    "negative",
    "nextafter",
    "nonzero",
    "ones",
    "pad",
    "rint",
    "roll",
    "sign",
    "signbit",
    "sin",
    "sinh",
    "sqrt",
    "take_along_axis",
    "tan",
    "tanh",
    "tril",
    "triu",
    "trunc",
    "where",
    "zeros",
]


class _Ufunc:
    """An elementwise function of device arrays and numbers."""

    def __init__(self, host: Any) -> None:
        self._host, self.__name__, self.nin = host, host.__name__, host.nin

    def __call__(self, *args: Any, out: Any = None) -> ndarray:
        if out is None:
            return called(self._host, *args)
        device = [out.device.id]
        with np.errstate(all="ignore"):
            self._host(*[host_of(x, device) for x in args], out=out._host)
        return out  # type: ignore[no-any-return]


add = _Ufunc(np.add)
arccos = _Ufunc(np.arccos)
arccosh = _Ufunc(np.arccosh)
arcsin = _Ufunc(np.arcsin)
arcsinh = _Ufunc(np.arcsinh)
arctan = _Ufunc(np.arctan)
arctan2 = _Ufunc(np.arctan2)
arctanh = _Ufunc(np.arctanh)
ceil = _Ufunc(np.ceil)
copysign = _Ufunc(np.copysign)
nextafter = _Ufunc(np.nextafter)
gcd = _Ufunc(np.gcd)
lcm = _Ufunc(np.lcm)
logaddexp2 = _Ufunc(np.logaddexp2)
cos = _Ufunc(np.cos)
cosh = _Ufunc(np.cosh)
divide = _Ufunc(np.divide)
exp = _Ufunc(np.exp)
exp2 = _Ufunc(np.exp2)
expm1 = _Ufunc(np.expm1)
floor = _Ufunc(np.floor)
fmod = _Ufunc(np.fmod)
hypot = _Ufunc(np.hypot)
isfinite = _Ufunc(np.isfinite)
isinf = _Ufunc(np.isinf)
isnan = _Ufunc(np.isnan)
log = _Ufunc(np.log)
log10 = _Ufunc(np.log10)
log1p = _Ufunc(np.log1p)
log2 = _Ufunc(np.log2)
logaddexp = _Ufunc(np.logaddexp)
maximum = _Ufunc(np.maximum)
minimum = _Ufunc(np.minimum)
multiply = _Ufunc(np.multiply)
negative = _Ufunc(np.negative)
rint = _Ufunc(np.rint)
sign = _Ufunc(np.sign)
signbit = _Ufunc(np.signbit)
sin = _Ufunc(np.sin)
sinh = _Ufunc(np.sinh)
sqrt = _Ufunc(np.sqrt)
tan = _Ufunc(np.tan)
tanh = _Ufunc(np.tanh)
trunc = _Ufunc(np.trunc)


def frexp(x: Any) -> tuple[ndarray, ndarray]:
    mantissa, exponent = np.frexp(x._host)
    return made(mantissa, x._device), made(exponent, x._device)


# Creation


def asarray(a: Any, dtype: Any = None, order: Any = None) -> ndarray:
    """A device array of `a`: itself if it is one, else a copy; where host arrays may cross to the device."""
    if isinstance(a, ndarray):
        return a if dtype is None else a.astype(dtype, copy=False)
    return made(np.array(a, dtype=dtype, order=order))


def asnumpy(a: Any) -> np.ndarray[Any, Any]:
    """A copy on the host: where device arrays may cross to it."""
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def frombuffer(*args: Any, **kwargs: Any) -> ndarray:
    return made(np.frombuffer(*args, **kwargs).copy())


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return made(np.zeros(shape, dtype))


def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return made(np.ones(shape, dtype))


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Uninitialised, and made to show: nobody may count on zeros."""
    host = np.empty(shape, dtype)
    if host.dtype.kind in "fc":
        host.fill(np.nan)
    return made(host)


def empty_like(prototype: Any, dtype: Any = None, order: str = "K") -> ndarray:
    """Likewise, in the order in memory of the prototype."""
    like = np.empty_like(host_of(prototype, []), dtype)
    if like.dtype.kind in "fc":
        like.fill(np.nan)
    return made(like)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    return made(np.full(shape, host_of(fill_value, []), dtype))


def full_like(a: Any, fill_value: Any, dtype: Any = None) -> ndarray:
    return called(lambda x, v: np.full_like(x, v, dtype), a, fill_value)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> ndarray:
    first, last = (0, start) if stop is None else (start, stop)
    host: Any = np.arange(first, last, step, dtype=dtype)  # type: ignore[call-overload]
    return made(host)


# Of arrays


def where(condition: Any, x: Any = None, y: Any = None) -> ndarray:
    return called(np.where, condition, x, y)


def einsum(subscripts: str, *operands: Any) -> ndarray:
    return called(lambda *arrays: np.einsum(subscripts, *arrays), *operands)


def concatenate(tup: Sequence[Any], axis: Any = 0) -> ndarray:
    return called(lambda *parts: np.concatenate(parts, axis), *tup)


def broadcast_to(array: Any, shape: Any) -> ndarray:
    if array.shape == tuple(shape):
        return array  # type: ignore[no-any-return]
    host = np.broadcast_to(array._host, shape)
    host.flags.writeable = array._host.flags.writeable  # nothing on the device is read-only
    view: ndarray = array._view(host)
    return view


def pad(array: Any, pad_width: Any, mode: str = "constant", **kwargs: Any) -> ndarray:
    return called(lambda a: np.pad(a, pad_width, mode, **kwargs), array)  # type: ignore[call-overload]


def argsort(a: Any, axis: Any = -1, kind: str | None = None) -> ndarray:
    if kind not in (None, "stable"):
        raise ValueError(f"kind can only be None or 'stable': {kind}")
    return called(lambda x: np.argsort(x, axis, kind="stable"), a)


def flip(a: Any, axis: Any = None) -> ndarray:
    view: ndarray = a._view(np.flip(a._host, axis))
    return view


def roll(a: Any, shift: Any, axis: Any = None) -> ndarray:
    return called(lambda x: np.roll(x, shift, axis), a)


def expand_dims(a: Any, axis: Any) -> ndarray:
    view: ndarray = a._view(np.expand_dims(a._host, axis))
    return view


def nonzero(a: Any) -> tuple[ndarray, ...]:
    if not a.ndim:
        raise ValueError(
            "Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() instead."
        )
    device = a._device
    return tuple([made(i, device) for i in np.nonzero(a._host)])


def bincount(x: Any, weights: Any = None, minlength: int | None = None) -> ndarray:
    if weights is not None:
        raise TypeError("bincount with weights adds by atomics, in any order: not what gradwire may use")
    return called(lambda a: np.bincount(a, minlength=minlength or 0), x)


def take_along_axis(a: Any, indices: Any, axis: Any) -> ndarray:
    return called(lambda x, i: np.take_along_axis(x, i, axis), a, indices)


def cumsum(a: Any, axis: Any = None, dtype: Any = None) -> ndarray:
    return called(lambda x: np.cumsum(x, axis, dtype), a)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    if a.flags.c_contiguous and dtype in (None, a.dtype):
        return a  # type: ignore[no-any-return]
    return called(lambda x: np.ascontiguousarray(x, dtype), a)


def tril(m: Any, k: int = 0) -> ndarray:
    return called(lambda a: np.tril(a, k), m)


def triu(m: Any, k: int = 0) -> ndarray:
    return called(lambda a: np.triu(a, k), m)


def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> ndarray:
    return called(lambda x, y: np.allclose(x, y, rtol, atol, equal_nan), a, b)


def may_share_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    device: list[int] = []
    return np.may_share_memory(host_of(a, device), host_of(b, device))


def _as_strided(x: Any, shape: Any = None, strides: Any = None) -> ndarray:
    """A view that, as CuPy's, does not know whose memory it shows."""
    return made(np.lib.stride_tricks.as_strided(x._host, shape, strides), x._device)


def _factors(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numpy.linalg; several results come as a tuple."""

    def run(a: Any, *args: Any, **kwargs: Any) -> Any:
        device: list[int] = []
        raw = [host_of(x, device) for x in (a, *(b for b in args if isinstance(b, ndarray)))]
        plain = [b for b in args if not isinstance(b, ndarray)]
        with np.errstate(all="ignore"):
            out = function(*raw, *plain, **kwargs)
        return tuple(made(o, a._device) for o in out) if isinstance(out, tuple) else made(out, a._device)

    return run


linalg = SimpleNamespace(
    cholesky=_factors(lambda a: np.linalg.cholesky(a)),
    det=_factors(np.linalg.det),
    eigh=_factors(lambda a, UPLO="L": np.linalg.eigh(a, UPLO)),
    inv=_factors(np.linalg.inv),
    qr=_factors(lambda a, mode="reduced": np.linalg.qr(a, mode)),
    slogdet=_factors(np.linalg.slogdet),
    solve=_factors(np.linalg.solve),
    svd=_factors(lambda a, full_matrices=True, compute_uv=True: np.linalg.svd(a, full_matrices, compute_uv)),
)
lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=_as_strided))
cuda = SimpleNamespace(
    Device=Device,
    runtime=SimpleNamespace(getDeviceCount=lambda: DEVICES, deviceSynchronize=lambda: None),
)
