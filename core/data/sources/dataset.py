"""Data that is named by URL, as a data set: the rows of one file or of several, one after the other."""

from __future__ import annotations

import io
import operator
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ...tensor import Tensor
from ..collate import default_collate
from ..dataset import Batched
from .arrays import open_npy, open_npz, open_safetensors
from .blobs import blob_path
from .blocks import Kept
from .files import LOAD_LIMIT, File, HeldFile, LocalFile, RemoteFile, content_of, open_files, undisturbed
from .folder import in_folder
from .jsonl import JsonLines
from .naming import DataError, format_of, masked, named
from .parquet import ParquetTable
from .tables import Kind, Rows, Settings, Table

__all__ = ["UrlDataset", "from_url"]

BLOCK_BYTES = 4096
"""A request for fewer bytes takes as long."""
CACHE_BYTES = 256 << 20
OPENERS = 8
"""Remote files that are looked at side by side."""


class UrlDataset(Batched):
    """What from_url gives. url: where the data is, without secrets; columns: the names of what a sample holds."""

    def __init__(
        self,
        url: str | os.PathLike[str] | Sequence[str],
        format: str | None = None,
        columns: Sequence[str] | None = None,
        *,
        block_bytes: int = BLOCK_BYTES,
        cache_bytes: int = CACHE_BYTES,
        cache_folder: str | os.PathLike[str] | None = None,
        storage_options: Mapping[str, Any] | None = None,
        blobs: str | os.PathLike[str] | None = None,
    ) -> None:
        if block_bytes < 1 or cache_bytes < 0:
            raise ValueError(
                f"from_url: expected block_bytes of at least 1 and cache_bytes of at least 0, got {block_bytes} and {cache_bytes}"
            )
        urls = [os.fspath(url)] if isinstance(url, (str, os.PathLike)) else [os.fspath(each) for each in url]
        if not urls:
            raise DataError("expected at least one URL, got none")
        self.url = ", ".join(masked(each) for each in urls)
        self._settings = Settings(block_bytes, Kept(cache_bytes))
        self._files: list[File] = []
        self._tables: list[Any] = []
        for each in urls:
            self._open(each, format, columns, dict(storage_options or {}), cache_folder, blobs)
        self._choose(self._names_asked)
        self._ends = np.cumsum([table.length for table in self._tables], dtype=np.int64)

    _names_asked: tuple[str, ...] | None = None

    def _open(
        self,
        url: str,
        format: str | None,
        columns: Sequence[str] | None,
        options: Mapping[str, Any],
        folder: Any,
        blobs: Any,
    ) -> None:
        parts = named(url)
        kind = _one(format, parts.format, "formats", url)
        asked = _one(None if columns is None else tuple(columns), parts.columns, "columns", url)
        if self._files and asked != self._names_asked:
            raise DataError(f"{masked(url)}: names other columns than the URL before")
        self._names_asked = asked
        location = parts.location
        if location.startswith("blob:"):
            found: list[File] = [LocalFile(blob_path(blobs, location), location)]
        else:
            found = open_files(location, options)
        if folder is not None:
            found = [in_folder(Path(folder), file) for file in found]
        first = len(self._files)
        self._files += found

        def opened(number: int) -> Table:
            return _opened(self._files[number], number, kind, self._settings)

        numbers = range(first, len(self._files))
        if len(numbers) > 1 and any(isinstance(file, RemoteFile) for file in found):
            with undisturbed(), ThreadPoolExecutor(OPENERS) as pool:
                self._tables += pool.map(opened, numbers)
        else:
            self._tables += map(opened, numbers)

    def _choose(self, asked: Sequence[str] | None) -> None:
        """Sets which columns samples have, and checks that all files have them alike."""
        first = self._tables[0].kinds
        self._tuples = asked is not None
        self.columns = tuple(first if asked is None else asked)
        for file, table in zip(self._files, self._tables, strict=True):
            if asked is None and table.kinds.keys() != first.keys():
                raise DataError(f"{file.told}: has other columns than {self._files[0].told}")
            missing = [name for name in self.columns if name not in table.kinds]
            if missing:
                there = ", ".join(name or "one without a name" for name in table.kinds)
                raise DataError(f"{file.told}: there is no {missing[0]!r} in it; there is {there}")
            if hasattr(table, "only"):
                table.only(self.columns)
        self.kinds: dict[str, Kind] = {name: first[name] for name in self.columns}
        for name in self.columns:
            kinds = [table.kinds[name] for table in self._tables]
            ragged = any(kind.ragged for kind in kinds) or len({kind.shape for kind in kinds}) > 1
            for file, kind in zip(self._files, kinds, strict=True):
                same = kind.dtype == kinds[0].dtype and (kind.shape == kinds[0].shape or self._may_be_ragged)
                if not same:
                    what = f"{name}: " if name else ""
                    raise DataError(f"{file.told}: {what}{kind}, and {kinds[0]} in {self._files[0].told}")
            if ragged:
                self.kinds[name] = Kind(kinds[0].dtype, (), ragged=True)

    @property
    def _may_be_ragged(self) -> bool:
        return all(isinstance(table, JsonLines) for table in self._tables)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: Any) -> Any:
        """A sample, or the batch of many (a list, an array or a slice)."""
        if isinstance(index, (slice, list, np.ndarray)) or (isinstance(index, Tensor) and index.ndim):
            chosen = index.tolist() if isinstance(index, Tensor) else index
            batch = self.batch(np.arange(len(self))[chosen])
            return tuple(batch) if self._tuples else batch
        at = operator.index(index)
        if not -len(self) <= at < len(self):
            raise IndexError(f"index {at} is out of range for {len(self)} samples of {self.url}")
        return self._samples([at % len(self)])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[Any]:
        """Samples by their indices, fetched together."""
        return self._samples(rows)

    def _samples(self, rows: Sequence[int]) -> list[Any]:
        columns = self._take(rows)
        samples = zip(*columns, strict=True)
        if self._tuples:
            return [tuple(map(_value, each)) for each in samples]
        if self.columns == ("",):
            return [_value(each) for (each,) in samples]
        return [dict(zip(self.columns, map(_value, each), strict=True)) for each in samples]

    def batch(self, rows: Any) -> Any:
        """What default_collate makes of the samples at `rows`, without making them one by one."""
        if any(kind.ragged for kind in self.kinds.values()) or not len(rows):
            return default_collate(self._samples(rows))
        text = tuple if self._tuples else list
        values = [
            Tensor._wrap(each) if isinstance(each, np.ndarray) else text(each) for each in self._take(rows)
        ]
        if self._tuples:
            return values
        return values[0] if self.columns == ("",) else dict(zip(self.columns, values, strict=True))

    def fetch(self, rows: Any) -> None:
        """Fetches rows that will be asked for soon with one round of requests, as far as memory is given for them."""
        wanted = self._checked(rows)
        of = np.searchsorted(self._ends, wanted, side="right")
        for number in np.unique(of).tolist():
            begin = int(self._ends[number - 1]) if number else 0
            self._tables[number].fetch(wanted[of == number] - begin, self.columns)

    def _checked(self, rows: Any) -> Rows:
        wanted: Rows = np.asarray(rows, np.int64)
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(
                f"expected rows of 0 to {len(self) - 1} of {self.url}, got {wanted.min()} to {wanted.max()}"
            )
        return wanted

    def _take(self, rows: Any) -> list[Any]:
        """The columns at `rows`, in their order."""
        wanted = self._checked(rows)
        if len(self._tables) == 1:
            return self._tables[0].take(wanted, self.columns)
        of = np.searchsorted(self._ends, wanted, side="right")
        found: list[Any] = [
            [None] * len(wanted)
            if kind.dtype is None or kind.ragged
            else np.empty((len(wanted), *kind.shape), kind.dtype)
            for kind in self.kinds.values()
        ]
        for number in np.unique(of).tolist():
            here = np.flatnonzero(of == number)
            begin = int(self._ends[number - 1]) if number else 0
            for whole, part in zip(
                found, self._tables[number].take(wanted[here] - begin, self.columns), strict=True
            ):
                if isinstance(whole, np.ndarray):
                    whole[here] = part
                else:
                    for place, value in zip(here.tolist(), part, strict=True):
                        whole[place] = value
        return found

    @property
    def fetched(self) -> int:
        """Bytes that this process has read from storage; of files of this machine, those that were not mapped."""
        return sum(file.fetched for file in self._files)

    def told(self) -> dict[str, Any]:
        """What a receipt tells: URL, and sha256 of the files, or (of more than 1 GiB, 128 MiB over a network) what storage tells."""
        return {"url": self.url, "files": len(self._files), **content_of(self._files)}

    def __repr__(self) -> str:
        return f"UrlDataset({self.url!r}, {len(self)} samples)"


