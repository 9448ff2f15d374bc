"""Tensors in other dtypes, on other devices, in another order in memory: methods of Tensor, and what these tell of it."""

from __future__ import annotations

import math
from typing import Any

from . import dtypes
from .backends import Device, module_of
from .default_device import set_default_device
from .dtypes import as_dtype
from .dtypes import dtype as DType
from .layouts import is_in_format, memory_format, preserve_format, strided
from .node import KIND_SLOT
from .ops.registry import apply, index
from .ops.shape import InFormat
from .size import Size, size_of
from .tensor import Tensor
from .versions import owner_of

__all__ = [
    "detach",
    "get_device",
    "is_same_size",
    "is_signed",
    "is_complex",
    "is_floating_point",
    "is_tensor",
    "numel",
    "set_default_tensor_type",
    "target_of",
]


_cast, _to_device = index["cast"], index["to_device"]
_FORMS = "to(): expected (dtype), (device, dtype) or (other), then non_blocking, copy and memory_format="


def to(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """to(dtype), to(device, dtype) or to(other), then non_blocking, copy: this tensor itself where nothing changes."""
    if len(args) == 1 and not kwargs and args[0].__class__ is DType:
        d = args[0].numpy
        return self if self._array.dtype == d else apply(_cast, (self,), (d,))
    dtype, device, copy, form = target_of(args, kwargs)
    t = self
    if device is not None and not _same_device(t.device, device):
        if dtype is not None and dtype.itemsize < t._array.itemsize:  # so that fewer bytes travel
            t, dtype = to(t, dtype), None
        t = apply(_to_device, (t,), (device, t.device))
    if dtype is not None and t._array.dtype != dtype.numpy:
        t = apply(_cast, (t,), (dtype.numpy,))
    if form is not None and form is not preserve_format and not is_in_format(t._array, form):
        t = apply(InFormat, (t,), (form,))
    return t.clone() if copy and t is self else t


def target_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[DType | None, Device | None, bool, Any]:
    """The dtype, device, copy and memory_format that the arguments of `to` ask for."""
    unknown = kwargs.keys() - {"dtype", "device", "non_blocking", "copy", "memory_format"}
    if unknown:
        raise TypeError(f"to() got an unexpected keyword argument '{min(unknown)}'")
    rest = list(args)
    dtype, device, copy, form = (
        kwargs.get("dtype"),
        kwargs.get("device"),
        kwargs.get("copy", False),
        kwargs.get("memory_format"),
    )
    if rest:
        first = rest.pop(0)
        if isinstance(first, (DType, type)):
            dtype = _once("dtype", first, dtype)
        elif isinstance(first, Tensor):
            dtype, device = _once("dtype", first.dtype, dtype), _once("device", first.device, device)
        elif first is None or (isinstance(first, (str, Device, int)) and not isinstance(first, bool)):
            device = first if device is None else _once("device", first, device)
            if rest and not isinstance(rest[0], bool):
                second = rest.pop(0)
                dtype = second if dtype is None else _once("dtype", second, dtype)
        else:
            raise TypeError(f"{_FORMS}; got {type(first).__name__}")
    for flag, name in zip(rest, ("non_blocking", "copy"), strict=False):
        if not isinstance(flag, bool) or name in kwargs:
            raise TypeError(f"{_FORMS}; got {flag!r} for {name}")
        copy = flag if name == "copy" else copy
    if len(rest) > 2:
        raise TypeError(f"{_FORMS}; got {len(args)} arguments")
    if form is not None and not isinstance(form, memory_format):
        raise TypeError(
            f"to(): argument 'memory_format' must be torch.memory_format, not {type(form).__name__}"
        )
    return (
        None if dtype is None else as_dtype(dtype, "to"), None if device is None else Device(device), bool(copy), form,
    )  # fmt: skip


def _once(name: str, given: Any, before: Any) -> Any:
    if before is not None:
        raise TypeError(f"to() got multiple values for argument '{name}'")
    return given


def _same_device(a: Device, b: Device) -> bool:
    return a.type == b.type and (b.index is None or a.index == b.index)


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in host memory."""
    return to(self, "cpu", memory_format=memory_format)


def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """This tensor on a GPU, the current one where none is named."""
    target = (
        Device("cuda", device) if isinstance(device, int) else Device("cuda" if device is None else device)
    )
    if target.type != "cuda":
        raise RuntimeError(f"Invalid device, must be cuda device, got {target}")
    return to(self, target, memory_format=memory_format)


_TYPES = {
    "float32": "FloatTensor", "float64": "DoubleTensor", "float16": "HalfTensor", "bfloat16": "BFloat16Tensor",
    "int64": "LongTensor", "int32": "IntTensor", "int16": "ShortTensor", "int8": "CharTensor", "uint8": "ByteTensor",
    "bool": "BoolTensor",
}  # fmt: skip
_OF_TYPE = {
    f"torch.{where}{kind}": (device, getattr(dtypes, name))
    for name, kind in _TYPES.items()
    for where, device in (("", "cpu"), ("cuda.", "cuda"))
}


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of this tensor's type, such as 'torch.FloatTensor'; or this tensor in the type that `dtype` names."""
    if dtype is None:
        return f"torch.{'cuda.' if self.is_cuda else ''}{_TYPES[self.dtype.name]}"
    if isinstance(dtype, str):
        if dtype not in _OF_TYPE:
            raise ValueError(f"invalid type: '{dtype}'")
        return to(self, *_OF_TYPE[dtype])
    named = getattr(dtype, "dtype", None) if isinstance(dtype, type) else None
    if isinstance(named, DType):  # torch.FloatTensor and its kin
        return to(self, named)
    if not isinstance(dtype, (DType, type)):
        raise TypeError("dtype must be a type, str, or dtype object")
    return to(self, as_dtype(dtype, "type"))


def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in other's dtype, on its device."""
    if not isinstance(other, Tensor):
        raise TypeError(
            f"type_as(): argument 'other' (position 1) must be Tensor, not {type(other).__name__}"
        )
    return to(self, other)


def _typed(name: str, target: DType) -> Any:
    def cast(self: Tensor, memory_format: Any = None) -> Tensor:
        return to(self, target) if memory_format is None else to(self, target, memory_format=memory_format)

    cast.__name__ = cast.__qualname__ = name
    cast.__doc__ = f"This tensor in {target.name}."
    return cast


# What a tensor tells of itself


def size(self: Tensor, dim: Any = None) -> Any:
    """The shape, or the size of dimension `dim`."""
    return size_of(self._array.shape) if dim is None else self._array.shape[_dim(dim, self._array.ndim)]


def stride(self: Tensor, dim: Any = None) -> Any:
    """How many elements lie between neighbours along each dimension, or along `dim`."""
    array = self._array
    if array.size:
        strides = tuple([s // array.itemsize for s in array.strides])
    else:  # where NumPy has zeros
        sizes = [max(n, 1) for n in array.shape]
        strides = tuple([math.prod(sizes[i + 1 :]) for i in range(len(sizes))])
    return strides if dim is None else strides[_dim(dim, self._array.ndim)]


def _dim(dim: Any, ndim: int) -> int:
    if isinstance(dim, bool) or not hasattr(dim, "__index__"):
        raise TypeError(f"argument 'dim' must be int, not {type(dim).__name__}")
    n = max(ndim, 1)
    if not -n <= dim < n or not ndim:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})"
            if ndim
            else "Dimension specified as 0 but tensor has no dimensions"
        )
    return int(dim)


