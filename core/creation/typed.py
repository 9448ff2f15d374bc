"""Constructors named by dtype, such as torch.LongTensor: older than dtype=, and still met in programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import dtype as DType
from ..tensor import Size, Tensor
from .data import from_numpy, tensor
from .filled import empty

__all__ = [
    "BFloat16Tensor", "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor",
    "LongTensor", "ShortTensor",
]  # fmt: skip


class _Typed(type):
    """The type of these constructors: tensors of their dtype on the CPU are their instances."""

    dtype: DType

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype and instance.device.type == "cpu"

    def __call__(cls, *args: Any) -> Tensor:
        if not args:
            return empty(0, dtype=cls.dtype)
        first = args[0]
        if len(args) == 1 and isinstance(first, Tensor):
            if first.dtype is not cls.dtype:
                raise TypeError(
                    f"{cls.__name__}: expected a tensor of {cls.dtype}, got one of {first.dtype}; use .to({cls.dtype})"
                )
            return first.detach()
        if len(args) == 1 and isinstance(first, np.ndarray):
            return from_numpy(first.astype(cls.dtype.numpy))
        if len(args) == 1 and not isinstance(first, Size) and not hasattr(first, "__index__"):
            if not isinstance(first, (list, tuple)) and not hasattr(first, "__len__"):
                raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
            return tensor(first, dtype=cls.dtype)
        if not all(hasattr(n, "__index__") for n in args) and not isinstance(first, Size):
            raise TypeError(f"{cls.__name__}: expected sizes or one sequence of numbers, got {args}")
        return empty(*args, dtype=cls.dtype)


def _made(name: str, dtype: DType) -> Any:
    doc = (
        f"{name}(2, 3): an uninitialised {dtype.name} tensor of that shape; {name}([…]): one of those values."
    )
    return _Typed(name, (), {"__doc__": doc, "__module__": __name__, "dtype": dtype})


BFloat16Tensor = _made("BFloat16Tensor", dtypes.bfloat16)
BoolTensor = _made("BoolTensor", dtypes.bool)
ByteTensor = _made("ByteTensor", dtypes.uint8)
CharTensor = _made("CharTensor", dtypes.int8)
DoubleTensor = _made("DoubleTensor", dtypes.float64)
FloatTensor = _made("FloatTensor", dtypes.float32)
HalfTensor = _made("HalfTensor", dtypes.float16)
IntTensor = _made("IntTensor", dtypes.int32)
LongTensor = _made("LongTensor", dtypes.int64)
ShortTensor = _made("ShortTensor", dtypes.int16)