def from_url(
    url: str | os.PathLike[str] | Sequence[str],
    format: str | None = None,
    columns: Sequence[str] | None = None,
    *,
    block_bytes: int = BLOCK_BYTES,
    cache_bytes: int = CACHE_BYTES,
    cache_folder: str | os.PathLike[str] | None = None,
    storage_options: Mapping[str, Any] | None = None,
    blobs: str | os.PathLike[str] | None = None,
) -> UrlDataset:
    """The data at a URL of fsspec or a path, as a data set of which only samples that are asked for are read.

    url: one, several, or a pattern (`train-*.parquet`: files in the order of their names). format: npy, npz, safetensors,
    parquet or jsonl, otherwise by the file's suffix. A sample is a tensor (.npy), or a dict of tensors and strings by name; with
    `columns` a tuple of these, in this order. Both may stand in the URL: `data.bin#npz&columns=x,y`. block_bytes: the least
    that is asked of a server at once; cache_bytes: what is kept in memory; cache_folder: keeps whole files of other machines;
    storage_options: fsspec's; blobs: the folder that `blob:SHA256` lies in. No result depends on these. Raises DataError.
    """
    return UrlDataset(
        url, format, columns, block_bytes=block_bytes, cache_bytes=cache_bytes, cache_folder=cache_folder,
        storage_options=storage_options, blobs=blobs,
    )  # fmt: skip


