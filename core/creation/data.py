"""Tensors of data that is there: numbers, nested sequences, arrays, buffers, other tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import Device, to_device
from ..dtypes import FLOATS, float32, from_numpy_dtype, get_default_dtype, int64, promote_types
from ..dtypes import bool as bool_
from ..dtypes import dtype as DType
from ..grad_mode import state as grad_state
from ..tensor import Tensor
from .factory import (
    SCALAR_NAMES,
    checked_dtype,
    factory,
    finished,
    fitting,
    no_complex,
    number_of,
    numpy_dtype,
    place_of,
)

__all__ = ["as_tensor", "asarray", "from_numpy", "frombuffer", "scalar_tensor", "tensor"]

_NUMBERS = frozenset((bool, int, float))


def tensor(
    data: Any,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new tensor that copies `data` (numbers, nested sequences, arrays, tensors). Python floats become the default dtype."""
    if pin_memory or dtype is not None:
        dtype = checked_dtype("tensor", dtype, None, pin_memory)
    if isinstance(data, Tensor):
        array = data._array.copy() if dtype is None else data._array.astype(dtype.numpy)
        return finished(array if device is None else _moved(array, Device(device)), requires_grad)
    return finished(_moved(array_of(data, dtype, "tensor"), place_of(device)), requires_grad)


def _moved(array: Any, place: Device) -> Any:
    return to_device(array, place)


def array_of(data: Any, dtype: DType | None, name: str) -> Any:
    """A NumPy array that copies `data`, of `dtype` or of the one that the data has by itself."""
    if data.__class__ in _NUMBERS:
        return _filled(data, dtype)
    if hasattr(data, "__array__"):  # NumPy's arrays and scalars, and what else gives itself as one
        return _copied(data, dtype, name)
    if isinstance(data, (str, bytes)):
        raise TypeError(f"new(): invalid data type '{type(data).__name__}'")
    if isinstance(data, (int, float)):
        return _filled(data, dtype)
    no_complex(data, name)
    data = _listed(data)
    if data is None:
        raise RuntimeError(f"Could not infer dtype of {_name_of(data)}")
    kinds: set[type] = set()
    plain = _plain(data, kinds)
    d = dtype or _inferred(kinds, name)
    try:
        if d.is_floating_point:
            return grad_state.quiet(np.array, plain, d.numpy)
        return _whole(np.array(plain), d)
    except OverflowError:
        raise ValueError("Overflow when unpacking long long") from None
    except (TypeError, ValueError) as e:
        raise _uneven(plain, e) from None


def _name_of(data: Any) -> str:
    return type(data).__name__


def _listed(data: Any) -> Any:
    """A sequence as a list or tuple. Raises RuntimeError for what is none."""
    if isinstance(data, (list, tuple)):
        return data
    if isinstance(data, (dict, set)) or not (hasattr(data, "__len__") and hasattr(data, "__getitem__")):
        raise RuntimeError(f"Could not infer dtype of {_name_of(data)}")
    return [data[i] for i in range(len(data))]


def _filled(number: Any, dtype: DType | None) -> Any:
    d = dtype or (
        get_default_dtype() if isinstance(number, float) else bool_ if isinstance(number, bool) else int64
    )
    if dtype is None and d is int64 and not -(2**63) <= number < 2**63:
        raise ValueError("Overflow when unpacking long long")
    value = fitting(number, d, c_names=False, halves_overflow=False)
    return grad_state.quiet(np.array, value, d.numpy)


def _copied(data: Any, dtype: DType | None, name: str) -> Any:
    array = data if isinstance(data, np.ndarray) else np.asarray(data)
    if any(s < 0 for s in array.strides):
        raise ValueError(_NEGATIVE)
    if (
        array.dtype not in FLOATS
    ):  # which are asked first, for the kind of bfloat16 is that of objects' dtypes to NumPy
        no_complex(array, name)
        _carried(array)
    d = from_numpy_dtype(array.dtype) if dtype is None else dtype
    return grad_state.quiet(array.astype, d.numpy, order="C", copy=True)


_NEGATIVE = (
    "At least one stride in the given numpy array is negative, and tensors with negative strides are not currently "
    "supported. (You can probably work around this by making a copy of your array  with array.copy().)"
)