def _address(array: Any) -> int:
    if hasattr(array, "ctypes"):
        return int(array.ctypes.data)
    return int(array.data.ptr)


def data_ptr(self: Tensor) -> int:
    """The address of the first element; 0 for a tensor of none."""
    return _address(self._array) if self._array.size else 0


def storage_offset(self: Tensor) -> int:
    """How many elements of the storage lie before the first one of this tensor."""
    array = self._array
    return (_address(array) - _address(owner_of(array))) // int(array.itemsize) if array.size else 0


def is_contiguous(self: Tensor, memory_format: Any = None) -> bool:
    """Whether the elements lie in memory in the plain order (or that of memory_format), without gaps."""
    if memory_format is None:
        return bool(self._array.flags.c_contiguous)
    return is_in_format(self._array, memory_format)


def is_complex(input: Tensor) -> bool:
    """False: no tensor is complex."""
    _tensor(input, "is_complex")
    return False


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is one of floats."""
    return _tensor(input, "is_floating_point")._array.dtype in dtypes.FLOATS


def numel(input: Tensor) -> int:
    """The number of elements."""
    return int(_tensor(input, "numel")._array.size)


def is_signed(input: Tensor) -> bool:
    """Whether the dtype has negative numbers."""
    return _tensor(input, "is_signed").dtype.is_signed


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether the two have one shape."""
    return _tensor(input, "is_same_size")._array.shape == _tensor(other, "is_same_size")._array.shape  # type: ignore[no-any-return]