def _value(value: Any) -> Any:
    """A row of an array as a tensor of its own memory; text as it is."""
    return Tensor._wrap(np.array(value)) if isinstance(value, (np.ndarray, np.generic)) else value


def _one(argument: Any, fragment: Any, what: str, url: str) -> Any:
    if argument and fragment and argument != fragment:
        raise DataError(f"{masked(url)}: two {what} are named, {argument} and {fragment}")
    return argument or fragment or None


def _opened(file: File, number: int, kind: str | None, settings: Settings) -> Table:
    """The rows of a file, by its format."""
    by_name, compression = format_of(file.told)
    format = kind or by_name
    if compression:
        file = _unpacked(file, compression)
    opener: Any = {
        "npy": open_npy, "npz": open_npz, "safetensors": open_safetensors, "parquet": ParquetTable, "jsonl": JsonLines,
    }.get(format)  # fmt: skip
    if opener is None:
        known = ".npy, .npz, .safetensors, .parquet and .jsonl are"
        said = f"format {kind!r}" if kind else "no suffix of a format"
        raise DataError(
            f"{file.told}: {said} is known; {known}. Name it: format='npz', or #npz at the URL's end"
        )
    table: Table = opener(file, number, settings)
    return table


def _unpacked(file: File, compression: str) -> HeldFile:
    """A compressed file, unpacked into memory: there is no reading it by ranges."""
    from fsspec.compression import compr

    if compression not in compr:
        raise DataError(
            f"{file.told}: to unpack {compression} takes a package that fsspec looks for (zstandard)"
        )
    packed = io.BytesIO(file.whole("it is compressed"))
    try:
        with compr[compression](packed, mode="rb") as stream:
            data: bytes = stream.read(LOAD_LIMIT + 1)
    except Exception as error:  # each of these libraries has its own
        problem = f"damaged: {' '.join(str(error).split())}"
    else:
        if len(data) <= LOAD_LIMIT:
            return HeldFile(file, data)
        problem = f"it unpacks to more than the {LOAD_LIMIT} bytes that are held in memory"
    raise DataError(f"{file.told}: {problem}")
