"""Reading and writing parts of a tensor by index: `t[…]`, `t[…] = …`, index_put."""

from __future__ import annotations

import math
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
from .arguments import beside, spelled, tensor_of
from .catalogue import public
from .index_expressions import (
    ALL,
    check_index,
    has_mask,
    index_tensor,
    raw_index,
    read_index,
    shape_read,
    shapes_differ,
    shortened,
)
from .shape import expand, reshape

__all__ = ["index_put"]

_NUMBERS = frozenset((int, float))


def _viewed(input: Tensor, basic: tuple[Any, ...]) -> Tensor:
    """What the first step reads; `input` itself where that is all of it."""
    for item in basic:
        if item != ALL:
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
        raise shapes_differ(rest, e) from None


def setitem(input: Tensor, index: Any, value: Any) -> None:
    basic, rest = read_index(index, input)
    if not isinstance(value, Tensor):
        if _is_written_at_once(input, basic, rest, value):
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
        if value.ndim or sum(hasattr(i, "dtype") for i in rest) != 1 or not has_mask(rest):
            raise RuntimeError(
                f"Index put requires the source and destination dtypes match, got {spelled(part.dtype)} for the destination and "
                f"{spelled(value.dtype)} for the source."
            )
        value = value.to(part.dtype)
    if value.ndim:
        value = _without_leading_ones(value, shape_read(part, rest))
    put_in_place(part, rest, value, False)


def _is_written_at_once(input: Tensor, basic: Any, rest: Any, value: Any) -> bool:
    """The ordinary case of a number put into an array of floats on the CPU that is in no graph."""
    a = input._array
    if (
        a.__class__ is not np.ndarray
        or value.__class__ not in _NUMBERS
        or a.dtype not in FULL
        or not -3e38 < value < 3e38  # type: ignore[operator]
        or (grad_state.enabled and (input._requires_grad or input._view is not None))
    ):
        return False
    check_overlap(input, "__setitem__")
    note_change(a)
    if rest is None:
        a[basic] = value
        return True
    try:
        (a[basic] if basic else a)[rest] = value
    except IndexError as e:
        raise shapes_differ(rest, e) from None
    return True


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
        check_index(part, index)
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to indexing result of shape "
            f"{list(shape_read(part, index))}"
        ) from None


def put(part: Tensor, rest: tuple[Any, ...], values: Tensor, accumulate: bool) -> Tensor:
    """A copy of `part` with values at a raw index; of values for one place the last remains."""
    check_index(part, rest)
    shape = shape_read(part, rest)
    try:
        values = expand(values, shape) if values._array.shape != shape else values
    except RuntimeError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing result of shape "
            f"{list(shape)}"
        ) from None
    if not accumulate and not has_mask(rest):
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
            f"Index put requires the source and destination dtypes match, got {spelled(input.dtype)} for the destination and "
            f"{spelled(values.dtype)} for the source."
        )
    rest, axis, shape = [], 0, input._array.shape
    for item in indices:
        raw = raw_index(index_tensor(item), input)
        wide = raw.ndim if raw.dtype.kind == "b" else 1
        if axis + wide > len(shape):
            raise IndexError(f"too many indices for tensor of dimension {len(shape)} (got {axis + wide})")
        rest.append(raw)
        axis += wide
    return put(input, shortened(rest, input), beside(values, input, input.dtype), bool(accumulate))
