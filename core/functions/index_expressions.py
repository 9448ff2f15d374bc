"""How an index expression is read: as a view, and index tensors and masks that read it or write to it.

PyTorch does it in two steps: integers, slices, None and Ellipsis give a view, whose dimensions the rest indexes. NumPy, given
all at once, puts the result's dimensions elsewhere.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..backends import module_of
from ..tensor import Tensor

__all__ = [
    "ALL",
    "check_index",
    "has_mask",
    "index_tensor",
    "raw_index",
    "read_index",
    "shape_read",
    "shapes_differ",
    "shortened",
]

_INDEX_KINDS = frozenset(("int64", "int32", "bool", "uint8"))
ALL = slice(None)
_WHAT_MAY_BE = (
    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices"
)


def index_tensor(item: Any) -> Tensor:
    """A tensor, array or sequence as an index tensor, of a dtype that may be one."""
    if not isinstance(item, Tensor):
        if not isinstance(item, np.ndarray):
            item = _plain(item)
        host = np.asarray(item)
        item = Tensor._wrap(host if host.size or host.dtype.kind == "b" else host.astype(np.int64))
    if item._array.dtype.name not in _INDEX_KINDS:
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    return item  # type: ignore[no-any-return]


def _plain(item: Any) -> Any:
    if isinstance(item, (list, tuple, range)):
        return [_plain(i) for i in item]
    return item.tolist() if isinstance(item, Tensor) else item


def raw_index(item: Tensor, input: Tensor) -> Any:
    raw = item._array
    if raw.__class__ is np.ndarray is input._array.__class__:
        return raw.astype(bool) if raw.dtype == np.uint8 else raw
    if item.device.type == "cuda" and input.device.type == "cpu":
        raise RuntimeError(
            "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
        )
    raw = item.detach().to(input.device)._array
    return raw.astype(bool) if raw.dtype == np.uint8 else raw


def _items(index: Any) -> list[Any]:
    """The items of an index: those of a tuple, and of a list that holds more than numbers."""
    if isinstance(index, tuple):
        return list(index)
    if isinstance(index, list) and any(
        i is None or i is Ellipsis or isinstance(i, (slice, Tensor, list, tuple, range, np.ndarray))
        for i in index
    ):
        warnings.warn(
            "Using a non-tuple sequence for multidimensional indexing is deprecated; use x[tuple(seq)] instead of x[seq]",
            stacklevel=4,
        )
        return index
    return [index]


def _takes(item: Any) -> int:
    """How many dimensions an item of an index takes, and the item as it is gone on with."""
    if item is None or item is Ellipsis or isinstance(item, (bool, np.bool_)):
        return 0
    if isinstance(item, (Tensor, np.ndarray)):
        kind = (item._array if isinstance(item, Tensor) else item).dtype
        return item.ndim if kind.kind == "b" or kind == np.uint8 else 1
    if isinstance(item, (list, tuple)) and item:
        first: Any = item
        depth = 0
        while isinstance(first, (list, tuple)) and first:
            first, depth = first[0], depth + 1
        return depth if isinstance(first, (bool, np.bool_)) else 1
    return 1


def read_index(index: Any, input: Tensor) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """An index as that of a view and, where there are index tensors, the raw index by which these read the view."""
    shape = input._array.shape
    if index.__class__ is int and shape:
        if not -shape[0] <= index < shape[0]:
            raise IndexError(f"index {index} is out of bounds for dimension 0 with size {shape[0]}")
        return (index,), None
    if index.__class__ is Tensor and index._array.dtype == np.int64 and index._array.ndim and shape:
        raw = raw_index(index, input)
        _check_bounds(raw, shape, 0)
        return (), (raw,)
    items = _items(index)
    taken = sum(map(_takes, items))
    ndim = len(shape)
    if taken > ndim:
        if not ndim and len(items) == 1:
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert a 0-dim tensor to a number"
            )
        raise IndexError(f"too many indices for tensor of dimension {ndim}")
    basic: list[Any] = []
    rest: list[Any] = []
    axis, ellipses = 0, 0
    any_arrays = False
    for item in items:
        if item.__class__ is not slice and isinstance(item, (Tensor, np.ndarray)) and not item.ndim:
            alone = index_tensor(item)
            item = bool(alone.item()) if alone.dtype.name == "uint8" else alone.item()
        if item is None:
            basic.append(None)
            rest.append(ALL)
        elif item is Ellipsis:
            wide = (ndim - taken) if not ellipses else 0
            ellipses += 1
            basic += [ALL] * wide
            rest += [ALL] * wide
            axis += wide
        elif isinstance(item, (bool, np.bool_)):
            basic.append(None)
            rest.append(module_of(input._array).asarray(np.arange(int(item))))
            any_arrays = True
        elif isinstance(item, slice):
            basic.append(_checked_slice(item))
            rest.append(ALL)
            axis += 1
        elif isinstance(item, (Tensor, np.ndarray, list, tuple, range)):
            raw = raw_index(index_tensor(item), input)
            _check_bounds(raw, shape, axis)
            wide = raw.ndim if raw.dtype.kind == "b" else 1
            basic += [ALL] * wide
            rest.append(raw)
            axis += wide
            any_arrays = True
        elif hasattr(item, "__index__"):
            i, n = item.__index__(), shape[axis]
            if not -n <= i < n:
                raise IndexError(f"index {i} is out of bounds for dimension {axis} with size {n}")
            basic.append(i)
            axis += 1
        elif isinstance(item, str):
            raise TypeError(f"{_WHAT_MAY_BE} (got str)")
        else:
            raise IndexError(f"{_WHAT_MAY_BE} (got {type(item).__name__})")
    return tuple(basic), shortened(rest, input) if any_arrays else None


def shortened(rest: list[Any], input: Tensor) -> tuple[Any, ...]:
    """Without whole dimensions at the end; on the GPU with masks beside other arrays as the places where they are true."""
    while rest[-1] is ALL:
        rest.pop()
    several = sum(hasattr(i, "dtype") for i in rest) > 1
    if several and input._array.__class__ is not np.ndarray and has_mask(tuple(rest)):
        places: list[Any] = []
        for item in rest:
            is_mask = hasattr(item, "dtype") and item.dtype.kind == "b"
            places += module_of(item).nonzero(item) if is_mask else (item,)
        rest = places
    return tuple(rest)


def _checked_slice(item: slice) -> slice:
    bounds = []
    for x in (item.start, item.stop, item.step):
        if x is not None and not hasattr(x, "__index__"):
            raise TypeError("slice indices must be integers or None or have an __index__ method")
        bounds.append(None if x is None else x.__index__())
    if bounds[2] is not None and bounds[2] <= 0:
        raise ValueError("step must be greater than zero" if bounds[2] else "slice step cannot be zero")
    return slice(*bounds)


def _check_bounds(raw: Any, shape: tuple[int, ...], axis: int, numpy_too: bool = False) -> None:
    """Of an index array or mask for the dimensions from `axis` on: CuPy would wrap around, NumPy checks where it reads."""
    if raw.dtype.kind == "b":
        for i, n in enumerate(raw.shape):
            if n != shape[axis + i]:
                raise IndexError(
                    f"The shape of the mask {list(raw.shape)} at index {i} does not match the shape of the indexed tensor "
                    f"{list(shape)} at index {axis + i}"
                )
    elif raw.size and (numpy_too or raw.__class__ is not np.ndarray):
        n, low, high = shape[axis], int(raw.min()), int(raw.max())
        if low < -n or high >= n:
            wrong = low if low < -n else high
            raise IndexError(f"index {wrong} is out of bounds for dimension {axis} with size {n}")


def shapes_differ(rest: tuple[Any, ...], error: Exception) -> IndexError:
    if "out of bounds" in str(error):
        return IndexError(str(error).replace("axis", "dimension"))
    shapes = ", ".join(str(list(i.shape)) for i in rest if hasattr(i, "dtype"))
    return IndexError(
        f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes} ({error})"
    )


def has_mask(rest: tuple[Any, ...]) -> bool:
    return any(hasattr(i, "dtype") and i.dtype.kind == "b" for i in rest)


def shape_read(part: Tensor, rest: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape of what `rest` reads from `part`: what the arrays read stands at the first one's place, or in front where
    they are apart."""
    shape, axis = part._array.shape, 0
    arrays: list[tuple[int, ...]] = []
    left: list[int] = []
    place, before = 0, -1
    for at, item in enumerate(rest):
        if not hasattr(item, "dtype"):
            left.append(shape[axis])
            axis += 1
            continue
        if not arrays:
            place = len(left)
        elif at != before + 1:
            place = 0
        before = at
        is_mask = item.dtype.kind == "b"
        arrays.append((int(item.sum()),) if is_mask else item.shape)
        axis += item.ndim if is_mask else 1
    left += shape[axis:]
    try:
        read = np.broadcast_shapes(*arrays)
    except ValueError as e:
        raise shapes_differ(rest, e) from None
    return (*left[:place], *read, *left[place:])


def check_index(part: Tensor, rest: tuple[Any, ...]) -> None:
    axis = 0
    for item in rest:
        if hasattr(item, "dtype"):
            _check_bounds(item, part._array.shape, axis, True)
        axis += item.ndim if hasattr(item, "dtype") and item.dtype.kind == "b" else 1
