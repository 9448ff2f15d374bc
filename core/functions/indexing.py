"""Reading and writing parts of a tensor by index."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..backends import module_of
from ..dtypes import FLOATS
from ..in_place import in_place
from ..ops import indexing as _ix
from ..ops.registry import apply, as_tensor
from ..tensor import Tensor
from ..versions import note_change
from .arguments import beside, one_dim
from .arithmetic import where
from .catalogue import public
from .shape import clone, expand, reshape, squeeze

__all__ = ["gather", "index_select", "masked_fill"]
_builtin_any = builtins.any
_builtin_sum = builtins.sum


def _index_array(item: Any, input: Tensor) -> Any:
    """A tensor, array or list as a raw index on `input`'s device: int64, or bool for masks."""
    if not isinstance(item, Tensor):
        host = np.asarray(item)
        item = Tensor._wrap(host if host.size or host.dtype.kind == "b" else host.astype(np.int64))
    if item._array.dtype.name not in ("int64", "int32", "bool", "uint8"):
        raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
    if item.device.type == "cuda" and input.device.type == "cpu":
        raise RuntimeError(
            "indices should be either on cpu or on the same device as the indexed tensor (cpu)"
        )
    raw = item.detach().to(input.device)._array
    return raw.astype(bool) if raw.dtype == np.uint8 else raw


def _raw_index(index: Any, input: Tensor) -> tuple[Any, ...]:
    """The items of an index as NumPy and CuPy take them, checked as PyTorch checks them."""
    items = list(index) if isinstance(index, tuple) else [index]
    axis = 0
    after = _builtin_sum(_axes(i) for i in items)
    for at, item in enumerate(items):
        after -= _axes(item)
        if isinstance(item, Tensor) and not item.ndim and item._array.dtype.kind in "iu":
            item = items[at] = int(item.item())
        if isinstance(item, slice):
            bounds = (item.start, item.stop, item.step)
            item = slice(*(x.__index__() if isinstance(x, Tensor) else x for x in bounds))
            if item.step is not None and item.step <= 0:
                raise ValueError("step must be greater than zero")
            items[at] = item
        elif isinstance(item, (Tensor, np.ndarray, list, range)):
            items[at] = raw = _index_array(item, input)
            if raw.dtype.kind != "b" and raw.size and axis < input.ndim:
                n = input._array.shape[axis]
                low, high = int(raw.min()), int(raw.max())
                if low < -n or high >= n:  # CuPy would wrap around
                    wrong = low if low < -n else high
                    raise IndexError(f"index {wrong} is out of bounds for dimension {axis} with size {n}")
        elif isinstance(item, (float, np.floating, str)):
            raise IndexError(
                "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
                f"(got {type(item).__name__})"
            )
        axis = input.ndim - after if item is Ellipsis else axis + _axes(item)
    return tuple(items)


def _axes(item: Any) -> int:
    """How many dimensions an item of an index takes."""
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    if isinstance(item, Tensor):
        return item.ndim if item._array.dtype.name in ("bool", "uint8") else 1
    return item.ndim if isinstance(item, np.ndarray) and item.dtype.kind == "b" else 1


def _selected_first(items: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]] | None:
    """An index with integers beside arrays as two, the basic part and the arrays, or None where one will do.

    PyTorch takes integers out first; NumPy makes arrays of them, which puts the result's dimensions elsewhere.
    """
    arrays = [hasattr(i, "dtype") for i in items]
    if not _builtin_any(arrays) or not _builtin_any(
        isinstance(i, int) and not isinstance(i, bool) for i in items
    ):
        return None
    basic: list[Any] = []
    rest: list[Any] = []
    for item, is_array in zip(items, arrays, strict=True):
        if is_array:
            basic += [slice(None)] * (item.ndim if item.dtype.kind == "b" else 1)
            rest.append(item)
        else:
            basic.append(item)
            if not isinstance(item, int):
                rest.append(Ellipsis if item is Ellipsis else slice(None))
    return tuple(basic), tuple(rest)


