"""DataLoader: batches of a data set, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import random
from ..creation import as_tensor, tensor
from ..functions import stack
from ..tensor import Tensor
from .dataset import TensorDataset

__all__ = ["BatchSampler", "DataLoader", "RandomSampler", "SequentialSampler", "default_collate", "fetch"]


def default_collate(batch: Sequence[Any]) -> Any:
    """Stacks samples: tensors, arrays and numbers into tensors; tuples, lists and mappings member by member."""
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(list(batch))
    if isinstance(first, (np.ndarray, np.generic)):
        return as_tensor(np.stack([np.asarray(b) for b in batch]))
    if isinstance(first, float):
        from ..dtypes import float64

        return tensor(list(batch), dtype=float64)
    if isinstance(first, (bool, int)):
        return tensor(list(batch))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return {k: default_collate([b[k] for b in batch]) for k in first}
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(column) for column in zip(*batch, strict=True)))
    if isinstance(first, (tuple, list)):
        if any(len(b) != len(first) for b in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        return [default_collate(column) for column in zip(*batch, strict=True)]
    raise TypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {type(first).__name__} "
        "(give a collate function of your own)"
    )


def takes_many(dataset: Any) -> bool:
    """Whether a data set may be indexed with many rows at once: tensors whose `__getitem__` nobody has replaced."""
    return isinstance(dataset, TensorDataset) and type(dataset).__getitem__ is TensorDataset.__getitem__


def fetch(dataset: Any, rows: Any, collate: Callable[[Sequence[Any]], Any] | None = None) -> Any:
    """The batch of `rows` (integers). A TensorDataset is indexed at once; any other sample by sample, then collated."""
    if collate is None and takes_many(dataset):
        return list(dataset[np.asarray(rows, np.int64)])
    return (collate or default_collate)([dataset[int(i)] for i in rows])


class SequentialSampler:
    """0 … n - 1 in order."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(SequentialSampler):
    """A new random order at every pass."""

    def __init__(self, data_source: Any, generator: random.Generator | None = None) -> None:
        super().__init__(data_source)
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        return iter((self.generator or random.current()).numpy.permutation(len(self.data_source)).tolist())


class BatchSampler:
    """Groups of `batch_size` indices of a sampler."""

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for i in self.sampler:
            batch.append(i)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


class DataLoader:
    """Batches of `dataset`, in its order or shuffled. Loading in other processes is not supported yet: num_workers must be 0."""

    def __init__(
        self, dataset: Any, batch_size: int = 1, shuffle: bool = False, sampler: Any = None, batch_sampler: Any = None, num_workers: int = 0,
        collate_fn: Callable[[Sequence[Any]], Any] | None = None, pin_memory: bool = False, drop_last: bool = False,
        generator: random.Generator | None = None,
    ) -> None:  # fmt: skip
        if num_workers:
            raise ValueError(
                f"DataLoader: num_workers must be 0 (samples are loaded in this process), got {num_workers}"
            )
        if batch_sampler is None and (
            isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size <= 0
        ):
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        self.dataset, self.batch_size, self.drop_last, self.collate_fn = (
            dataset,
            batch_size,
            drop_last,
            collate_fn,
        )
        order = (
            sampler
            if sampler is not None
            else RandomSampler(dataset, generator)
            if shuffle
            else SequentialSampler(dataset)
        )
        self.sampler = order
        self.batch_sampler = (
            batch_sampler if batch_sampler is not None else BatchSampler(order, batch_size, drop_last)
        )

    def __iter__(self) -> Iterator[Any]:
        return (fetch(self.dataset, rows, self.collate_fn) for rows in self.batch_sampler)

    def __len__(self) -> int:
        return len(self.batch_sampler)
