"""Tensor: an array, and where a gradient is wanted the node that made it.

Arithmetic and the other methods are attached by `functions.py`, which knows the operations; this file holds
what a tensor is: storage, graph attributes, version bookkeeping, conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import versions
from .backends import Device, device_of, to_numpy
from .dtypes import FLOATS, from_numpy_dtype
from .dtypes import dtype as DType
from .node import KIND_LEAF, KIND_SLOT, Node, RemovableHandle, hooked
from .size import Size, size_of
from .versions import version_of
from .views import refresh

__all__ = ["Cold", "RemovableHandle", "Size", "Tensor"]


class Cold:
    """What most tensors never have: hooks, a retained gradient. Made at the first use."""

    __slots__ = ("detached", "hooks", "post_accumulate_hooks", "retained_by", "retains_grad")

    def __init__(self) -> None:
        self.hooks: list[Any] = []
        self.post_accumulate_hooks: list[Any] = []
        self.retains_grad = False
        self.retained_by: RemovableHandle | None = None
        self.detached = False  # by detach_(): views of it may have a graph that it has not


class Tensor:
    """An n-dimensional array that can record what is computed from it. See PyTorch's torch.Tensor.

    `Tensor(3, 5)` is an uninitialised float32 tensor of that shape, `Tensor([1, 2])` one of those values.
    """

    __slots__ = ("__dict__", "__weakref__", "_array", "_cold", "_grad", "_node", "_requires_grad", "_view")
    __array_priority__ = 1000  # NumPy leaves `ndarray + tensor` to the tensor
    kind = KIND_LEAF

    _array: Any
    _node: Any
    _requires_grad: bool
    _cold: Cold | None
    _grad: Tensor | None
    _view: Any

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __eq__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: object) -> Tensor: ...  # type: ignore[override]
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def clone(self) -> Tensor: ...
        def to(self, *args: Any, **kwargs: Any) -> Tensor: ...
        def cpu(self) -> Tensor: ...
        def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]: ...
        def numel(self) -> int: ...
        def size(self, dim: int | None = None) -> Any: ...
        def stride(self, dim: int | None = None) -> Any: ...
        def is_floating_point(self) -> bool: ...
        def is_contiguous(self, memory_format: Any = None) -> bool: ...
        def copy_(self, src: Tensor, non_blocking: bool = False) -> Tensor: ...
        def fill_(self, value: Any) -> Tensor: ...
        def zero_(self) -> Tensor: ...

    def __new__(cls, *args: Any, **kwargs: Any) -> Tensor:
        from .creation import FloatTensor

        made = FloatTensor(*args) if not isinstance(args[0] if args else None, Tensor) else args[0].detach()
        return made if cls is Tensor else cls._from_array(made._array)  # type: ignore[no-any-return]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass  # all is done in __new__, so that subclasses may take other arguments

    @classmethod
    def _from_array(cls, array: Any, requires_grad: bool = False) -> Any:
        t = object.__new__(cls)
        t._array = array
        t._node = None
        t._requires_grad = requires_grad
        t._cold = t._grad = t._view = None
        return t

    @staticmethod
    def _wrap(array: Any) -> Tensor:
        """A tensor of a raw array, not recorded. NumPy's scalars become 0-d arrays."""
        t: Tensor = _new(Tensor)
        t._array = array if not isinstance(array, np.generic) else np.asarray(array)
        t._node = None
        t._requires_grad = False
        t._cold = t._grad = t._view = None
        return t

    @staticmethod
    def _recorded(array: Any, node: Any) -> Tensor:
        """A tensor of an array that `node` computed."""
        t = Tensor._wrap(array)
        t._node = node
        t._requires_grad = True
        return t

    # Shape and kind

    @property
    def shape(self) -> Size:
        return size_of(self._array.shape)

    @property
    def ndim(self) -> int:
        n: int = self._array.ndim
        return n

    def dim(self) -> int:
        return self.ndim

    def element_size(self) -> int:
        return int(self._array.itemsize)

    @property
    def dtype(self) -> DType:
        return from_numpy_dtype(self._array.dtype)

    @property
    def device(self) -> Device:
        return device_of(self._array)

    @property
    def is_cuda(self) -> bool:
        return self._array.__class__ is not np.ndarray and self.device.type == "cuda"

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return int(self._array.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __bool__(self) -> bool:
        if self._array.size != 1:
            raise RuntimeError(
                f"Boolean value of Tensor with {'more than one value' if self._array.size else 'no values'} is ambiguous"
            )
        return bool(self._array.item())

    def _number(self) -> Any:
        if self._array.size != 1:
            raise ValueError("only one element tensors can be converted to Python scalars")
        return self._array.item()

    def __float__(self) -> float:
        return float(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __complex__(self) -> complex:
        return complex(self._number())

    def __index__(self) -> int:
        if self._array.dtype.kind not in "iub" or self._array.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __hash__(self) -> int:
        return id(self)

    # Graph

    @property
    def requires_grad(self) -> bool:
        if versions.watch:
            refresh(self)
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise RuntimeError("requires_grad must be a bool")
        if not self.is_leaf:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables."
                + (
                    ""
                    if value
                    else " If you want to use a computed variable in a subgraph that doesn't require "
                    "differentiation use var_no_grad = var.detach()."
                )
            )
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        if not isinstance(requires_grad, bool):
            raise TypeError(
                "requires_grad_(): argument 'requires_grad' (position 1) must be bool, not "
                f"{type(requires_grad).__name__}"
            )
        if not self.is_leaf and not requires_grad:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable "
                "in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        if requires_grad and self._array.dtype not in FLOATS:
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, got {self.dtype}"
            )
        if self._node is None:
            self._requires_grad = bool(requires_grad)
        return self

    @property
    def grad_fn(self) -> Node | None:
        """The node of the operation that made this tensor; None for leaves."""
        if versions.watch:
            refresh(self)
        node: Any = self._node
        made_by: Node | None = node.node if node is not None and node.kind == KIND_SLOT else node
        return made_by

    @property
    def is_leaf(self) -> bool:
        """Whether the user made it, or nothing it came from requires grad."""
        if versions.watch:
            refresh(self)
        return self._node is None

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward has added up here; None before."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"assigned grad expected to be a Tensor or None but got grad of type {type(value).__name__}"
                )
            if value is self:
                raise RuntimeError("can't assign Variable as its own grad")
            if value._array.dtype != self._array.dtype:
                raise RuntimeError(
                    f"assigned grad has data of a different type: expected {self.dtype}, got {value.dtype}"
                )
            if value.device != self.device:
                raise RuntimeError(
                    f"assigned grad has data located on a different device: expected {self.device}, got {value.device}"
                )
            if value._array.shape != self._array.shape:
                raise RuntimeError(
                    f"assigned grad has data of a different size: expected {list(self.shape)}, got {list(value.shape)}"
                )
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def _base(self) -> Tensor | None:
        """The tensor that this is a view of; None where it is none."""
        return None if self._view is None else self._view.base

    def _is_view(self) -> bool:
        return self._view is not None

    @property
    def _version(self) -> int:
        return version_of(self._array)

    @property
    def data(self) -> Tensor:
        """The same storage without the graph."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data: expected a tensor, got {type(value).__name__}")
        self._array, self._view = value._array, None

    def detach(self) -> Tensor:
        """The same storage outside of the graph; writing to it counts as writing to this tensor."""
        return Tensor._wrap(self._array)

    def detach_(self) -> Tensor:
        """Takes this tensor out of the graph. Raises RuntimeError for a view, whose base would stay in."""
        if self._view is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        if self._node is not None:
            self._make_cold().detached = True
        self._node, self._requires_grad = None, False
        return self

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Adds the gradient of this tensor to `.grad` of the leaves it was computed from.

        gradient: of the tensor's shape; may be left out for a single element. Raises RuntimeError for a tensor
        that does not require grad, and for a second pass over a graph whose buffers were freed.
        """
        from .autograd import backward

        backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Calls `hook(grad)` when this tensor's gradient is computed; a returned tensor replaces it."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return self._hook_at("tensor_hooks", hook)

    def _hook_at(self, list_name: str, hook: Any) -> RemovableHandle:
        """Registers `hook` for the gradient that arrives at this tensor."""
        node = self._node
        if node is None:
            return hooked(self._make_cold().hooks, hook)
        if node.kind == KIND_SLOT:
            return hooked(getattr(node.node.extras, list_name), (node.index, hook))
        return hooked(getattr(node.extras, list_name), (0, hook))

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Calls `hook(tensor)` after this leaf's `.grad` was updated."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self._node is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        return hooked(self._make_cold().post_accumulate_hooks, hook)

    def retain_grad(self) -> None:
        """Has `.grad` filled in for a tensor that is not a leaf."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        cold = self._make_cold()
        if self._node is None or cold.retains_grad:
            return
        cold.retains_grad = True
        self._retain_here()

    def _retain_here(self) -> None:
        """Has the gradient kept that arrives at this tensor's place in the graph, and none at a place it had before."""
        cold = self._make_cold()
        if cold.retained_by is not None:
            cold.retained_by.remove()
        import weakref

        me = weakref.ref(self)

        def keep(g: Tensor) -> None:
            t = me()
            if t is not None:
                kept = g if g._requires_grad else g.detach().clone()
                t.grad = kept if t.grad is None else t.grad + g

        cold.retained_by = None if self._node is None else self._hook_at("retained", keep)

    @property
    def retains_grad(self) -> bool:
        return self._cold is not None and self._cold.retains_grad

    def _make_cold(self) -> Cold:
        if self._cold is None:
            self._cold = Cold()
        return self._cold

    # Values

    def item(self) -> Any:
        """The value of a single-element tensor as a Python number."""
        if self._array.size != 1:
            raise RuntimeError(f"a Tensor with {self._array.size} elements cannot be converted to Scalar")
        return self._array.item()

    def tolist(self) -> Any:
        return to_numpy(self._array).tolist()

    def __repr__(self, *args: Any) -> str:
        from .printing import tensor_repr

        return tensor_repr(self)

    def __format__(self, spec: str) -> str:
        if self._array.ndim == 0 and type(self) is Tensor:
            return format(self.item(), spec)
        if spec:
            raise TypeError(f"unsupported format string passed to {type(self).__name__}.__format__")
        return str(self)

    # Writing in place

    def _write(self, array: Any) -> Tensor:
        """Puts the values of `array` into this storage, not recorded."""
        base = self if self._view is None else self._view.base
        versions.note_change(self._array, rewrites=base._cold is not None and base._cold.detached)
        self._array[...] = array
        return self


_new = object.__new__