def getitem(input: Tensor, index: Any) -> Tensor:
    raw = _raw_index(index, input)
    two = _selected_first(raw)
    try:
        if two is not None:
            return apply(_ix.Index, (apply(_ix.Getitem, (input,), (two[0],)),), (two[1],))
        return apply(_ix.Getitem if _ix.is_basic(raw) else _ix.Index, (input,), (raw,))
    except IndexError as e:
        raise IndexError(f"{e} (indexing a tensor of shape {list(input.shape)})") from None


def setitem(input: Tensor, index: Any, value: Any) -> None:
    raw = _raw_index(index, input)
    two = _selected_first(raw)
    xp = module_of(input._array)
    if two is not None:  # the positions that getitem would read, one array for each dimension
        numbers = xp.arange(input._array.size).reshape(input._array.shape)[two[0]][two[1]]
        coordinates = []
        for n in reversed(input._array.shape):
            coordinates.append(numbers % n)
            numbers = numbers // n
        raw = tuple(reversed(coordinates))
    if not isinstance(value, (Tensor, int, float, np.generic, np.ndarray)):
        raise TypeError(f"can't assign a {type(value).__name__} to a tensor of {input.dtype}")

    def write(old: Tensor) -> Tensor:
        mask = xp.zeros(old._array.shape, bool)
        mask[raw] = True
        new = beside(value, old, old.dtype).to(old.device)
        target = old._array[raw].shape
        while new.ndim > len(target) and new._array.shape[0] == 1:
            new = squeeze(new, 0)
        spread = apply(_ix.PutItems, (expand(new, target),), (raw, old._array.shape))
        return where(Tensor._wrap(mask), spread, old)

    if input.requires_grad or (isinstance(value, Tensor) and value.requires_grad):
        in_place(input, write, "__setitem__")
        return
    array = as_tensor(value).to(input.device)._array if isinstance(value, (Tensor, np.ndarray)) else value
    note_change(input._array)
    try:
        with np.errstate(all="ignore"):
            input._array[raw] = array
    except ValueError as e:
        raise RuntimeError(f"assigning to a tensor of shape {list(input.shape)}: {e}") from None


@public(out=True)
def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    d = one_dim(dim, input.ndim)
    if index._array.dtype != np.int64:
        raise RuntimeError(f"gather(): Expected dtype int64 for index, got {index.dtype}")
    if index.ndim != input.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    if not input.ndim:
        return clone(input)
    n = input._array.shape[d]
    for i, (own, limit) in enumerate(zip(index._array.shape, input._array.shape, strict=True)):
        if i != d and own > limit:
            raise RuntimeError(
                f"Size does not match at dimension {i} expected index {list(index.shape)} to be no larger than self "
                f"{list(input.shape)} apart from dimension {d}"
            )
    if index._array.size and (int(index._array.max()) >= n or int(index._array.min()) < 0):
        raise RuntimeError(f"gather: index is out of bounds for dimension {d} with size {n}")
    return apply(_ix.Gather, (input, index), (d,))


@public(out=True)
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    d = one_dim(dim, input.ndim)
    if index.ndim > 1 or index._array.dtype.name not in ("int64", "int32"):
        raise RuntimeError(
            f"index_select(): Expected a 1-D tensor of int64 or int32 as index, got {index.dtype} {list(index.shape)}"
        )
    if index._array.size and int(index._array.min()) < 0:
        raise IndexError(f"index_select: index out of range: indices must be in [0, {input._array.shape[d]})")
    return getitem(input, (slice(None),) * d + (reshape(index, -1),))


@public(in_place=True)
def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    fractional = value.is_floating_point() if isinstance(value, Tensor) else isinstance(value, float)
    if fractional and input._array.dtype not in FLOATS:
        raise RuntimeError(
            f"masked_fill: value {value} cannot be converted to type {input.dtype.name} without loss"
        )
    return where(mask, beside(value, input, input.dtype), input)
