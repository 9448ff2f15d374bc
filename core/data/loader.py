"""DataLoader: batches of a data set, made in this process or ahead of time by workers."""

from __future__ import annotations

import itertools
import multiprocessing
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from .. import random
from .collate import default_collate, default_convert, fetch
from .dataset import IterableDataset
from .samplers import BatchSampler, RandomSampler, SequentialSampler
from .workers import Epoch, Exhausted, ProcessPool, Task, ThreadPool, start_method

__all__ = ["DataLoader"]


def _of_rows(collate: Any, whole: bool, dataset: Any) -> Callable[[Any], Any]:
    """Loads samples by index: a batch, or (whole) a single one."""
    if whole:
        return lambda row: (collate or default_convert)(dataset[row])
    return lambda rows: fetch(dataset, rows, collate)


def _of_stream(collate: Any, batch_size: int | None, drop_last: bool, dataset: Any) -> Callable[[Any], Any]:
    """Loads the next samples of an iterable data set: a batch, or (batch_size None) a single one."""
    source = iter(dataset)

    def load(_: Any) -> Any:
        if batch_size is None:
            for sample in source:
                return (collate or default_convert)(sample)
            raise Exhausted
        samples = list(itertools.islice(source, batch_size))
        if not samples or (drop_last and len(samples) < batch_size):
            raise Exhausted
        return (collate or default_collate)(samples)

    return load


