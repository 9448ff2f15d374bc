"""Parameter and Buffer: tensors that a Module registers when they are assigned."""

from __future__ import annotations

from typing import Any, ClassVar

from ..creation import empty
from ..tensor import Tensor

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter"]


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


class _WithoutShape(Tensor):
    """A tensor whose shape its module will know at the first input; until then it has a dtype and a device only."""

    __slots__ = ()
    becomes: ClassVar[type[Tensor]]

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when "
            "trying to load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before "
            "accessing their attributes."
        )

    def numel(self) -> int:
        raise ValueError(
            "Attempted to use an uninitialized parameter in numel. This error happens when you are using a `LazyModule` or "
            f"explicitly manipulating `{type(self).__name__}` objects. Call `forward` to initialize the parameters first."
        )

    def detach(self) -> Tensor:
        """Itself: there are no values to share."""
        return self

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Gives it `shape` and makes it an ordinary parameter or tensor, with values yet to be filled in."""
        found = empty(
            *shape,
            device=self.device if device is None else device,
            dtype=self.dtype if dtype is None else dtype,
        )
        self._array = found._array
        self.__class__ = self.becomes  # type: ignore[assignment]

    def __repr__(self, *args: Any) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_WithoutShape, Parameter):
    """A parameter whose shape its module will know at the first input."""

    __slots__ = ()
    becomes = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: Any = None, dtype: Any = None
    ) -> UninitializedParameter:
        parameter: UninitializedParameter = cls._from_array(
            empty(0, device=device, dtype=dtype)._array, requires_grad
        )
        return parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__()


class UninitializedBuffer(_WithoutShape):
    """A buffer whose shape its module will know at the first input."""

    __slots__ = ()
    becomes = Tensor

    def __new__(
        cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> UninitializedBuffer:
        buffer: UninitializedBuffer = cls._from_array(
            empty(0, device=device, dtype=dtype)._array, requires_grad
        )
        return buffer

    def __init__(
        self, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True
    ) -> None:
        super().__init__()