def _carried(array: Any) -> None:
    """Raises for arrays whose dtype no tensor has."""
    if not array.dtype.isnative:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. "
            "Conversion between byte orders is currently not supported."
        )
    try:
        from_numpy_dtype(array.dtype)
    except TypeError:
        raise TypeError(
            f"can't convert np.ndarray of type {array.dtype.type.__module__}.{array.dtype.type.__name__}. The only supported "
            "types are: float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8, and bool."
        ) from None


def _plain(data: Any, kinds: set[Any]) -> Any:
    """Nested sequences as nested lists of numbers; `kinds` collects the types and dtypes of these."""
    types = set(map(type, data))
    if types <= _NUMBERS:
        kinds |= types
        return data
    result = []
    for item in data:
        if item.__class__ in _NUMBERS:
            kinds.add(item.__class__)
        elif isinstance(item, Tensor):
            if item.numel() != 1:
                raise ValueError("only one element tensors can be converted to Python scalars")
            kinds.add(item.dtype)
            item = item.item()
        elif isinstance(item, (np.ndarray, np.generic)):
            no_complex(item, "tensor")
            _carried(item)
            kinds.add(from_numpy_dtype(item.dtype))
            item = item.tolist()
        elif isinstance(item, (list, tuple)):
            item = _plain(item, kinds)
        elif isinstance(item, str):
            raise ValueError(f"too many dimensions '{_name_of(item)}'")
        elif isinstance(item, (bool, int, float)):
            kinds.add(bool if isinstance(item, bool) else int if isinstance(item, int) else float)
        else:
            no_complex(item, "tensor")
            item = _plain(_listed(item), kinds)
        result.append(item)
    return result


_OF_TYPE = {bool: bool_, int: int64}


def _inferred(kinds: set[Any], name: str) -> DType:
    if not kinds:
        return get_default_dtype()
    found: DType | None = None
    for kind in kinds:
        d = kind if isinstance(kind, DType) else _OF_TYPE.get(kind) or get_default_dtype()
        found = d if found is None else promote_types(found, d)
    return found or float32


def _whole(array: Any, to: DType) -> Any:
    """An array of Python's numbers in an integer dtype or bool, each of which must fit."""
    if array.dtype.kind in "OV" or array.dtype == np.uint64:
        if array.dtype.kind == "O" and not all(isinstance(x, int) for x in array.reshape(-1)):
            raise ValueError("setting an array element with a sequence")
        raise OverflowError
    if to.name == "bool" or array.dtype == to.numpy or not array.size:
        return array.astype(to.numpy)
    low, high = array.min().item(), array.max().item()
    whole = [fitting(x, to, c_names=False) for x in (low, high)]  # the extremes stand for all
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise RuntimeError(f"value cannot be converted to type {to.name} without overflow")
    return array.astype(to.numpy) if whole else array


def _uneven(data: Any, error: Exception, dim: int = 0) -> Exception:
    """What is wrong with nested lists that NumPy would not make an array of."""
    if isinstance(data, (list, tuple)) and data:
        nested = [isinstance(x, (list, tuple)) for x in data]
        if nested[0] and not all(nested):
            return TypeError("not a sequence")
        if not nested[0] and any(nested):
            return TypeError(
                f"'{_name_of(data[nested.index(True)])}' object cannot be interpreted as an integer"
            )
        if nested[0]:
            for x in data:
                if len(x) != len(data[0]):
                    return ValueError(
                        f"expected sequence of length {len(data[0])} at dim {dim + 1} (got {len(x)})"
                    )
            for x in data:
                found = _uneven(x, error, dim + 1)
                if found is not error:
                    return found
            lengths = [len(x[0]) for x in data if x and isinstance(x[0], (list, tuple))]
            if len(set(lengths)) > 1:
                other = next(n for n in lengths if n != lengths[0])
                return ValueError(f"expected sequence of length {lengths[0]} at dim {dim + 2} (got {other})")
    return error


