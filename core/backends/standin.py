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

import builtins
import operator
import threading
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from .products import host_product

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
    "einsum",
    "empty",
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

_KINDS = "biufc"  # what CuPy's arrays carry: no objects, no text
_Scalar = (bool, int, float, complex, np.generic)
DEVICES = 2
_thread = threading.local()


class Device:
    """cupy.cuda.Device: `with Device(1):` makes it the thread's current device."""

    def __init__(self, device: int | None = None) -> None:
        self.id = _current() if device is None else device
        if not 0 <= self.id < DEVICES:
            raise RuntimeError(f"cudaErrorInvalidDevice: invalid device ordinal ({self.id} of {DEVICES})")
        self._before: list[int] = []

    def __enter__(self) -> Device:
        self._before.append(_current())
        _thread.device = self.id
        return self

    def __exit__(self, *exc: object) -> None:
        _thread.device = self._before.pop()

    def synchronize(self) -> None:
        pass


def _current() -> int:
    return getattr(_thread, "device", 0)


def _host(x: Any, device: list[int]) -> Any:
    """The NumPy side of an operand; `device` collects where the arrays are, which must be one place."""
    if isinstance(x, ndarray):
        if device and device[0] != x.device.id:
            raise ValueError(
                f"Array device must be same as the current device: array device = {x.device.id} while current = {device[0]}"
            )
        device[:] = [x.device.id]
        return x._host
    if x is None or isinstance(x, _Scalar):
        return x
    raise TypeError(f"Unsupported type {type(x)}: expected device arrays and numbers only")


def _made(host: Any, device: int | None = None, base: Any = None) -> ndarray:
    host = np.asarray(host)
    if host.dtype.kind not in _KINDS:
        raise ValueError(f"Unsupported dtype {host.dtype}")
    a = object.__new__(ndarray)
    a._host, a._device, a.base = host, _current() if device is None else device, base
    return a


def _called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> ndarray:
    device: list[int] = []
    raw = [_host(x, device) for x in args]
    named = {k: _host(v, device) if isinstance(v, ndarray) else v for k, v in kwargs.items()}
    with np.errstate(all="ignore"):
        result = function(*raw, **named)
    return _made(result, device[0] if device else None)


class _Pointer:
    """cupy.cuda.MemoryPointer: a place in an array's memory, moved on by `+ bytes`."""

    def __init__(self, array: ndarray, offset: int) -> None:
        self.array, self.offset = array, offset

    @property
    def ptr(self) -> int:
        address: int = self.array._host.__array_interface__["data"][0]
        return address + self.offset

    def __add__(self, offset: int) -> _Pointer:
        return _Pointer(self.array, self.offset + offset)


class _Flags:
    def __init__(self, host: Any, owndata: bool) -> None:
        self.c_contiguous, self.f_contiguous, self.owndata = host.c_contiguous, host.f_contiguous, owndata


