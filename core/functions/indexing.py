"""Reading and writing parts of a tensor by index: `t[…]`, `t[…] = …`, index_put.

An index is read in two steps, as PyTorch does it: integers, slices, None and Ellipsis give a view, and index tensors and
masks then read that view (or write to it). NumPy, given all at once, puts the result's dimensions elsewhere.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import FULL
from ..dtypes import dtype as DType
from ..grad_mode import state as grad_state
from ..in_place import check_overlap, in_place
from ..ops import indexing as _ix
from ..ops import scattering as _sc
from ..ops.ordered import last_of_each, places_of
from ..ops.registry import apply
from ..tensor import Tensor
from ..versions import note_change
from .arguments import beside, tensor_of
from .catalogue import public
from .shape import expand, reshape

__all__ = ["index_put"]

_INDEX_KINDS = frozenset(("int64", "int32", "bool", "uint8"))
_NUMBERS = frozenset((int, float))
_ALL = slice(None)
_WHAT_MAY_BE = (
    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices"
)


def _index_tensor(item: Any) -> Tensor:
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


def _raw(item: Tensor, input: Tensor) -> Any:
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
        raw = _raw(index, input)
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
            alone = _index_tensor(item)
            item = bool(alone.item()) if alone.dtype.name == "uint8" else alone.item()
        if item is None:
            basic.append(None)
            rest.append(_ALL)
        elif item is Ellipsis:
            wide = (ndim - taken) if not ellipses else 0
            ellipses += 1
            basic += [_ALL] * wide
            rest += [_ALL] * wide
            axis += wide
        elif isinstance(item, (bool, np.bool_)):
            basic.append(None)
            rest.append(module_of(input._array).asarray(np.arange(int(item))))
            any_arrays = True
        elif isinstance(item, slice):
            basic.append(_checked_slice(item))
            rest.append(_ALL)
            axis += 1
        elif isinstance(item, (Tensor, np.ndarray, list, tuple, range)):
            raw = _raw(_index_tensor(item), input)
            _check_bounds(raw, shape, axis)
            wide = raw.ndim if raw.dtype.kind == "b" else 1
            basic += [_ALL] * wide
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
    return tuple(basic), tuple(rest) if any_arrays else None


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


def _viewed(input: Tensor, basic: tuple[Any, ...]) -> Tensor:
    """What the first step reads; `input` itself where that is all of it."""
    for item in basic:
        if item != _ALL:
            return apply(_ix.Getitem, (input,), (basic,))
    return input


def getitem(input: Tensor, index: Any) -> Tensor:
    basic, rest = read_index(index, input)
    if rest is None:
        return apply(_ix.Getitem, (input,), (basic,))
    return _read(_viewed(input, basic), rest)


def _read(part: Tensor, rest: tuple[Any, ...]) -> Tensor:
    try:
        return apply(_ix.Index, (part,), (rest,))
    except IndexError as e:
        raise _shapes_differ(rest, e) from None


def _shapes_differ(rest: tuple[Any, ...], error: Exception) -> IndexError:
    if "out of bounds" in str(error):
        return IndexError(str(error).replace("axis", "dimension"))
    shapes = ", ".join(str(list(i.shape)) for i in rest if hasattr(i, "dtype"))
    return IndexError(
        f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes} ({error})"
    )


def setitem(input: Tensor, index: Any, value: Any) -> None:
    basic, rest = read_index(index, input)
    if not isinstance(value, Tensor):
        a = input._array
        if (
            rest is None
            and value.__class__ in _NUMBERS
            and a.dtype in FULL
            and -3e38 < value < 3e38  # type: ignore[operator]
            and (not grad_state.enabled or (not input._requires_grad and input._view is None))
        ):
            check_overlap(input, "__setitem__")
            note_change(a)
            a[basic] = value
            return
        if not isinstance(value, (int, float, np.generic)):
            raise TypeError(f"can't assign a {type(value).__name__} to a tensor of {input.dtype}")
        value = stored_number(value, input)
    if rest is None:
        part = apply(_ix.Getitem, (input,), (basic,))
        value = _without_leading_ones(value, part._array.shape)
        if _is_plain(part, value):
            _write(part, (), value)
        else:
            part.copy_(value)
        return
    part = _viewed(input, basic)
    if value.dtype is not part.dtype:
        if value.ndim or sum(hasattr(i, "dtype") for i in rest) != 1 or not _has_mask(rest):
            raise RuntimeError(
                f"Index put requires the source and destination dtypes match, got {part.dtype} for the destination and "
                f"{value.dtype} for the source."
            )
        value = value.to(part.dtype)
    if value.ndim:
        value = _without_leading_ones(value, _shape_read(part, rest))
    put_in_place(part, rest, value, False)


def _has_mask(rest: tuple[Any, ...]) -> bool:
    return any(hasattr(i, "dtype") and i.dtype.kind == "b" for i in rest)


def stored_number(value: Any, t: Tensor, name: str = "") -> Tensor:
    """A number as a 0-d tensor of `t`'s dtype and device: floats lose their fraction where integers are stored, negative
    numbers wrap around in unsigned ones; RuntimeError for what lies beyond the dtype."""
    to = t.dtype
    if not isinstance(value, (int, float, np.generic)):
        raise TypeError(f"{name}(): expected a number, got {type(value).__name__}")
    if isinstance(value, np.generic):
        value = value.item()
    if to.category == 1:
        limits = np.iinfo(to.numpy)
        wraps = limits.min == 0 and not isinstance(value, float)
        low = -int(limits.max) if wraps else int(limits.min)
        if not math.isfinite(value) or not low <= value <= limits.max:
            raise _overflow(value, to)
        whole = int(value)
        value = whole % (int(limits.max) + 1) if wraps else whole
    elif to.name == "bool":
        value = bool(value)
    elif abs(value := float(value)) > 3.4028235677973366e38 and math.isfinite(value) and to.name != "float64":
        raise _overflow(value, to)
    with np.errstate(all="ignore"):
        return Tensor._wrap(module_of(t._array).asarray(np.asarray(value).astype(to.numpy)))


def _overflow(value: Any, to: DType) -> RuntimeError:
    return RuntimeError(f"value cannot be converted to type {to.name} without overflow: {value}")


def _without_leading_ones(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    own = tuple(value._array.shape)
    start = 0
    while start < len(own) and own[start] == 1 and len(own) - start > len(shape):
        start += 1
    return reshape(value, own[start:]) if start else value


def _is_plain(part: Tensor, value: Tensor) -> bool:
    """Whether a write needs no place in a graph, and nobody asks for a check."""
    if not grad_state.enabled:
        return True
    view = part._view
    return not (part.requires_grad or value.requires_grad or (view is not None and view.base._requires_grad))


def _write(part: Tensor, index: tuple[Any, ...], value: Tensor) -> None:
    check_overlap(part, "__setitem__")
    array = part._array
    if value._array.__class__ is not array.__class__ and not value.ndim:
        value = value.to(part.device)
    elif value.device != part.device:
        if index:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, {part.device} and {value.device}!"
            )
        value = value.to(part.device)
    note_change(array)
    try:
        grad_state.quiet(array.__setitem__, index or ..., value._array)
    except (TypeError, ValueError):  # TypeError: of a mask
        if not index:
            expand(value, array.shape)  # which has the words for it
        _check_index(part, index)
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing result of shape "
            f"{list(_shape_read(part, index))}"
        ) from None


def _shape_read(part: Tensor, rest: tuple[Any, ...]) -> tuple[int, ...]:
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
        raise _shapes_differ(rest, e) from None
    return (*left[:place], *read, *left[place:])


def _check_index(part: Tensor, rest: tuple[Any, ...]) -> None:
    axis = 0
    for item in rest:
        if hasattr(item, "dtype"):
            _check_bounds(item, part._array.shape, axis, True)
        axis += item.ndim if hasattr(item, "dtype") and item.dtype.kind == "b" else 1


def put(part: Tensor, rest: tuple[Any, ...], values: Tensor, accumulate: bool) -> Tensor:
    """A copy of `part` with values at a raw index; of values for one place the last remains."""
    _check_index(part, rest)
    shape = _shape_read(part, rest)
    try:
        values = expand(values, shape) if values._array.shape != shape else values
    except RuntimeError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing result of shape "
            f"{list(shape)}"
        ) from None
    if not accumulate and not _has_mask(rest):
        rest, values = _last_ones(part, rest, values)
    return apply(_sc.IndexPut, (part, values), (rest, accumulate))


def _last_ones(part: Tensor, rest: tuple[Any, ...], values: Tensor) -> tuple[tuple[Any, ...], Tensor]:
    """The same without values that others overwrite: what is written doesn't depend on the device, nor the gradient."""
    shape = part._array.shape
    places, lead = places_of(shape, rest, module_of(part._array))
    places = places.reshape(-1)
    kept = last_of_each(places)
    if kept is None:
        return rest, values
    left, coordinates = places[kept], []
    for n in reversed(shape[:lead]):
        coordinates.append(left % n)
        left = left // n
    rows = reshape(values, (places.size, *shape[lead:]))
    return tuple(reversed(coordinates)), apply(_ix.Index, (rows,), ((kept,),))