def detach(input: Tensor) -> Tensor:
    """The same storage outside of the graph."""
    return _tensor(input, "detach").detach()


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a Tensor."""
    return isinstance(obj, Tensor)


def _tensor(x: Any, name: str) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}")
    return x


def contains(self: Tensor, element: Any) -> bool:
    """Whether an element equals `element`, a number or a tensor."""
    if not isinstance(element, (Tensor, int, float)):
        raise RuntimeError(
            f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
        )
    return bool((self == element).any())


def new(self: Tensor, *args: Any) -> Tensor:
    """new(2, 3): an uninitialised tensor of that shape, new([…]): one of those values; of this dtype, on this device."""
    from . import creation

    made: Tensor = getattr(creation, _TYPES[self.dtype.name])(*args)
    return made.to(self.device)


def resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Has this tensor show the first elements of its storage in another shape. Raises RuntimeError for more than there are
    (but of a storage of none), and for a tensor that requires grad."""
    if memory_format is not None:
        raise RuntimeError("resize_: memory_format is not supported; use empty(…, memory_format=…)")
    if self.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    shape = Size(sizes[0] if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"resize_: expected sizes of at least 0, got {list(shape)}")
    array = self._array
    owner = owner_of(array)
    place = storage_offset(self)
    if not owner.size:
        self._array = module_of(array).empty(shape, array.dtype)
    elif not owner.flags.c_contiguous or owner.dtype != array.dtype or place + shape.numel() > owner.size:
        raise RuntimeError(
            f"resize_: a storage of {owner.size} elements can't grow to shape {list(shape)} where other tensors may share it; "
            "make a new tensor, or resize to 0 elements what is given as out="
        )
    else:
        self._array = owner.reshape(-1)[place : place + shape.numel()].reshape(shape)
    self._view = None
    return self


def resize_as_(self: Tensor, other: Tensor) -> Tensor:
    """resize_ to other's shape."""
    return resize_(self, _tensor(other, "resize_as_").shape)


def reverse(self: Tensor) -> Tensor:
    """This tensor from its end to its beginning, along its first dimension."""
    return self.flip(0) if self._array.ndim else self


def get_device(self: Tensor) -> int:
    """The number of the GPU; -1 on the CPU."""
    index_ = self.device.index
    return -1 if self.device.type == "cpu" else int(index_ or 0)


def set_default_tensor_type(t: Any) -> None:
    """Makes the dtype of a floating-point type such as torch.DoubleTensor, or 'torch.DoubleTensor', the default dtype."""
    if isinstance(t, str):
        if t not in _OF_TYPE:
            raise ValueError(f"invalid type: '{t}'")
        device, dtype = _OF_TYPE[t]
        set_default_device(device)
    else:
        dtype = getattr(t, "dtype", None)
    if not isinstance(dtype, DType) or not dtype.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    dtypes.set_default_dtype(dtype)


def _attach() -> None:
    methods: dict[str, Any] = {
        "to": to, "cpu": cpu, "cuda": cuda, "type": type_, "type_as": type_as, "size": size, "stride": stride,
        "data_ptr": data_ptr, "storage_offset": storage_offset, "is_contiguous": is_contiguous, "is_complex": is_complex,
        "is_floating_point": is_floating_point, "numel": numel, "nelement": numel,
        "__contains__": contains, "__reversed__": reverse, "new": new, "resize_": resize_, "resize_as_": resize_as_, "to_dense": lambda self: self,
        "is_same_size": is_same_size,
        "output_nr": property(lambda self: self._node.index if self._node is not None and self._node.kind == KIND_SLOT else 0), "get_device": get_device,
        "is_signed": is_signed, "is_pinned": lambda self: False, "is_shared": lambda self: False,
        "is_cpu": property(lambda self: not self.is_cuda), "layout": property(lambda self: strided),
        "itemsize": property(lambda self: int(self._array.itemsize)), "nbytes": property(lambda self: numel(self) * int(self._array.itemsize)),
        "is_sparse": property(lambda self: False), "is_quantized": property(lambda self: False), "is_meta": property(lambda self: False),
        "ndimension": lambda self: self._array.ndim,
    }  # fmt: skip
    for name, target in (
        ("float", "float32"), ("double", "float64"), ("half", "float16"), ("bfloat16", "bfloat16"), ("long", "int64"),
        ("int", "int32"), ("short", "int16"), ("char", "int8"), ("byte", "uint8"), ("bool", "bool"),
    ):  # fmt: skip
        methods[name] = _typed(name, getattr(dtypes, target))
    for name, method in methods.items():
        setattr(Tensor, name, method)


_attach()
