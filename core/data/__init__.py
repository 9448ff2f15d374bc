"""Data sets and loaders; `gradwire.utils.data` is this module under PyTorch's name."""

from .collate import default_collate, default_convert, fetch
from .dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from .loader import DataLoader
from .samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .sources import DataError, UrlDataset, from_url
from .workers import get_worker_info

__all__ = [
    "BatchSampler", "ChainDataset", "ConcatDataset", "DataError", "DataLoader", "Dataset", "IterableDataset", "RandomSampler", "Sampler",
    "SequentialSampler", "StackDataset", "Subset", "SubsetRandomSampler", "TensorDataset", "UrlDataset",
    "WeightedRandomSampler",
    "default_collate", "default_convert", "fetch", "from_url", "get_worker_info", "random_split",
]  # fmt: skip
