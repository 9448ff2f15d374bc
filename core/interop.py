"""Tensors and other libraries' arrays: NumPy, DLPack, the CUDA array interface; pickling and copying.

Memory is shared wherever the other side can share it.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from .backends import cuda_module, module_of, to_numpy
from .dtypes import bfloat16, from_numpy_dtype
from .layouts import copy_order
from .tensor import Tensor
from .versions import lend, owner_of

__all__ = ["from_dlpack", "to_dlpack"]


def numpy(self: Tensor, *, force: bool = False) -> np.ndarray[Any, Any]:
    """A NumPy array that shares this CPU tensor's memory (force=True: a copy from wherever it is)."""
    if force:
        return to_numpy(self._array)
    if self.requires_grad:
        raise RuntimeError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    if self.device.type != "cpu":
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
        )
    array: np.ndarray[Any, Any] = self._array
    if array.dtype == bfloat16.numpy:
        raise TypeError("Got unsupported ScalarType BFloat16; NumPy has no such dtype, use .float().numpy()")
    return array


def array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
    """What np.asarray makes of this tensor: its own memory where dtype and copy permit."""
    own = numpy(self)
    if dtype is None or own.dtype == dtype:
        return own.copy() if copy else own
    if copy is False:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    return own.astype(dtype)


def array_wrap(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Tensor:
    """What NumPy's functions of tensors return: a tensor. Bools become uint8, as in PyTorch."""
    result = np.asarray(array)
    return Tensor._wrap(result.astype(np.uint8) if result.dtype == np.bool_ else result)


# DLPack: NumPy and CuPy write and read the capsules. NumPy knows no bfloat16: its capsules carry 16-bit integers, and the
# code of the dtype is put right in the structure that the capsule points to (dlpack.h, versions 0.8 and 1.0).

_UNSIGNED, _BFLOAT = 1, 4
_CODE_AT = {b"dltensor": 20, b"dltensor_versioned": 52}
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
_capsule_name = ctypes.pythonapi.PyCapsule_GetName
_capsule_name.restype, _capsule_name.argtypes = ctypes.c_char_p, [ctypes.py_object]


def _code(capsule: Any) -> Any:
    """The byte that tells the kind of dtype in a capsule, to be read and set."""
    name = _capsule_name(capsule)
    if name not in _CODE_AT:
        raise RuntimeError(
            "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, "
            "so you might have already constructed a tensor from it once."
        )
    return ctypes.c_uint8.from_address(_pointer(capsule, name) + _CODE_AT[name])


def dlpack(
    self: Tensor,
    *,
    stream: Any = None,
    max_version: Any = None,
    dl_device: Any = None,
    copy: bool | None = None,
) -> Any:
    """A DLPack capsule of this tensor's memory. Raises BufferError for one that requires grad."""
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    source = self._array
    if self.is_cuda:
        return source.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)
    if stream is not None:
        raise AssertionError("stream should be None on cpu.")
    is_bfloat = source.dtype == bfloat16.numpy
    if is_bfloat:
        source = source.view(np.uint16)
    named = {"max_version": max_version, "dl_device": dl_device, "copy": copy}
    capsule = source.__dlpack__(**{k: v for k, v in named.items() if v is not None})
    if is_bfloat:
        _code(capsule).value = _BFLOAT
    return capsule


def dlpack_device(self: Tensor) -> Any:
    """The (type, number) by which DLPack names this tensor's device."""
    return self._array.__dlpack_device__()


def to_dlpack(tensor: Tensor) -> Any:
    """A DLPack capsule of the tensor's memory, for libraries that take capsules."""
    return dlpack(tensor)


class _Capsule:
    """An object that hands out a capsule made before."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


class _Writable:
    """The memory of an array that NumPy takes for read-only, because its capsule did not say: PyTorch writes to it, too."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor of the memory of an object with __dlpack__, or of a DLPack capsule of host memory."""
    if type(ext_tensor).__name__ == "PyCapsule":
        capsule, kind = ext_tensor, 1
    elif hasattr(ext_tensor, "__dlpack__"):
        kind = int(ext_tensor.__dlpack_device__()[0])
    else:
        raise RuntimeError(
            f"from_dlpack: expected an object with __dlpack__ or a DLPack capsule, got {type(ext_tensor).__name__}"
        )
    found: Any
    if kind in (2, 13):  # CUDA's own memory, and managed memory
        found = cuda_module().from_dlpack(ext_tensor)
    else:
        if type(ext_tensor).__name__ != "PyCapsule":
            try:
                capsule = ext_tensor.__dlpack__(max_version=(1, 0))
            except TypeError:  # written for the protocol's version before
                capsule = ext_tensor.__dlpack__()
        found = _imported(capsule)
    from_numpy_dtype(found.dtype)
    t = Tensor._wrap(found)
    if copy:
        t = t.clone()
    return t if device is None else t.to(device)


