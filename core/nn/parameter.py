"""Parameter and Buffer: tensors that a Module registers when they are assigned."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor

__all__ = ["Buffer", "Parameter"]


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

    def __repr__(self, *args: Any) -> str:
        return "Parameter containing:\n" + super().__repr__(*args)


class Buffer(Tensor):
    """A tensor that is, as a Module's attribute, among its `buffers()`; persistent: also in its state_dict."""

    __slots__ = ()
    persistent: bool

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Buffer:
        if data is None:
            data = Tensor(0)
        buffer: Buffer = cls._from_array(data.detach()._array)
        buffer.persistent = persistent
        return buffer

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        super().__init__()