def as_tensor(data: Any, dtype: DType | None = None, device: Any = None) -> Tensor:
    """`data` as a tensor, sharing its memory where it can."""
    if isinstance(data, np.ndarray):
        if any(s < 0 for s in data.strides):
            raise ValueError(_NEGATIVE)
        data = from_numpy(data)
        device = place_of(device)
    if isinstance(data, Tensor):
        return data.to(*[x for x in (device, dtype) if x is not None])
    return tensor(data, dtype=dtype, device=device)


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the array's memory; arrays of ml_dtypes.bfloat16 are taken, too."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    if any(s < 0 for s in ndarray.strides):
        raise ValueError(_NEGATIVE)
    if ndarray.dtype not in FLOATS:
        no_complex(ndarray, "from_numpy")
        _carried(ndarray)
    return Tensor._wrap(ndarray)


def frombuffer(
    buffer: Any, *, dtype: DType, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Tensor:
    """`count` elements (all: -1) of an object's memory, shared, from byte `offset` on."""
    if not isinstance(dtype, DType):
        raise TypeError(f"frombuffer(): argument 'dtype' must be torch.dtype, not {type(dtype).__name__}")
    try:
        length = memoryview(buffer).nbytes
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    size = dtype.itemsize
    if length <= 0 or count == 0:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if not 0 <= offset < length:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length ({length} bytes) minus 1"
        )
    if count < 0:
        if (length - offset) % size:
            raise ValueError(
                f"buffer length ({length - offset} bytes) after offset ({offset} bytes) must be a multiple of element size ({size})"
            )
        count = (length - offset) // size
    elif offset + count * size > length:
        raise ValueError(
            f"requested buffer length ({count} * {size} bytes) after offset ({offset} bytes) must not be greater than actual "
            f"buffer length ({length} bytes)"
        )
    return finished(np.frombuffer(buffer, dtype.numpy, count, offset), requires_grad)


def asarray(
    obj: Any,
    *,
    dtype: DType | None = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool | None = None,
) -> Tensor:
    """`obj` (a tensor, an array, a buffer, what gives itself by DLPack, numbers) as a tensor.

    copy: True always copies, False raises ValueError where the memory can't be shared, None copies where it must.
    """
    shared = _shared(obj, dtype)
    if shared is None:
        if copy is False:
            raise ValueError("can't alias arbitrary sequence into a tensor.")
        return tensor(obj, dtype=dtype, device=device, requires_grad=bool(requires_grad))
    to = dtype or shared.dtype
    place = shared.device if device is None else Device(device)
    if copy is False and to is not shared.dtype:
        raise ValueError(
            f"can't alias tensor with dtype '{SCALAR_NAMES[shared.dtype.name]}' into dtype '{SCALAR_NAMES[to.name]}'."
        )
    if copy is False and place.type != shared.device.type:
        raise ValueError(f"can't alias tensor from device '{shared.device}' to '{place}'.")
    result = shared.to(place, to, copy=bool(copy))
    if requires_grad is None or requires_grad is result.requires_grad:
        return result
    return result.detach().requires_grad_(requires_grad)


def _shared(obj: Any, dtype: DType | None) -> Tensor | None:
    """A tensor of obj's memory; None for numbers and sequences."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, np.generic):
        return from_numpy(np.asarray(obj))
    if isinstance(obj, np.ndarray):
        return from_numpy(obj)
    if hasattr(obj, "__dlpack__"):
        from ..interop import from_dlpack

        return from_dlpack(obj)
    if isinstance(obj, (str, bool, int, float, list, tuple)):
        return None
    try:
        memoryview(obj)
    except TypeError:
        return None
    return frombuffer(obj, dtype=dtype or get_default_dtype())


@factory
def scalar_tensor(xp: Any, dtype: Any, s: Any) -> Any:
    """A 0-d tensor of a number, in the default dtype where none is given."""
    d = dtype or get_default_dtype()
    return xp.full((), fitting(number_of(s, "scalar_tensor", "s", 1), d), numpy_dtype(xp, d))


def new_tensor(
    self: Tensor, data: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor that copies `data`, in this tensor's dtype and on its device unless told otherwise."""
    place = self.device if device is None else device
    return tensor(data, dtype=dtype or self.dtype, device=place, requires_grad=requires_grad)


Tensor.new_tensor = new_tensor  # type: ignore[attr-defined]