def put_in_place(part: Tensor, rest: tuple[Any, ...], values: Tensor, accumulate: bool) -> None:
    """The same in place."""
    values = beside(values, part, part.dtype)
    on_host = part._array.__class__ is np.ndarray
    if on_host and not accumulate and _is_plain(part, values):
        _write(part, rest, values)  # of values for one place NumPy leaves the last
    else:
        in_place(part, lambda old: put(old, rest, values, accumulate), "index_put_")


@public(in_place=True)
def index_put(input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with `values` at the places that a tuple of index tensors or masks leads to, or added to what is there."""
    tensor_of(values, "index_put", "values")
    if not isinstance(indices, (tuple, list)):
        raise TypeError(
            f"index_put(): argument 'indices' (position 1) must be tuple of Tensors, not {type(indices).__name__}"
        )
    for i, item in enumerate(indices):
        if not isinstance(item, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(item).__name__}")
    if not indices:
        raise RuntimeError("index_put: at least one index tensor is needed")
    if values.dtype is not input.dtype:
        raise RuntimeError(
            f"Index put requires the source and destination dtypes match, got {input.dtype} for the destination and "
            f"{values.dtype} for the source."
        )
    rest, axis, shape = [], 0, input._array.shape
    for item in indices:
        raw = _raw(_index_tensor(item), input)
        wide = raw.ndim if raw.dtype.kind == "b" else 1
        if axis + wide > len(shape):
            raise IndexError(f"too many indices for tensor of dimension {len(shape)} (got {axis + wide})")
        rest.append(raw)
        axis += wide
    return put(input, tuple(rest), beside(values, input, input.dtype), bool(accumulate))
