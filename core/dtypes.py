"""Data types under PyTorch's names, and PyTorch's promotion rules. Used by every part of the core."""

from __future__ import annotations

import builtins
from collections.abc import Iterable
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

__all__ = [
    "dtype", "bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64",
    "short", "int", "long", "half", "float", "double", "from_numpy_dtype", "promote_types", "result_type",
    "get_default_dtype", "set_default_dtype", "can_cast", "as_dtype", "FLOATS", "FULL", "HALVES", "limits",
]  # fmt: skip

_builtin_bool: TypeAlias = builtins.bool
_builtin_int: TypeAlias = builtins.int
_builtin_float: TypeAlias = builtins.float
# Categories of the promotion rules, in rising order.
_BOOL, _INT, _FLOAT = 0, 1, 2


class dtype:
    """A data type: `gradwire.float32` and its kin. Singletons, so `is` compares them."""

    __slots__ = ("category", "itemsize", "name", "numpy")

    def __init__(self, name: str, category: _builtin_int, numpy_type: Any = None) -> None:
        self.name = name
        self.numpy: np.dtype[Any] = np.dtype(numpy_type or name)
        self.itemsize = self.numpy.itemsize
        self.category = category

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name

    @property
    def is_floating_point(self) -> _builtin_bool:
        return self.category == _FLOAT

    @property
    def is_complex(self) -> _builtin_bool:
        return False

    @property
    def is_signed(self) -> _builtin_bool:
        return self.name not in ("bool", "uint8")

    def to_real(self) -> dtype:
        """This dtype: none is complex."""
        return self


uint8 = dtype("uint8", _INT)
int8 = dtype("int8", _INT)
int16 = short = dtype("int16", _INT)
int32 = dtype("int32", _INT)
int64 = long = dtype("int64", _INT)
float16 = half = dtype("float16", _FLOAT)
bfloat16 = dtype("bfloat16", _FLOAT, ml_dtypes.bfloat16)
float32 = dtype("float32", _FLOAT)
float64 = double = dtype("float64", _FLOAT)
bool = dtype("bool", _BOOL)
int = int32
float = float32

_all = (bool, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64)
# NumPy's dtypes. Membership is what tells a floating dtype: the `kind` of bfloat16, which comes from ml_dtypes, is "V",
# and the test of a set takes 25 ns where that of `kind` takes 39.
FLOATS = frozenset(d.numpy for d in _all if d.category == _FLOAT)
HALVES = frozenset((float16.numpy, bfloat16.numpy))  # computed in float32 and rounded: see ops/halves.py
FULL = FLOATS - HALVES
_by_numpy = {d.numpy: d for d in _all}
_by_python: dict[type, dtype] = {_builtin_bool: bool, _builtin_int: int64}
_default = float32


def from_numpy_dtype(numpy_dtype: Any) -> dtype:
    """The gradwire dtype of a NumPy dtype. Raises TypeError for one that tensors do not carry."""
    try:
        return _by_numpy[np.dtype(numpy_dtype)]
    except (KeyError, TypeError):
        known = ", ".join(d.name for d in _all)
        raise TypeError(f"tensors do not carry dtype {numpy_dtype}; convert to one of {known}") from None


def limits(numpy_dtype: Any) -> Any:
    """np.finfo of a floating dtype of NumPy's, bfloat16 too."""
    of: Any = ml_dtypes.finfo if numpy_dtype == bfloat16.numpy else np.finfo
    return of(numpy_dtype)


def as_dtype(given: Any, name: str) -> dtype:
    """`given`, a dtype or one of Python's types bool, int and float, as a dtype. Raises TypeError for `name` otherwise."""
    if isinstance(given, dtype):
        return given
    found = (
        {_builtin_bool: bool, _builtin_int: int64, _builtin_float: float64}.get(given)
        if isinstance(given, type)
        else None
    )
    if found is None:
        raise TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(given).__name__}")
    return found


def get_default_dtype() -> dtype:
    """The dtype of tensors made from Python floats (float32 unless set)."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Sets the dtype of tensors made from Python floats."""
    global _default
    if not isinstance(d, dtype):
        raise TypeError("invalid dtype object: only floating-point types are supported as the default type")
    if not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    _default = d


def _promote(a: dtype, b: dtype) -> dtype:
    if a is b:
        return a
    if a.category != b.category:
        return a if a.category > b.category else b
    if a.numpy in HALVES and b.numpy in HALVES:
        return float32  # neither float16 nor bfloat16 holds the other
    return _by_numpy[np.promote_types(a.numpy, b.numpy)]


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest dtype of the higher category that holds both (PyTorch's table: int64 + float16 is float16)."""
    for i, d in enumerate((type1, type2), 1):
        if not isinstance(d, dtype):
            raise TypeError(
                f"promote_types(): argument 'type{i}' (position {i}) must be torch.dtype, not {type(d).__name__}"
            )
    return _promote(type1, type2)


def can_cast(from_: dtype, to: dtype) -> _builtin_bool:
    """Whether a result of `from_` may be written to `to`: never from floats to integers, nor from these to bool."""
    for name, d in (("from_", from_), ("to", to)):
        if not isinstance(d, dtype):
            raise TypeError(f"can_cast(): argument '{name}' must be torch.dtype, not {type(d).__name__}")
    return from_.category <= to.category


def resolve(dims: Iterable[dtype], zeros: Iterable[dtype], scalars: Iterable[Any]) -> dtype:
    """Result dtype of tensors with dimensions, 0-d tensors and Python scalars.

    A later kind counts only where its category (bool < int < float) is higher than that of all kinds before
    it: float32[3] * float64[] is float32, int64[3] * 2.5 is the default float.
    """
    result: dtype | None = None
    numbers = (_default if isinstance(s, _builtin_float) else _by_python[type(s)] for s in scalars)
    for kind in (dims, zeros, numbers):
        own: dtype | None = None
        for d in kind:
            own = d if own is None else _promote(own, d)
        if own is not None and (result is None or own.category > result.category):
            result = own
    if result is None:
        raise ValueError("result_type needs at least one tensor or scalar")
    return result


def result_type(tensor1: Any, tensor2: Any) -> dtype:
    """The dtype that arithmetic between the two (tensors or Python scalars) gives."""
    dims: list[dtype] = []
    zeros: list[dtype] = []
    scalars: list[Any] = []
    for x in (tensor1, tensor2):
        if isinstance(x, np.generic):
            x = x.item()
        if isinstance(getattr(x, "dtype", None), dtype):
            (dims if x.ndim else zeros).append(x.dtype)
        elif isinstance(x, (_builtin_bool, _builtin_int, _builtin_float)):
            scalars.append(x)
        else:
            raise TypeError(f"result_type(): expected tensors and numbers, got {type(x).__name__}")
    return resolve(dims, zeros, scalars)
