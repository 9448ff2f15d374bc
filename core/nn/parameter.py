"""Parameter: a tensor that a Module registers when it is assigned."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A tensor that requires grad and, as a Module's attribute, is among its `parameters()`."""

    __slots__ = ()

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = Tensor(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: expected a tensor, got {type(data).__name__}")
        if requires_grad and not data.is_floating_point():
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, got {data.dtype}"
            )
        parameter: Parameter = cls._from_array(data._array, requires_grad)
        return parameter
