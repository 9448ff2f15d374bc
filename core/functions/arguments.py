"""How dimensions, shapes and mixed operands are read from arguments; used by every family of functions."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import return_types
from ..backends import module_of
from ..dtypes import FLOATS, limits, resolve
from ..dtypes import dtype as DType
from ..ops.registry import cast_inputs
from ..size import size_of
from ..tensor import Tensor

_builtin_max = builtins.max


def named(name: str, **values: Tensor) -> Any:
    """The named result of the function `name`."""
    return getattr(return_types, name)(**values)


def pair(name: str, values: Tensor, indices: Tensor) -> Any:
    """The named result (values, indices) of the function `name`."""
    return getattr(return_types, name)(values, indices)


Dims = int | Sequence[int] | None


def one_dim(dim: int, ndim: int) -> int:
    if dim.__class__ is not int:
        dim = whole_number(dim)
    n = _builtin_max(ndim, 1)
    if not -n <= dim < n:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})"
        )
    return dim % n


def whole_number(x: Any, argument: str = "dim") -> int:
    """`x` as an int, or TypeError for what is no integer; a bool is none here."""
    if isinstance(x, (bool, np.bool_)) or not hasattr(x, "__index__"):
        raise TypeError(f"argument '{argument}' must be int, not {type(x).__name__}")
    return int(x.__index__())


def all_dims(dim: Dims, ndim: int) -> tuple[int, ...]:
    """Non-negative dimensions; None and () mean all."""
    if dim is None:
        return tuple(range(ndim))
    if isinstance(dim, (tuple, list)):
        result = tuple([one_dim(d, ndim) for d in dim])
        if not result:
            return tuple(range(ndim))
        if len(set(result)) != len(result):
            raise RuntimeError(f"dim {result[0]} appears multiple times in the list of dims")
        return result if ndim else ()
    if dim.__class__ is not int and not hasattr(dim, "__index__"):
        raise TypeError(f"argument 'dim' must be tuple of ints, not {type(dim).__name__}")
    d = one_dim(dim, ndim)  # type: ignore[arg-type]
    return (d,) if ndim else ()


def numpy_names(name: str, given: dict[str, Any], dim: Any, keepdim: Any = False) -> tuple[Any, Any]:
    """(dim, keepdim) after what was given by NumPy's names, axis and keepdims, which PyTorch takes too."""
    for key, value in given.items():
        if key == "axis":
            dim = value
        elif key == "keepdims":
            keepdim = value
        else:
            raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
    return dim, keepdim


def tensor_of(x: Any, name: str, argument: str = "input") -> Tensor:
    """`x`, or TypeError where it is no tensor."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}(): argument '{argument}' must be Tensor, not {type(x).__name__}")
    return x


def truth_of(x: Any, name: str, argument: str = "keepdim") -> bool:
    """`x`, or TypeError where it is no bool: a number there is most often a dimension in the wrong place."""
    if x is not True and x is not False:
        raise TypeError(f"{name}(): argument '{argument}' must be bool, not {type(x).__name__}")
    return x


def shape_args(args: tuple[Any, ...], named: dict[str, Any] | None = None, name: str = "") -> tuple[int, ...]:
    """view(2, 3), view((2, 3)) and view(Size) alike; with `named`, what keyword arguments are left, view(size=(2, 3)) too."""
    if named:
        unknown = [key for key in named if key != name]
        if args or unknown or not isinstance(named[name], (tuple, list)):
            raise TypeError(f"expected integers, or a tuple of them as '{name}', got {args} and {named}")
        args = (named[name],)
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    try:
        return tuple([a.__index__() for a in args])
    except AttributeError:
        raise TypeError(f"expected sizes or dimensions as integers, got {args}") from None


def common_dtype(items: Sequence[Any]) -> DType:
    tensors_ = [t for t in items if isinstance(t, Tensor)]
    return resolve(
        [t.dtype for t in tensors_ if t._array.ndim],
        [t.dtype for t in tensors_ if not t._array.ndim],
        [t for t in items if not isinstance(t, Tensor)],
    )


_SPELLED = {
    "float64": "Double", "float32": "Float", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long", "int32": "Int",
    "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
}  # fmt: skip


def spelled(dtype: DType) -> str:
    """What PyTorch's messages call a dtype."""
    return _SPELLED[dtype.name]


def sizes_differ(own: Sequence[int], other: Sequence[int]) -> RuntimeError:
    """For two shapes that don't broadcast."""
    n = _builtin_max(len(own), len(other))
    wide = [(1,) * (n - len(s)) + tuple(s) for s in (own, other)]
    at = _builtin_max(i for i in range(n) if wide[0][i] != wide[1][i] and 1 not in (wide[0][i], wide[1][i]))
    return RuntimeError(
        f"The size of tensor a ({wide[0][at]}) must match the size of tensor b ({wide[1][at]}) at non-singleton dimension {at}"
    )


def on_one_device(name: str, *tensors: Tensor) -> None:
    """Raises RuntimeError for tensors that are apart."""
    first = tensors[0]._array
    for t in tensors:
        array = t._array
        if array.__class__ is not first.__class__ or (
            array.__class__ is not np.ndarray and array.device.id != first.device.id
        ):
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"{tensors[0].device} and {t.device}! ({name}; move one with .to(device))"
            )


def needs_float(x: Tensor, name: str) -> None:
    if x._array.dtype not in FLOATS:
        raise RuntimeError(f'"{name}" not implemented for {x.dtype}; convert with .float() first')


def count_of(shape: tuple[int, ...]) -> int:
    return size_of(shape).numel()


def beside(x: Any, t: Tensor, to: DType) -> Tensor:
    """`x` in dtype `to`, on `t`'s device where it is a number or a 0-d tensor, which go anywhere.

    A number is taken as it is: a float that passed through the default dtype on its way would lose digits.
    """
    if isinstance(x, Tensor):
        return cast_inputs(x if x.ndim else x.to(t.device), to)
    if (
        isinstance(x, float)
        and to.is_floating_point
        and math.isfinite(x)
        and abs(x) > float(limits(to.numpy).max)
    ):
        raise RuntimeError(f"value cannot be converted to type {to.name} without overflow: {x}")
    return Tensor._wrap(module_of(t._array).asarray(x, to.numpy))
