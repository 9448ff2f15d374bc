"""Parquet through pyarrow, an optional package: the row groups of the rows that are asked for, and of them the columns."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from .arrays import stream_of
from .files import File
from .naming import DataError
from .tables import Kind, Rows, Settings, checked_dtype

__all__ = ["ParquetTable"]

_TEXT_BYTES = 64
"""What a Python string takes beside its characters."""


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet

        return pyarrow
    except ImportError:
        pass
    raise DataError("to read Parquet takes the package pyarrow: pip install 'gradwire[data]'")


class ParquetTable:
    """The rows of one file. Row groups that were read are kept as the settings say."""

    def __init__(self, file: File, number: int, settings: Settings) -> None:
        self._arrow = _pyarrow()
        self._file, self._number, self._kept = file, number, settings.kept
        self._lock = threading.Lock()
        self._open: tuple[int, Any] | None = None
        try:
            opened = self._opened()
            schema, meta = opened.schema_arrow, opened.metadata
        except DataError:
            raise
        except Exception as error:  # pyarrow raises its own, OSError and ValueError
            problem = " ".join(str(error).split())
        else:
            sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
            self._ends = np.cumsum(sizes, dtype=np.int64)
            self.length = int(meta.num_rows)
            self._unusable: dict[str, str] = {}
            self.kinds = {field.name: self._kind(field.name, field.type) for field in schema}
            if len(self.kinds) != len(schema):
                raise DataError(f"{file.told}: two columns have the same name")
            return
        raise DataError(f"{file.told}: damaged, or no .parquet file: {problem}")

    def _opened(self) -> Any:
        if self._open is None or self._open[0] != os.getpid():
            reader = self._arrow.parquet.ParquetFile(
                stream_of(self._file), pre_buffer=False, page_checksum_verification=True
            )
            self._open = (os.getpid(), reader)
        return self._open[1]

    def _kind(self, name: str, kind: Any) -> Kind:
        """What a column holds; one that can't be used is refused when it is asked for."""
        types = self._arrow.types
        if types.is_dictionary(kind):
            kind = kind.value_type
        if any(
            test(kind)
            for test in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
        ):
            return Kind(None)
        shape: tuple[int, ...] = ()
        if isinstance(kind, self._arrow.FixedShapeTensorType) and kind.permutation is None:
            shape, kind = tuple(kind.shape), kind.value_type
        while types.is_fixed_size_list(kind):
            shape, kind = (*shape, kind.list_size), kind.value_type
        if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
            try:
                return Kind(checked_dtype(np.dtype(kind.to_pandas_dtype()), name), shape)
            except DataError as error:
                self._unusable[name] = str(error)
                return Kind(None)
        hint = "expected numbers, lists of fixed size, or text"
        if types.is_list(kind) or types.is_large_list(kind):
            hint = "its lists may differ in length; write it as a list of fixed size (pyarrow.list_(type, n))"
        self._unusable[name] = f"{name}: {kind}: {hint}"
        return Kind(None)

    def only(self, names: Sequence[str]) -> None:
        """Raises DataError for a column that can't be used."""
        for name in names:
            if name in self._unusable:
                raise DataError(
                    f"{self._file.told}: column {self._unusable[name]}, or name others: #columns=x,y"
                )

    def fetch(self, rows: Rows, names: Sequence[str]) -> None:
        """See tables.Table. A row group is fetched when its first row is taken: whether several are kept is not known here."""

    def take(self, rows: Rows, names: Sequence[str]) -> list[Any]:
        """See tables.Table."""
        groups = np.searchsorted(self._ends, rows, side="right")
        parts = {int(group): self._group(int(group), names) for group in np.unique(groups)}
        found: list[Any] = []
        for i, name in enumerate(names):
            kind = self.kinds[name]
            if kind.dtype is None:
                places = zip(groups.tolist(), rows.tolist(), strict=True)
                found.append([parts[group][i][row - self._begin(group)] for group, row in places])
                continue
            out = np.empty((len(rows), *kind.shape), kind.dtype)
            for group, values in parts.items():
                here = groups == group
                out[here] = values[i][rows[here] - self._begin(group)]
            found.append(out)
        return found

    def _begin(self, group: int) -> int:
        return int(self._ends[group - 1]) if group else 0

    def _group(self, group: int, names: Sequence[str]) -> list[Any]:
        """The columns of a row group."""
        found = {name: self._kept.get((self._number, group, name)) for name in names}
        missing = [name for name, values in found.items() if values is None]
        if missing:
            try:
                with self._lock:
                    # Threads of Arrow's own would not be there after a fork.
                    table = self._opened().read_row_group(group, columns=missing, use_threads=False)
                for name in missing:
                    found[name] = self._values(name, group, table.column(name).combine_chunks())
            except DataError:
                raise
            except Exception as error:
                problem = " ".join(str(error).split())
            else:
                return [found[name] for name in names]
            raise DataError(f"{self._file.told}: row group {group} is damaged: {problem}")
        return [found[name] for name in names]

    def _values(self, name: str, group: int, column: Any) -> Any:
        kind = self.kinds[name]
        if isinstance(column, self._arrow.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else self._arrow.array([], column.type)
        rows = len(column)
        values: Any
        if kind.dtype is None:
            if self._arrow.types.is_dictionary(column.type):
                column = column.dictionary_decode()
            empty = column.null_count
            values = column.to_pylist()
            size = int(column.nbytes) + _TEXT_BYTES * rows
        else:
            flat = column.storage if isinstance(column, self._arrow.ExtensionArray) else column
            empty = flat.null_count
            while not empty and self._arrow.types.is_fixed_size_list(flat.type):
                flat = flat.flatten()
                empty = flat.null_count
            if not empty:
                values = flat.to_numpy(zero_copy_only=False)
                if values.size != rows * math.prod(kind.shape):
                    raise DataError(f"{self._file.told}: column {name}: row group {group} is damaged")
                values = values.reshape(rows, *kind.shape).astype(kind.dtype, copy=False)
                size = int(values.nbytes)
        if empty:
            raise DataError(
                f"{self._file.told}: column {name}: {empty} empty values (null) in row group {group}"
            )
        self._kept.put((self._number, group, name), values, size)
        return values

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None, "_lock": None, "_arrow": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock(), _arrow=_pyarrow())