class ndarray:
    """An array on a device that exists only by its manners."""

    __slots__ = ("__weakref__", "_device", "_host", "base")
    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None  # NumPy's operators and functions decline, instead of taking the array apart

    _host: Any
    _device: int
    base: Any

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(
            f"numpy.{func.__name__} was given a device array; use the function of the array's own module"
        )

    @property
    def device(self) -> Device:
        return Device(self._device)

    def get(self) -> np.ndarray[Any, Any]:
        """A copy on the host."""
        result: np.ndarray[Any, Any] = self._host.copy()
        return result

    def _view(self, host: Any) -> ndarray:
        """`host` as an array of its own, or as a view of this one where it shares memory."""
        host = np.asarray(host)
        if not np.may_share_memory(host, self._host):
            return _made(host, self._device)
        return _made(host, self._device, self if self.base is None else self.base)

    # What it looks like

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: _Pointer | None = None, strides: Any = None
    ) -> None:
        if memptr is None:
            host = np.empty(shape, dtype)
        else:
            memory = memptr.array._host.reshape(-1, order="A").view(np.uint8)
            host = np.ndarray(shape, dtype, memory, memptr.offset, strides)
        self._host, self.base = host, None
        self._device = _current() if memptr is None else memptr.array._device

    data = property(
        lambda self: _Pointer(self, 0)
    )  # of whole arrays only: NumPy's memoryview of a part begins at the part
    dtype = property(lambda self: self._host.dtype)
    shape = property(lambda self: self._host.shape)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    itemsize = property(lambda self: self._host.itemsize)
    nbytes = property(lambda self: self._host.nbytes)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: _Flags(self._host.flags, self.base is None))
    T = property(lambda self: self._view(self._host.T))
    real = property(lambda self: self._view(self._host.real))
    imag = property(lambda self: self._view(self._host.imag))

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        told = self._host.__array_interface__
        return {
            **{k: told[k] for k in ("shape", "typestr", "strides")},
            "data": (told["data"][0], False),
            "version": 3,
        }

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __repr__(self) -> str:
        return repr(self._host)

    def item(self) -> Any:
        return self._host.item()

    def tolist(self) -> Any:
        return self._host.tolist()

    # Copies and views

    def copy(self, order: str = "C") -> ndarray:
        return _made(self._host.copy(order), self._device)

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True
    ) -> ndarray:
        with np.errstate(all="ignore"):
            host = self._host.astype(dtype, order=order, copy=copy)
        return self if host is self._host else _made(host, self._device)

    def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> ndarray:
        return self._view(self._host.reshape(*shape, order=order))

    def transpose(self, *axes: Any) -> ndarray:
        return self._view(self._host.transpose(*axes))

    def view(self, dtype: Any = None) -> ndarray:
        return self._view(self._host.view() if dtype is None else self._host.view(dtype))

    def take(self, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
        return _called(lambda a, i: a.take(i, axis=axis, mode="wrap"), self, indices)

    def dot(self, b: Any, out: Any = None) -> ndarray:
        if (
            self.ndim == 2 == b.ndim
        ):  # as the host's products go, so that the same job has the same bits on both
            return _called(host_product, self, b)
        return _called(lambda x, y: x.dot(y), self, b)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
        host = self._host.diagonal(offset, axis1, axis2)
        host.flags.writeable = self._host.flags.writeable  # CuPy's is no less writable than the array
        return self._view(host)

    def swapaxes(self, axis1: int, axis2: int) -> ndarray:
        return self._view(self._host.swapaxes(axis1, axis2))

    def fill(self, value: Any) -> None:
        self._host.fill(_host(value, []))

    # Reductions

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _called(lambda a: a.sum(axis=axis, dtype=dtype, keepdims=keepdims), self)

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _called(lambda a: a.mean(axis=axis, dtype=dtype, keepdims=keepdims), self)

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _called(lambda a: a.max(axis=axis, keepdims=keepdims), self)

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _called(lambda a: a.min(axis=axis, keepdims=keepdims), self)

    def argmax(self, axis: Any = None, out: Any = None, dtype: Any = None, keepdims: bool = False) -> ndarray:
        return _called(lambda a: a.argmax(axis=axis, keepdims=keepdims), self)

    def argmin(self, axis: Any = None, out: Any = None, dtype: Any = None, keepdims: bool = False) -> ndarray:
        return _called(lambda a: a.argmin(axis=axis, keepdims=keepdims), self)

    def all(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _called(lambda a: a.all(axis=axis, keepdims=keepdims), self)

    def any(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _called(lambda a: a.any(axis=axis, keepdims=keepdims), self)

    def prod(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return _called(lambda a: a.prod(axis=axis, dtype=dtype, keepdims=keepdims), self)

    def cumprod(self, axis: Any = None, dtype: Any = None, out: Any = None) -> ndarray:
        return _called(lambda a: a.cumprod(axis=axis, dtype=dtype), self)

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> ndarray:
        return _called(lambda a: a.cumsum(axis=axis, dtype=dtype), self)

    # Indexing

    def _index(self, index: Any) -> Any:
        items = index if isinstance(index, tuple) else (index,)
        taken = builtins.sum(
            1 if not isinstance(i, ndarray) or i.dtype.kind != "b" else i.ndim
            for i in items
            if i is not None and i is not Ellipsis
        )
        raw, axis = [], 0
        for i in items:
            if isinstance(i, ndarray):
                host = _host(i, [self._device])
                if host.dtype.kind == "b":
                    axis += host.ndim
                else:  # unchecked, as on the GPU: what lies outside wraps around
                    size = self.shape[axis] if axis < self.ndim else 0
                    host = host % size if size else host
                    axis += 1
                raw.append(host)
                continue
            if i is Ellipsis:
                axis += self.ndim - taken
            elif i is not None:
                if not isinstance(i, (int, slice, np.integer, np.bool_)):
                    raise TypeError(f"index of {type(i)}: expected integers, slices and device arrays")
                axis += 1
            raw.append(i)
        return tuple(raw)

    def __getitem__(self, index: Any) -> ndarray:
        items = self._index(index)
        host = self._host[items]
        if isinstance(host, np.generic):  # CuPy gives a view of a single element too
            host = self._host[(*items, ...)]
        return self._view(host)

    def __setitem__(self, index: Any, value: Any) -> None:
        device = [self._device]
        with np.errstate(all="ignore"):
            self._host[self._index(index)] = _host(value, device)


def _operand(x: Any) -> bool:
    """Whether an operator takes `x` (and answers for it) or leaves it to the other side."""
    return isinstance(x, (ndarray, np.ndarray, *_Scalar))


def _forward(function: Callable[[Any, Any], Any]) -> Callable[[ndarray, Any], Any]:
    return lambda self, other: _called(function, self, other) if _operand(other) else NotImplemented


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[ndarray, Any], Any]:
    return lambda self, other: _called(function, other, self) if _operand(other) else NotImplemented


def _unary(function: Callable[[Any], Any]) -> Callable[[ndarray], ndarray]:
    return lambda self: _called(function, self)


def _in_place(ufunc: Any) -> Callable[[ndarray, Any], ndarray]:
    def run(self: ndarray, other: Any) -> ndarray:
        with np.errstate(all="ignore"):
            ufunc(self._host, _host(other, [self._device]), out=self._host, casting="same_kind")
        return self

    return run


for _name, _ufunc in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "pow": np.power, "matmul": np.matmul, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "lshift": np.left_shift, "rshift": np.right_shift,
}.items():  # fmt: skip
    _plain = getattr(operator, {"and": "and_", "or": "or_"}.get(_name, _name))
    setattr(ndarray, f"__{_name}__", _forward(_plain))
    setattr(ndarray, f"__r{_name}__", _reflected(_plain))
    if _name != "matmul":
        setattr(ndarray, f"__i{_name}__", _in_place(_ufunc))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(ndarray, f"__{_name}__", _forward(getattr(operator, _name)))
for _name in ("neg", "abs", "invert", "pos"):
    setattr(ndarray, f"__{_name}__", _unary(getattr(operator, _name)))


class _Ufunc:
    """An elementwise function of device arrays and numbers."""

    def __init__(self, host: Any) -> None:
        self._host, self.__name__, self.nin = host, host.__name__, host.nin

    def __call__(self, *args: Any, out: Any = None) -> ndarray:
        if out is None:
            return _called(self._host, *args)
        device = [out.device.id]
        with np.errstate(all="ignore"):
            self._host(*[_host(x, device) for x in args], out=out._host)
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
    return _made(mantissa, x._device), _made(exponent, x._device)


# Creation


def asarray(a: Any, dtype: Any = None, order: Any = None) -> ndarray:
    """A device array of `a`: itself if it is one, else a copy; where host arrays may cross to the device."""
    if isinstance(a, ndarray):
        return a if dtype is None else a.astype(dtype, copy=False)
    return _made(np.array(a, dtype=dtype, order=order))


def asnumpy(a: Any) -> np.ndarray[Any, Any]:
    """A copy on the host: where device arrays may cross to it."""
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def frombuffer(*args: Any, **kwargs: Any) -> ndarray:
    return _made(np.frombuffer(*args, **kwargs).copy())


def zeros(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return _made(np.zeros(shape, dtype))


def ones(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return _made(np.ones(shape, dtype))


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    """Uninitialised, and made to show: nobody may count on zeros."""
    host = np.empty(shape, dtype)
    if host.dtype.kind in "fc":
        host.fill(np.nan)
    return _made(host)


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C") -> ndarray:
    return _made(np.full(shape, _host(fill_value, []), dtype))


def full_like(a: Any, fill_value: Any, dtype: Any = None) -> ndarray:
    return _called(lambda x, v: np.full_like(x, v, dtype), a, fill_value)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> ndarray:
    first, last = (0, start) if stop is None else (start, stop)
    host: Any = np.arange(first, last, step, dtype=dtype)  # type: ignore[call-overload]
    return _made(host)


# Of arrays


def where(condition: Any, x: Any = None, y: Any = None) -> ndarray:
    return _called(np.where, condition, x, y)


def einsum(subscripts: str, *operands: Any) -> ndarray:
    return _called(lambda *arrays: np.einsum(subscripts, *arrays), *operands)


def concatenate(tup: Sequence[Any], axis: Any = 0) -> ndarray:
    return _called(lambda *parts: np.concatenate(parts, axis), *tup)


def broadcast_to(array: Any, shape: Any) -> ndarray:
    if array.shape == tuple(shape):
        return array  # type: ignore[no-any-return]
    host = np.broadcast_to(array._host, shape)
    host.flags.writeable = array._host.flags.writeable  # nothing on the device is read-only
    view: ndarray = array._view(host)
    return view


def pad(array: Any, pad_width: Any, mode: str = "constant", **kwargs: Any) -> ndarray:
    return _called(lambda a: np.pad(a, pad_width, mode, **kwargs), array)  # type: ignore[call-overload]


def argsort(a: Any, axis: Any = -1, kind: str | None = None) -> ndarray:
    if kind not in (None, "stable"):
        raise ValueError(f"kind can only be None or 'stable': {kind}")
    return _called(lambda x: np.argsort(x, axis, kind="stable"), a)


def flip(a: Any, axis: Any = None) -> ndarray:
    view: ndarray = a._view(np.flip(a._host, axis))
    return view


def roll(a: Any, shift: Any, axis: Any = None) -> ndarray:
    return _called(lambda x: np.roll(x, shift, axis), a)


def expand_dims(a: Any, axis: Any) -> ndarray:
    view: ndarray = a._view(np.expand_dims(a._host, axis))
    return view


def nonzero(a: Any) -> tuple[ndarray, ...]:
    if not a.ndim:
        raise ValueError(
            "Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() instead."
        )
    device = a._device
    return tuple([_made(i, device) for i in np.nonzero(a._host)])


def bincount(x: Any, weights: Any = None, minlength: int | None = None) -> ndarray:
    if weights is not None:
        raise TypeError("bincount with weights adds by atomics, in any order: not what gradwire may use")
    return _called(lambda a: np.bincount(a, minlength=minlength or 0), x)


def take_along_axis(a: Any, indices: Any, axis: Any) -> ndarray:
    return _called(lambda x, i: np.take_along_axis(x, i, axis), a, indices)


def cumsum(a: Any, axis: Any = None, dtype: Any = None) -> ndarray:
    return _called(lambda x: np.cumsum(x, axis, dtype), a)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    if a.flags.c_contiguous and dtype in (None, a.dtype):
        return a  # type: ignore[no-any-return]
    return _called(lambda x: np.ascontiguousarray(x, dtype), a)


def tril(m: Any, k: int = 0) -> ndarray:
    return _called(lambda a: np.tril(a, k), m)


def triu(m: Any, k: int = 0) -> ndarray:
    return _called(lambda a: np.triu(a, k), m)


def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> ndarray:
    return _called(lambda x, y: np.allclose(x, y, rtol, atol, equal_nan), a, b)


def may_share_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    device: list[int] = []
    return np.may_share_memory(_host(a, device), _host(b, device))


def _as_strided(x: Any, shape: Any = None, strides: Any = None) -> ndarray:
    """A view that, as CuPy's, does not know whose memory it shows."""
    return _made(np.lib.stride_tricks.as_strided(x._host, shape, strides), x._device)


def _factors(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of numpy.linalg; several results come as a tuple."""

    def run(a: Any, *args: Any, **kwargs: Any) -> Any:
        device: list[int] = []
        raw = [_host(x, device) for x in (a, *(b for b in args if isinstance(b, ndarray)))]
        plain = [b for b in args if not isinstance(b, ndarray)]
        with np.errstate(all="ignore"):
            out = function(*raw, *plain, **kwargs)
        return tuple(_made(o, a._device) for o in out) if isinstance(out, tuple) else _made(out, a._device)

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
