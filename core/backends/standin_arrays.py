"""The arrays of the stand-in for CuPy: their devices, memory and operators."""

from __future__ import annotations

import builtins
import operator
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .products import host_product

__all__ = ["DEVICES", "Device", "called", "host_of", "made", "ndarray"]

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


def host_of(x: Any, device: list[int]) -> Any:
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


def made(host: Any, device: int | None = None, base: Any = None) -> ndarray:
    host = np.asarray(host)
    if host.dtype.kind not in _KINDS:
        raise ValueError(f"Unsupported dtype {host.dtype}")
    a = object.__new__(ndarray)
    a._host, a._device, a.base = host, _current() if device is None else device, base
    return a


def called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> ndarray:
    device: list[int] = []
    raw = [host_of(x, device) for x in args]
    named = {k: host_of(v, device) if isinstance(v, ndarray) else v for k, v in kwargs.items()}
    with np.errstate(all="ignore"):
        result = function(*raw, **named)
    return made(result, device[0] if device else None)


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
            return made(host, self._device)
        return made(host, self._device, self if self.base is None else self.base)

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
        return made(self._host.copy(order), self._device)

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True
    ) -> ndarray:
        with np.errstate(all="ignore"):
            host = self._host.astype(dtype, order=order, copy=copy)
        return self if host is self._host else made(host, self._device)

    def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> ndarray:
        return self._view(self._host.reshape(*shape, order=order))

    def transpose(self, *axes: Any) -> ndarray:
        return self._view(self._host.transpose(*axes))

    def view(self, dtype: Any = None) -> ndarray:
        return self._view(self._host.view() if dtype is None else self._host.view(dtype))

    def take(self, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
        return called(lambda a, i: a.take(i, axis=axis, mode="wrap"), self, indices)

    def dot(self, b: Any, out: Any = None) -> ndarray:
        if (
            self.ndim == 2 == b.ndim
        ):  # as the host's products go, so that the same job has the same bits on both
            return called(host_product, self, b)
        return called(lambda x, y: x.dot(y), self, b)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> ndarray:
        host = self._host.diagonal(offset, axis1, axis2)
        host.flags.writeable = self._host.flags.writeable  # CuPy's is no less writable than the array
        return self._view(host)

    def swapaxes(self, axis1: int, axis2: int) -> ndarray:
        return self._view(self._host.swapaxes(axis1, axis2))

    def fill(self, value: Any) -> None:
        self._host.fill(host_of(value, []))

    # Reductions

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return called(lambda a: a.sum(axis=axis, dtype=dtype, keepdims=keepdims), self)

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return called(lambda a: a.mean(axis=axis, dtype=dtype, keepdims=keepdims), self)

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return called(lambda a: a.max(axis=axis, keepdims=keepdims), self)

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return called(lambda a: a.min(axis=axis, keepdims=keepdims), self)

    def argmax(self, axis: Any = None, out: Any = None, dtype: Any = None, keepdims: bool = False) -> ndarray:
        return called(lambda a: a.argmax(axis=axis, keepdims=keepdims), self)

    def argmin(self, axis: Any = None, out: Any = None, dtype: Any = None, keepdims: bool = False) -> ndarray:
        return called(lambda a: a.argmin(axis=axis, keepdims=keepdims), self)

    def all(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return called(lambda a: a.all(axis=axis, keepdims=keepdims), self)

    def any(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return called(lambda a: a.any(axis=axis, keepdims=keepdims), self)

    def prod(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> ndarray:
        return called(lambda a: a.prod(axis=axis, dtype=dtype, keepdims=keepdims), self)

    def cumprod(self, axis: Any = None, dtype: Any = None, out: Any = None) -> ndarray:
        return called(lambda a: a.cumprod(axis=axis, dtype=dtype), self)

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> ndarray:
        return called(lambda a: a.cumsum(axis=axis, dtype=dtype), self)

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
                host = host_of(i, [self._device])
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
            self._host[self._index(index)] = host_of(value, device)


def _operand(x: Any) -> bool:
    """Whether an operator takes `x` (and answers for it) or leaves it to the other side."""
    return isinstance(x, (ndarray, np.ndarray, *_Scalar))


def _forward(function: Callable[[Any, Any], Any]) -> Callable[[ndarray, Any], Any]:
    return lambda self, other: called(function, self, other) if _operand(other) else NotImplemented


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[ndarray, Any], Any]:
    return lambda self, other: called(function, other, self) if _operand(other) else NotImplemented


def _unary(function: Callable[[Any], Any]) -> Callable[[ndarray], ndarray]:
    return lambda self: called(function, self)


def _in_place(ufunc: Any) -> Callable[[ndarray, Any], ndarray]:
    def run(self: ndarray, other: Any) -> ndarray:
        with np.errstate(all="ignore"):
            ufunc(self._host, host_of(other, [self._device]), out=self._host, casting="same_kind")
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
