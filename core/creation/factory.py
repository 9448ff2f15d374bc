"""What all functions that make tensors share: sizes, dtype=, device=, requires_grad=, out=, and numbers that must fit."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import default_device
from ..backends import Device, check_carried
from ..dtypes import FLOATS, as_dtype, from_numpy_dtype, get_default_dtype, limits
from ..dtypes import dtype as DType
from ..functions.catalogue import write
from ..grad_mode import state as grad_state
from ..layouts import layout as Layout
from ..tensor import Tensor

__all__ = [
    "factory",
    "fitting",
    "finished",
    "dtype_of_number",
    "no_complex",
    "number_of",
    "numpy_dtype",
    "place_of",
    "sizes",
]

# What PyTorch's errors call the dtypes.
SCALAR_NAMES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long", "int32": "Int",
    "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
}  # fmt: skip
C_NAMES = {
    "float32": "float", "float64": "double", "float16": "at::Half", "bfloat16": "at::BFloat16", "int64": "int64_t",
    "int32": "int", "int16": "int16_t", "int8": "int8_t", "uint8": "uint8_t", "bool": "bool",
}  # fmt: skip


def sizes(name: str, size: tuple[Any, ...], named: dict[str, Any] | None = None) -> tuple[int, ...]:
    """zeros(2, 3), zeros((2, 3)), zeros(Size) and zeros(size=(2, 3)) alike. Raises TypeError, RuntimeError if negative."""
    if named:
        unknown = next((n for n in named if n != "size"), None)
        if unknown or size:
            raise TypeError(f"{name}() got an unexpected keyword argument '{unknown or 'size'}'")
        size = (named["size"],)
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = tuple(size[0])
    elif not size:
        raise TypeError(f'{name}() missing 1 required positional arguments: "size"')
    for n in size:
        if isinstance(n, (bool, np.bool_)) or not hasattr(n, "__index__"):
            raise TypeError(
                f"{name}(): argument 'size' (position 1) must be tuple of ints, not {type(n).__name__}"
            )
    shape = tuple([n.__index__() for n in size])
    for n in shape:
        if n < 0:
            raise RuntimeError(f"{name}: Trying to create tensor with negative dimension {n}: {list(shape)}")
    return shape


def numpy_dtype(xp: Any, dtype: DType | None) -> Any:
    """The NumPy dtype of `dtype`, or of the default. Raises RuntimeError where the arrays of `xp` don't carry it."""
    found = get_default_dtype().numpy if dtype is None else dtype.numpy
    if xp is not np:
        check_carried(xp, found)
    return found


def place_of(device: Any) -> Device:
    return default_device.current() if device is None else Device(device)


def finished(array: Any, requires_grad: bool) -> Tensor:
    """The tensor of a raw array that was made for it. Raises RuntimeError for integers that are to require grad."""
    t = Tensor._wrap(array)
    if requires_grad:
        if t._array.dtype not in FLOATS:
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        t._requires_grad = True
    return t


def checked_dtype(name: str, dtype: Any, layout: Any, pin_memory: bool) -> DType | None:
    """`dtype` as a dtype. Raises for what the arguments that every factory takes may not be."""
    if layout is not None and not isinstance(layout, Layout):
        raise TypeError(f"{name}(): argument 'layout' must be torch.layout, not {type(layout).__name__}")
    if pin_memory:
        raise RuntimeError(f"{name}: pinned host memory is not supported; leave pin_memory out")
    return None if dtype is None else as_dtype(dtype, name)


def factory(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """Makes `function(xp, dtype, …)`, which returns a raw array of the module `xp`, a function of the torch namespace.

    It then takes out=, dtype=, layout=, device=, pin_memory= and requires_grad= beside its own arguments.
    """
    name = function.__name__

    @functools.wraps(function)
    def run(
        *args: Any,
        out: Any = None,
        dtype: DType | None = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
        **named: Any,
    ) -> Tensor:
        if layout is not None or pin_memory or (dtype is not None and dtype.__class__ is not DType):
            dtype = checked_dtype(name, dtype, layout, pin_memory)
        if out is not None:
            dtype, device = _of_out(name, out, dtype, device)
        place = default_device.current() if device is None else Device(device)
        if place.type == "cpu":
            array = grad_state.quiet(function, np, dtype, *args, **named)
        else:
            with place.context():
                array = function(place.module, dtype, *args, **named)
        t = finished(array, requires_grad)
        if out is None:
            return t
        write(name, out, t)
        return out  # type: ignore[no-any-return]

    own = list(inspect.signature(function).parameters.values())[2:]
    common = [
        p
        for p in inspect.signature(run, follow_wrapped=False).parameters.values()
        if p.kind is p.KEYWORD_ONLY
    ]
    ending = [p for p in own if p.kind is p.KEYWORD_ONLY]
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [p for p in own if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]
        + ending
        + common
    )
    return run


def _of_out(name: str, out: Any, dtype: DType | None, device: Any) -> tuple[DType, Any]:
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")
    if dtype is not None and dtype is not out.dtype:
        raise RuntimeError(
            f"dtype {SCALAR_NAMES[dtype.name]} does not match dtype of out parameter ({SCALAR_NAMES[out.dtype.name]})"
        )
    if device is not None and Device(device).type != out.device.type:
        raise RuntimeError(f"device {device} does not match device of out parameter ({out.device})")
    return out.dtype, out.device


def no_complex(x: Any, name: str) -> None:
    """Raises TypeError for a complex number or array."""
    if isinstance(x, complex) or getattr(getattr(x, "dtype", None), "kind", "") == "c":
        raise TypeError(
            f"{name}: complex numbers are not supported; keep real and imaginary parts in two tensors"
        )


def number_of(x: Any, name: str, argument: str, position: int) -> Any:
    """`x`, a number or a tensor or array of one, as a Python number. Raises TypeError for anything else."""
    if isinstance(x, (bool, int, float)):
        return x
    no_complex(x, name)
    if isinstance(x, (Tensor, np.generic, np.ndarray)) and not x.ndim:
        return x.item()
    raise TypeError(
        f"{name}(): argument '{argument}' (position {position}) must be Number, not {type(x).__name__}"
    )


def dtype_of_number(x: Any) -> DType:
    """The dtype that a Python number has by itself."""
    return (
        get_default_dtype()
        if isinstance(x, float)
        else from_numpy_dtype(np.bool_ if isinstance(x, bool) else np.int64)
    )


def fitting(x: Any, to: DType, c_names: bool = True, halves_overflow: bool = True) -> Any:
    """The Python number `x`, which must lie within what `to` can hold; floats become integers by truncation.

    Negative integers wrap around in unsigned dtypes. Raises RuntimeError for what lies beyond.
    """
    if to.is_floating_point:
        if (
            isinstance(x, int)
            or not halves_overflow
            or not math.isfinite(x)
            or abs(x) <= float(limits(to.numpy).max)
        ):
            return x
    elif to.name == "bool":
        return bool(x)
    else:
        bounds = np.iinfo(to.numpy)
        if isinstance(x, float):
            if bounds.min <= x <= bounds.max:
                return int(x)
        elif bounds.min <= x <= bounds.max:
            return int(x)
        elif x < 0 and not bounds.min and -x <= bounds.max:
            return x + bounds.max + 1
    raise RuntimeError(
        f"value cannot be converted to type {C_NAMES[to.name] if c_names else to.name} without overflow"
    )
