"""Tensors of one value, or of none in particular: zeros, ones, full, empty, eye, their *_like and new_* forms."""

from __future__ import annotations

from typing import Any

from ..backends import device_of, module_of
from ..dtypes import dtype as DType
from ..dtypes import from_numpy_dtype
from ..layouts import in_format, laid_out, order_in
from ..tensor import Tensor
from .factory import (
    checked_dtype,
    dtype_of_number,
    factory,
    finished,
    fitting,
    number_of,
    numpy_dtype,
    place_of,
    sizes,
)

__all__ = [
    "empty", "empty_like", "empty_permuted", "empty_strided", "eye", "full", "full_like", "ones", "ones_like", "zeros", "zeros_like",
]  # fmt: skip


@factory
def zeros(xp: Any, dtype: Any, *size: Any, **named: Any) -> Any:
    """Zeros of the shape `size`."""
    return xp.zeros(sizes("zeros", size, named), numpy_dtype(xp, dtype))


@factory
def ones(xp: Any, dtype: Any, *size: Any, **named: Any) -> Any:
    """Ones of the shape `size`."""
    return xp.ones(sizes("ones", size, named), numpy_dtype(xp, dtype))


@factory
def empty(xp: Any, dtype: Any, *size: Any, memory_format: Any = None, **named: Any) -> Any:
    """An uninitialised tensor of the shape `size`."""
    shape, d = sizes("empty", size, named), numpy_dtype(xp, dtype)
    if memory_format is None:
        return xp.empty(shape, d)
    return in_format(xp.empty(shape, d), memory_format)


@factory
def full(xp: Any, dtype: Any, size: Any, fill_value: Any) -> Any:
    """`fill_value`, a number, everywhere; its own dtype where none is given."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(
            f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}"
        )
    value = number_of(fill_value, "full", "fill_value", 2)
    d: DType = dtype or dtype_of_number(value)
    return xp.full(sizes("full", (size,)), fitting(value, d), numpy_dtype(xp, d))


@factory
def eye(xp: Any, dtype: Any, n: int, m: int | None = None) -> Any:
    """Ones on the diagonal of an n by m matrix (n by n where m is left out), zeros elsewhere."""
    columns = n if m is None else m
    for name, k in (("n", n), ("m", columns)):
        if isinstance(k, bool) or not hasattr(k, "__index__"):
            raise TypeError(
                f"eye(): argument '{name}' (position {'nm'.index(name) + 1}) must be int, not {type(k).__name__}"
            )
        if k < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {k}")
    out = xp.zeros((n, columns), numpy_dtype(xp, dtype))
    k = min(n, columns)
    if k:
        out.reshape(-1)[: k * (columns + 1) : columns + 1] = 1
    return out


@factory
def empty_strided(xp: Any, dtype: Any, size: Any, stride: Any) -> Any:
    """An uninitialised tensor of the shape `size` whose elements lie `stride` (in elements) apart."""
    shape, steps = sizes("empty_strided", (size,)), tuple(int(s) for s in stride)
    if len(shape) != len(steps):
        raise RuntimeError(
            f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(steps)})"
        )
    if any(s < 0 for s in steps):
        raise RuntimeError(f"empty_strided: expected strides of at least 0, got {list(steps)}")
    d = numpy_dtype(xp, dtype)
    needed = 1 + sum((n - 1) * s for n, s in zip(shape, steps, strict=True)) if 0 not in shape else 0
    storage = xp.empty(max(needed, 1) if 0 not in shape else 0, d)
    return xp.lib.stride_tricks.as_strided(storage, shape, tuple(s * d.itemsize for s in steps))


@factory
def empty_permuted(xp: Any, dtype: Any, size: Any, physical_layout: Any) -> Any:
    """An uninitialised dense tensor whose dimensions lie in memory in the order `physical_layout`."""
    shape, order = sizes("empty_permuted", (size,)), tuple(physical_layout)
    if sorted(order) != list(range(len(shape))):
        raise RuntimeError(
            f"empty_permuted: expected a permutation of the dimensions of {list(shape)}, got {list(order)}"
        )
    d = numpy_dtype(xp, dtype)
    return laid_out(lambda s: xp.empty(s, d), shape, order)


def like(name: str, input: Any, options: dict[str, Any], made: Any) -> Tensor:
    """A tensor of input's shape, dtype, device and order in memory, of the array that made(xp, shape, dtype) gives."""
    dtype, layout, device = (
        options.pop("dtype", None),
        options.pop("layout", None),
        options.pop("device", None),
    )
    requires_grad, form = options.pop("requires_grad", False), options.pop("memory_format", None)
    if not isinstance(input, Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    dtype = checked_dtype(name, dtype, layout, options.pop("pin_memory", False))
    if options:
        raise TypeError(f"{name}() got an unexpected keyword argument '{next(iter(options))}'")
    like_ = input._array
    d = from_numpy_dtype(like_.dtype) if dtype is None else dtype
    order = order_in(form, like_)
    if device is None:
        xp, place = module_of(like_), device_of(like_)
    else:
        place = place_of(device)
        xp = place.module
    numpy_dtype(xp, d)
    with place.context():
        return finished(laid_out(lambda shape: made(xp, shape, d), like_.shape, order), requires_grad)


def zeros_like(input: Tensor, **options: Any) -> Tensor:
    """Zeros of input's shape. options: dtype, layout, device, requires_grad, memory_format; input's where left out."""
    return like("zeros_like", input, options, lambda xp, shape, d: xp.zeros(shape, d.numpy))


def ones_like(input: Tensor, **options: Any) -> Tensor:
    """Ones of input's shape; options as for zeros_like."""
    return like("ones_like", input, options, lambda xp, shape, d: xp.ones(shape, d.numpy))


def empty_like(input: Tensor, **options: Any) -> Tensor:
    """An uninitialised tensor of input's shape; options as for zeros_like."""
    return like("empty_like", input, options, lambda xp, shape, d: xp.empty(shape, d.numpy))


def full_like(input: Tensor, fill_value: Any, **options: Any) -> Tensor:
    """`fill_value`, a number, everywhere; options as for zeros_like."""
    value = number_of(fill_value, "full_like", "fill_value", 2)
    return like("full_like", input, options, lambda xp, shape, d: xp.full(shape, fitting(value, d), d.numpy))


def _new(function: Any, self: Tensor, *args: Any, **options: Any) -> Tensor:
    if options.get("dtype") is None:
        options["dtype"] = self.dtype
    if options.get("device") is None:
        options["device"] = self.device
    result: Tensor = function(*args, **options)
    return result


def new_zeros(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """Zeros of the shape `size`, of this tensor's dtype and device."""
    return _new(zeros, self, *size, **options)


def new_ones(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """Ones of the shape `size`, of this tensor's dtype and device."""
    return _new(ones, self, *size, **options)


def new_empty(self: Tensor, *size: Any, **options: Any) -> Tensor:
    """An uninitialised tensor of the shape `size`, of this tensor's dtype and device."""
    return _new(empty, self, *size, **options)


def new_full(self: Tensor, size: Any, fill_value: Any, **options: Any) -> Tensor:
    """`fill_value` everywhere, in this tensor's dtype and on its device."""
    return _new(full, self, size, fill_value, **options)


def new_empty_strided(self: Tensor, size: Any, stride: Any, **options: Any) -> Tensor:
    """An uninitialised tensor with the given strides, of this tensor's dtype and device."""
    return _new(empty_strided, self, size, stride, **options)


for _method in (new_zeros, new_ones, new_empty, new_full, new_empty_strided):
    setattr(Tensor, _method.__name__, _method)
