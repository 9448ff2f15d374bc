"""Data sets and loaders; `gradwire.utils.data` is this module under PyTorch's name."""

from .dataset import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from .loader import BatchSampler, DataLoader, RandomSampler, SequentialSampler, default_collate, fetch

__all__ = [
    "BatchSampler", "ConcatDataset", "DataLoader", "Dataset", "RandomSampler", "SequentialSampler", "Subset", "TensorDataset",
    "default_collate", "fetch", "random_split",
]  # fmt: skip
