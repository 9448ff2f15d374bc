"""Batches made of samples."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from ..creation import as_tensor, tensor
from ..dtypes import float64
from ..functions import stack
from ..tensor import Tensor
from .dataset import Batched, TensorDataset

__all__ = ["default_collate", "default_convert", "fetch", "takes_many"]


def default_collate(batch: Sequence[Any]) -> Any:
    """Stacks samples: tensors, arrays and numbers into tensors; tuples, lists and mappings member by member."""
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch))
    if isinstance(first, (np.ndarray, np.generic)) and not isinstance(first, (str, bytes)):
        if first.dtype.kind in "SUO":
            raise TypeError(_unknown(first.dtype))
        return as_tensor(np.stack([np.asarray(b) for b in batch]))
    if isinstance(first, float):
        return tensor(list(batch), dtype=float64)
    if isinstance(first, (bool, int)):
        return tensor(list(batch))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _like(first, {k: default_collate([b[k] for b in batch]) for k in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(column) for column in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        if any(len(b) != len(first) for b in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return columns if isinstance(first, tuple) else _like(first, columns)
    raise TypeError(_unknown(type(first)))


def _unknown(kind: Any) -> str:
    return (
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {kind} "
        "(give a collate_fn of your own)"
    )


def _like(first: Any, values: Any) -> Any:
    """`values` in a container of the type of `first`, or as they are where it can't be made."""
    if type(first) in (dict, list):
        return values
    try:
        if isinstance(first, (MutableMapping, MutableSequence)):
            same = copy.copy(first)
            for k, v in values.items() if isinstance(values, dict) else enumerate(values):
                same[k] = v
            return same
        return type(first)(values)
    except TypeError:
        return values


def default_convert(data: Any) -> Any:
    """Arrays and NumPy's scalars as tensors, within tuples, lists and mappings too; all else as it is."""
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)) and not isinstance(data, (str, bytes)):
        return data if data.dtype.kind in "SUO" else as_tensor(data)
    if isinstance(data, Mapping):
        return _like(data, {k: default_convert(v) for k, v in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(v) for v in data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        values = [default_convert(v) for v in data]
        return values if isinstance(data, tuple) else _like(data, values)
    return data


def takes_many(dataset: Any) -> bool:
    """Whether a data set makes a batch of many rows at once, by a `__getitem__` that nobody has replaced."""
    for kind in type(dataset).__mro__:
        if kind is TensorDataset or Batched in kind.__bases__:
            return True
        if "__getitem__" in vars(kind) or "__getitems__" in vars(kind):
            return False
    return False


def _many(dataset: Any) -> Callable[[list[int]], Any] | None:
    """`__getitems__` of a data set, unless a subclass of the one that has it has replaced `__getitem__`."""
    for kind in type(dataset).__mro__:
        if "__getitems__" in vars(kind):
            break
        if "__getitem__" in vars(kind):
            return None
    return getattr(dataset, "__getitems__", None)


def fetch(dataset: Any, rows: Any, collate: Callable[[Sequence[Any]], Any] | None = None) -> Any:
    """The batch of `rows` (integers): made at once where the data set can, otherwise sample by sample, then collated."""
    if collate is None and takes_many(dataset):
        rows = np.asarray(rows, np.int64)
        return dataset.batch(rows) if isinstance(dataset, Batched) else list(dataset[rows])
    many = _many(dataset)
    samples = many(list(rows)) if many else [dataset[i] for i in rows]
    return (collate or default_collate)(samples)
