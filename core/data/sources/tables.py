"""What every format offers: a number of rows, named columns, and the values of some rows. Implemented beside this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...dtypes import from_numpy_dtype
from .blocks import Kept
from .naming import DataError

__all__ = ["Kind", "Settings", "Table", "checked_dtype", "same_lengths"]

Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Kind:
    """What a column holds: arrays of `shape` and a dtype of NumPy's, or (dtype None) values that stay Python's, like str.

    ragged: the arrays of its rows differ in shape.
    """

    dtype: np.dtype[Any] | None
    shape: tuple[int, ...] = ()
    ragged: bool = False

    def __str__(self) -> str:
        if self.dtype is None:
            return "text"
        return f"{self.dtype} of {'different shapes' if self.ragged else f'shape {self.shape}'}"


@dataclass(frozen=True)
class Settings:
    """How files are read. block_bytes: the least that is asked for at once; kept: pieces in memory, of all files together."""

    block_bytes: int
    kept: Kept


class Table(Protocol):
    """The rows of one file."""

    length: int
    kinds: Mapping[str, Kind]
    """Columns by name, in their order. One that has no name is named ""."""

    def fetch(self, rows: Rows, names: Sequence[str]) -> None:
        """Asks storage at once for what `take` will want of these rows, piece by piece; it may do nothing."""
        ...

    def take(self, rows: Rows, names: Sequence[str]) -> list[Any]:
        """For each name, the column's values at `rows` (int64, within the table): an array of their own, or a list."""
        ...


def checked_dtype(dtype: np.dtype[Any], where: str) -> np.dtype[Any]:
    """The dtype in this machine's byte order. Raises DataError for one that tensors don't carry."""
    if dtype.hasobject:
        raise DataError(
            f"{where}: holds Python objects, which are kept as a pickle that could run code: save arrays of numbers"
        )
    native = dtype.newbyteorder("=")
    try:
        from_numpy_dtype(native)
    except TypeError as error:
        problem = str(error)
    else:
        return native
    raise DataError(f"{where}: {problem}")


def same_lengths(lengths: Mapping[str, int], where: str) -> int:
    """The one length of all columns. Raises DataError."""
    if not lengths:
        raise DataError(f"{where}: there is nothing in it")
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise DataError(
            f"{where}: expected one first size of all, got {told}; name those to read: #columns=x,y"
        )
    return next(iter(lengths.values()))
