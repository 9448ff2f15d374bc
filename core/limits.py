"""What the dtypes can hold: finfo and iinfo, with PyTorch's fields."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dtypes import dtype as DType
from .dtypes import get_default_dtype, limits

__all__ = ["finfo", "iinfo"]

_RESOLUTION = {"float16": 1e-3, "bfloat16": 1e-2, "float32": 1e-6, "float64": 1e-15}


class finfo:
    """Limits of a floating-point dtype (the default one if left out): bits, eps, max, min, tiny, resolution."""

    __slots__ = ("bits", "dtype", "eps", "max", "min", "resolution", "smallest_normal", "tiny")

    def __init__(self, type: DType | None = None) -> None:
        d = get_default_dtype() if type is None else type
        if not isinstance(d, DType):
            raise TypeError(f"finfo(): argument 'type' (position 1) must be torch.dtype, not {_name(d)}")
        if not d.is_floating_point:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'"
            )
        found = limits(d.numpy)
        self.bits = d.itemsize * 8
        self.eps = float(found.eps)
        self.max = float(found.max)
        self.min = float(found.min)
        self.tiny = self.smallest_normal = float(found.smallest_normal)
        self.resolution = _RESOLUTION[d.name]
        self.dtype = d.name

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{n}={getattr(self, n):g}"
            for n in ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
        )
        return f"finfo({shown}, dtype={self.dtype})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, finfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)


class iinfo:
    """Limits of an integer dtype: bits, max, min."""

    __slots__ = ("bits", "dtype", "max", "min")

    def __init__(self, type: DType) -> None:
        if not isinstance(type, DType):
            raise TypeError(f"iinfo(): argument 'type' (position 1) must be torch.dtype, not {_name(type)}")
        if type.name == "bool":
            raise TypeError("torch.bool is not supported by torch.iinfo")
        if type.is_floating_point:
            raise TypeError(
                "torch.iinfo() requires an integer input type. Use torch.finfo to handle 'torch.iinfo'"
            )
        found = np.iinfo(type.numpy)
        self.bits = type.itemsize * 8
        self.max, self.min = int(found.max), int(found.min)
        self.dtype = type.name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, iinfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)


def _name(x: Any) -> str:
    return type(x).__name__