def _imported(capsule: Any) -> np.ndarray[Any, Any]:
    code, versioned = _code(capsule), _capsule_name(capsule) == b"dltensor_versioned"
    is_bfloat = code.value == _BFLOAT
    if is_bfloat:
        code.value = _UNSIGNED
    try:
        found = np.from_dlpack(_Capsule(capsule))
    except RuntimeError as e:
        raise RuntimeError(f"from_dlpack: a dtype or device that is not supported ({e})") from None
    if not versioned and not found.flags.writeable and found.size:
        found = np.asarray(_Writable(found))
    return found.view(bfloat16.numpy) if is_bfloat else found


def _cuda_array_interface(self: Tensor) -> dict[str, Any]:
    if not self.is_cuda:
        raise AttributeError(
            f"Can't get __cuda_array_interface__ on non-CUDA tensor type: {self.type()} "
            "If CUDA data is required use tensor.cuda() to copy tensor to device memory."
        )
    if self.requires_grad:
        raise RuntimeError(
            "Can't get __cuda_array_interface__ on Variable that requires grad. "
            "If gradients aren't required, use var.detach() to get Variable that doesn't require grad."
        )
    interface: dict[str, Any] = self._array.__cuda_array_interface__
    return interface


# Pickling and copying


def reduce_ex(self: Tensor, protocol: Any) -> Any:
    """For pickle and copy.copy: a leaf with this tensor's values, requires_grad and attributes."""
    return (_rebuild, (type(self), self._array, self.requires_grad, dict(self.__dict__)))


def deepcopy(self: Tensor, memo: dict[Any, Any]) -> Tensor:
    """A copy of this leaf with its gradient. Tensors that share memory share it again where they are copied together."""
    if id(self) in memo:
        return memo[id(self)]  # type: ignore[no-any-return]
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment."
        )
    copied: Tensor = _rebuild(
        type(self), self._array.copy(order=copy_order(self._array)), self._requires_grad, dict(self.__dict__)
    )
    copied.grad = None if self.grad is None else self.grad.__deepcopy__(memo)
    memo[id(self)] = copied
    owner = owner_of(self._array)
    if not (owner.flags.c_contiguous or owner.flags.f_contiguous):
        return copied  # somebody else's memory, of which this library sees a part
    alike = memo.setdefault(("storage", id(owner)), [])
    alike.append((copied, self._array))
    if (
        len(alike) == 2
    ):  # found out only now: one alone has a copy of what it shows, not of all the memory that it is a part of
        memo["copy of", id(owner)] = owner.copy("K")
    for t, array in alike if len(alike) == 2 else alike[2:][-1:]:
        t._array = _same_part(array, owner, memo["copy of", id(owner)])
    return copied


def _same_part(array: Any, owner: Any, copy: Any) -> Any:
    """What `array` is of `owner`, of another array of the owner's layout."""
    if isinstance(array, np.ndarray):
        start = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
        memory = copy.reshape(-1, order="A").view(np.uint8)
        return np.ndarray(array.shape, array.dtype, memory, start, array.strides)
    pointer = copy.data + (array.data.ptr - owner.data.ptr)
    return lend(module_of(array).ndarray(array.shape, array.dtype, pointer, array.strides), copy)


def _rebuild(cls: type[Tensor], array: Any, requires_grad: bool, attributes: dict[str, Any]) -> Any:
    t = cls._from_array(array, requires_grad)
    t.__dict__.update(attributes)
    return t


for _name, _method in {
    "numpy": numpy, "__array__": array, "__array_wrap__": array_wrap, "__dlpack__": dlpack, "__dlpack_device__": dlpack_device,
    "__cuda_array_interface__": property(_cuda_array_interface), "__reduce_ex__": reduce_ex, "__deepcopy__": deepcopy,
}.items():  # fmt: skip
    setattr(Tensor, _name, _method)