class DataLoader:
    """Batches of `dataset`, in its order, shuffled, or as samplers say.

    num_workers: how many workers load ahead, prefetch_factor (2) batches each; the batches and their order do not depend
    on their speed. multiprocessing_context: how they are started, "fork", "spawn", "forkserver" or "thread" (threads of
    this process, which share the data set); by default as multiprocessing does, but by "spawn" once Ray or gRPC is loaded.
    A worker seeds gradwire's, Python's and NumPy's generators from the loader's `generator`, its pass and its number
    (threads: gradwire's alone). An error in a worker is raised here, with the worker's traceback; Ctrl-C and the end of the
    loop end the workers, unless they are persistent_workers. pin_memory changes nothing: batches are made on the host.
    """

    def __init__(
        self, dataset: Any, batch_size: int | None = 1, shuffle: bool | None = None, sampler: Any = None, batch_sampler: Any = None,
        num_workers: int = 0, collate_fn: Callable[[Sequence[Any]], Any] | None = None, pin_memory: bool = False,
        drop_last: bool = False, timeout: float = 0, worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None, generator: random.Generator | None = None, *, prefetch_factor: int | None = None,
        persistent_workers: bool = False, pin_memory_device: str = "", in_order: bool = True,
    ) -> None:  # fmt: skip
        if num_workers < 0:
            raise ValueError(
                "num_workers option should be non-negative; use num_workers=0 to disable multiprocessing."
            )
        if timeout < 0:
            raise ValueError("timeout option should be non-negative")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "prefetch_factor option could only be specified in multiprocessing."
                "let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
            )
        if prefetch_factor is not None and prefetch_factor <= 0:
            raise ValueError("prefetch_factor option should be non-negative")
        if persistent_workers and num_workers == 0:
            raise ValueError("persistent_workers option needs num_workers > 0")
        self._is_iterable = isinstance(dataset, IterableDataset)
        if self._is_iterable:
            for name, value in (
                ("shuffle", shuffle or None),
                ("sampler", sampler),
                ("batch_sampler", batch_sampler),
            ):
                if value is not None:
                    raise ValueError(
                        f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}"
                    )
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
            )
        self.dataset, self.batch_size, self.drop_last, self.collate_fn = (
            dataset,
            batch_size,
            drop_last,
            collate_fn,
        )
        self.num_workers, self.pin_memory, self.timeout = num_workers, pin_memory, timeout
        self.worker_init_fn, self.generator = worker_init_fn, generator
        self.prefetch_factor = 2 if prefetch_factor is None and num_workers else prefetch_factor
        self.persistent_workers, self.in_order = persistent_workers, in_order
        self.multiprocessing_context = self._context(multiprocessing_context)
        self._pool: Any = None
        if self._is_iterable:
            if batch_size is not None:
                BatchSampler((), batch_size, drop_last)  # which says what is wrong with the two
            self.sampler: Any = None
            self.batch_sampler: Any = None
            return
        if sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_sampler is None and batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.sampler, self.batch_sampler = sampler, batch_sampler

    def _context(self, given: Any) -> Any:
        """What makes worker processes, or "thread"."""
        if given is None:
            return None
        if not self.num_workers:
            raise ValueError(
                "multiprocessing_context can only be used with multi-process loading (num_workers > 0), but got num_workers=0"
            )
        if given == "thread":
            return given
        if isinstance(given, str):
            methods = multiprocessing.get_all_start_methods()
            if given not in methods:
                raise ValueError(
                    f"multiprocessing_context option should specify a valid start method in {[*methods, 'thread']!r}, "
                    f"but got multiprocessing_context={given!r}"
                )
            return multiprocessing.get_context(given)
        if not hasattr(given, "Process"):
            raise TypeError(
                "multiprocessing_context option should be a valid context object or a string specifying the start method, but "
                f"got multiprocessing_context={given}"
            )
        return given

    @property
    def _plan(self) -> Callable[[Any], Callable[[Any], Any]]:
        """What gives, for a data set, the function that loads one batch."""
        if self._is_iterable:
            return partial(_of_stream, self.collate_fn, self.batch_size, self.drop_last)
        return partial(_of_rows, self.collate_fn, self.batch_sampler is None)

    def _order(self) -> Any:
        if self._is_iterable:
            return itertools.repeat(None)
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __iter__(self) -> Iterator[Any]:
        seed = int((self.generator or random.current()).numpy.integers(0, 2**62))
        return _Batches(self, self._parallel(seed) if self.num_workers else self._here())

    def _here(self) -> Iterator[Any]:
        load = self._plan(self.dataset)
        for what in self._order():
            try:
                batch = load(what)
            except Exhausted:
                return
            yield batch

    def _parallel(self, seed: int) -> Iterator[Any]:
        pool, self._pool = self._pool, None
        try:
            if pool is None:
                pool = self._started()
            epoch = Epoch(pool, self.num_workers, self.prefetch_factor or 2, seed)
            yield from epoch.batches(self._order(), self.timeout or None)
        except BaseException as e:
            if pool is not None and not (self.persistent_workers and isinstance(e, GeneratorExit)):
                pool.close()
                pool = None
            raise
        finally:
            if pool is not None and self.persistent_workers and self._pool is None:
                self._pool = pool
            elif pool is not None:
                pool.close()

    def _started(self) -> Any:
        task = Task(self.dataset, self._plan, self.worker_init_fn, self.num_workers)
        if self.multiprocessing_context == "thread":
            return ThreadPool(task)
        return ProcessPool(task, self.multiprocessing_context or multiprocessing.get_context(start_method()))

    def __len__(self) -> int:
        if self._is_iterable:
            n = len(self.dataset)
            if self.batch_size is None:
                return n
            return n // self.batch_size if self.drop_last else -(-n // self.batch_size)
        return len(self._order())

    def __del__(self) -> None:
        pool = self.__dict__.get("_pool")
        if pool is not None:
            self._pool = None
            pool.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}


class _Batches:
    """One pass over a loader."""

    def __init__(self, loader: DataLoader, batches: Iterator[Any]) -> None:
        self._loader, self._source, self._given = loader, batches, 0
        self._expected = len(loader) if loader._is_iterable and hasattr(loader.dataset, "__len__") else None

    def __iter__(self) -> _Batches:
        return self

    def __next__(self) -> Any:
        batch = next(self._source)
        self._given += 1
        if self._expected is not None and self._given == self._expected + 1:
            warnings.warn(
                f"Length of IterableDataset {self._loader.dataset} was reported to be {self._expected} batches, but there are "
                "more. With several workers, let each one of them give its own part (see get_worker_info).",
                stacklevel=2,
            )
        return batch

    def __len__(self) -> int:
        return len(self._loader)
