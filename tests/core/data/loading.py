"""Data sets, collate and init functions that loaders' worker processes import."""

from __future__ import annotations

import os
import random
import time

import numpy as np

import gradwire as torch
from gradwire.utils.data import Dataset, IterableDataset, get_worker_info


class Squares(Dataset):
    """i -> (i, i * i); slow at some, so that workers finish out of order."""

    def __init__(self, n=20, slow=()):
        self.n, self.slow = n, slow

    def __getitem__(self, i):
        if i in self.slow:
            time.sleep(0.05)
        return i, torch.tensor([float(i * i)])

    def __len__(self):
        return self.n


class Failing(Squares):
    def __getitem__(self, i):
        if i == 7:
            raise KeyError("sample 7 is broken")
        return i


class Strange(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


class StrangelyFailing(Squares):
    def __getitem__(self, i):
        raise Strange(1, 2)


class EndsEarly(Squares):
    """A bug in a data set that must not look like the end of it."""

    def __getitem__(self, i):
        return next(iter(()))


class Dying(Squares):
    def __getitem__(self, i):
        if i == 5:
            os._exit(3)
        return i


class Hanging(Squares):
    def __getitem__(self, i):
        if i == 5:
            time.sleep(60)
        return i


class Unsendable(Squares):
    def __getitem__(self, i):
        return lambda: i


class Draws(Dataset):
    """What each generator draws, and who draws."""

    def __getitem__(self, i):
        info = get_worker_info()
        return info.id, torch.rand(()).item(), random.random(), float(np.random.rand())

    def __len__(self):
        return 8


class Pids(Squares):
    def __getitem__(self, i):
        return os.getpid()


class Stream(IterableDataset):
    """0 … n - 1, a part of it by each worker."""

    def __init__(self, n=11):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        first, by = (info.id, info.num_workers) if info else (0, 1)
        return iter(range(first, self.n, by))


class Everything(IterableDataset):
    """All of it by each worker: a mistake that a loader warns of."""

    def __iter__(self):
        return iter(range(4))

    def __len__(self):
        return 4


def plain(samples):
    return list(samples)


class Marks:
    """A worker_init_fn that says which worker it ran in."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, number):
        (self.folder / f"{number}-{os.getpid()}").touch()


def broken_init(number):
    raise OSError("no such disk")
