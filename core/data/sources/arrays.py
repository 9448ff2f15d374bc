"""Arrays in files: .npy, .npz and .safetensors. Only rows that are asked for are read, wherever the layout lets them be."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ...safetensors import Header
from .blocks import Blocks
from .files import LOAD_LIMIT, File, LocalFile, Range
from .naming import DataError
from .tables import Kind, Rows, Settings, checked_dtype, same_lengths

__all__ = ["ArrayTable", "open_npy", "open_npz", "open_safetensors"]

Array = np.ndarray[Any, Any]
_FIRST_LOOK = 4096
"""Bytes that are read for a header; few are longer."""
MAPPED_FILES = 256
"""Files of this machine that are mapped; of more, which would take a descriptor each, ranges are read."""
_LONGEST_NPY_HEADER = 1 << 16


class RowArray(Protocol):
    """Rows of one array. stored: the dtype in the file."""

    stored: np.dtype[Any]
    shape: tuple[int, ...]

    def take(self, rows: Rows) -> Array:
        """The rows, a copy, as they are stored."""
        ...


class Held:
    """An array in memory."""

    def __init__(self, array: Array) -> None:
        self._array, self.stored, self.shape = array, array.dtype, array.shape

    def take(self, rows: Rows) -> Array:
        return self._array[rows]


class Mapped:
    """An array in a file of this machine, mapped into memory: the system's own cache keeps what is used."""

    def __init__(
        self, file: LocalFile, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool
    ) -> None:
        self._file, self._offset, self.stored, self.shape = file, offset, dtype, shape
        self._fortran = fortran
        self._map: Array | None = None

    def take(self, rows: Rows) -> Array:
        self._file.check()
        if self._map is None:
            if not math.prod(self.shape):
                self._map = np.empty(self.shape, self.stored)  # nothing can't be mapped
            else:
                order: Any = "F" if self._fortran else "C"
                whole = np.memmap(self._file.path, np.uint8, "r")
                stop = self._offset + math.prod(self.shape) * self.stored.itemsize
                self._map = np.ndarray(self.shape, self.stored, whole[self._offset : stop], order=order)
        return self._map[rows]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_map": None}


class Ranged:
    """An array of which rows are fetched, in blocks of at least `block_bytes`."""

    def __init__(
        self, blocks: Blocks, offset: int, dtype: np.dtype[Any], shape: tuple[int, ...], block_bytes: int
    ) -> None:
        self.blocks, self._offset, self.stored, self.shape = blocks, offset, dtype, shape
        self.row_bytes = math.prod(shape[1:]) * dtype.itemsize
        self._rows = max(block_bytes // self.row_bytes, 1) if self.row_bytes else 1

    def blocks_of(self, rows: Rows) -> tuple[list[Range], Rows, Rows]:
        """The ranges of the blocks that hold the rows, the first row of each, and which of them each row is in."""
        wanted, which = np.unique(rows // self._rows, return_inverse=True)
        starts = wanted * self._rows
        stops = np.minimum(starts + self._rows, self.shape[0])
        ranges = [
            (self._offset + a * self.row_bytes, self._offset + b * self.row_bytes)
            for a, b in zip(starts.tolist(), stops.tolist(), strict=True)
        ]
        return ranges, starts, which

    def take(self, rows: Rows) -> Array:
        out = np.empty((len(rows), *self.shape[1:]), self.stored)
        if not out.nbytes:
            return out
        ranges, starts, which = self.blocks_of(rows)
        pieces = self.blocks.get(ranges)
        for i, (piece, row) in enumerate(zip(which.tolist(), rows.tolist(), strict=True)):
            first = (row - int(starts[piece])) * self.row_bytes
            flat = np.frombuffer(pieces[piece], np.uint8, self.row_bytes, first)
            out[i] = flat.view(self.stored).reshape(self.shape[1:])
        return out


class ArrayTable:
    """Arrays of one first size, by name."""

    def __init__(self, arrays: Mapping[str, RowArray], where: str) -> None:
        self.kinds = {}
        for name, array in arrays.items():
            place = f"{where}: {name}" if name else where
            if not array.shape:
                raise DataError(f"{place}: a single number, which has no rows")
            self.kinds[name] = Kind(checked_dtype(array.stored, place), array.shape[1:])
        self._arrays = dict(arrays)
        self._lengths = {name: int(array.shape[0]) for name, array in arrays.items()}
        self._where = where

    @property
    def length(self) -> int:
        return same_lengths(self._lengths, self._where)

    def only(self, names: Sequence[str]) -> None:
        """Forgets all other columns, whose lengths may be others."""
        self._lengths = {name: n for name, n in self._lengths.items() if name in names}

    def fetch(self, rows: Rows, names: Sequence[str]) -> None:
        """See tables.Table."""
        arrays = [
            array for name in names if isinstance(array := self._arrays[name], Ranged) and array.row_bytes
        ]
        if arrays:
            arrays[0].blocks.fetch([each for array in arrays for each in array.blocks_of(rows)[0]])

    def take(self, rows: Rows, names: Sequence[str]) -> list[Any]:
        """See tables.Table."""
        found = []
        for name in names:
            values = self._arrays[name].take(rows)
            wanted = self.kinds[name].dtype
            found.append(values if values.dtype == wanted else values.astype(wanted))
        return found


def rows_of(
    file: File,
    number: int,
    offset: int,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    fortran: bool,
    settings: Settings,
) -> RowArray:
    """The rows of an array that lies in `file` from `offset` on. Raises DataError where it does not fit in there."""
    size = math.prod(shape) * dtype.itemsize
    if offset + size > file.size:
        raise DataError(
            f"{file.told}: damaged: an array of shape {shape} and {dtype} ends at byte {offset + size}, the file at {file.size}"
        )
    if isinstance(file, LocalFile) and number < MAPPED_FILES:
        return Mapped(file, offset, dtype, shape, fortran)
    if fortran and len(shape) > 1:
        if size > LOAD_LIMIT:
            raise DataError(
                f"{file.told}: in Fortran's order its rows lie scattered, and {size} bytes are more than are held in memory "
                f"({LOAD_LIMIT}): save numpy.ascontiguousarray of it"
            )
        return Held(np.ndarray(shape, dtype, file.read(offset, offset + size), order="F"))
    return Ranged(Blocks(file, settings.kept, number), offset, dtype, shape, settings.block_bytes)


def _npy(file: File, number: int, offset: int, end: int, where: str, settings: Settings) -> RowArray:
    """The array of an .npy file that lies in `file` from `offset` to `end`."""
    start = file.read(offset, min(offset + _FIRST_LOOK, end))
    if start[:6] != b"\x93NUMPY" or len(start) < 12:
        raise DataError(f"{where}: damaged, or no .npy file: it begins with {start[:6]!r}")
    major = start[6]
    length, form = (
        (int.from_bytes(start[8:12], "little"), 12)
        if major > 1
        else (int.from_bytes(start[8:10], "little"), 10)
    )
    if length > _LONGEST_NPY_HEADER or offset + form + length > end:
        raise DataError(f"{where}: damaged: a header of {length} bytes in a file of {end - offset}")
    if form + length > len(start):
        start = file.read(offset, offset + form + length)
    read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}.get(major)
    problem = f"version {major} of the format is for names of fields, which tensors don't have"
    if read is not None:
        try:
            shape, fortran, dtype = read(io.BytesIO(start[8:]))
            if any(n < 0 for n in shape):
                raise ValueError(f"a shape of {shape}")
        except Exception as error:  # NumPy reads headers by tokenizer and parser, which raise what they like
            problem = f"damaged: {' '.join(str(error).split())[:200]}"
        else:
            checked_dtype(dtype, where)
            return rows_of(file, number, offset + form + length, dtype, tuple(shape), bool(fortran), settings)
    raise DataError(f"{where}: {problem}")


def open_npy(file: File, number: int, settings: Settings) -> ArrayTable:
    """The rows of the first axis of one array."""
    return ArrayTable({"": _npy(file, number, 0, file.size, file.told, settings)}, file.told)


class _Seekable(io.RawIOBase):
    """A File as a stream, for readers that want one."""

    def __init__(self, file: File) -> None:
        super().__init__()
        self._file, self._at = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(offset + (0, self._at, self._file.size)[whence], 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(min(self._at, self._file.size), min(self._at + len(buffer), self._file.size))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def stream_of(file: File) -> io.BufferedReader:
    """The file as a stream from its beginning."""
    return io.BufferedReader(_Seekable(file), 1 << 16)


def open_npz(file: File, number: int, settings: Settings) -> ArrayTable:
    """Arrays by name, in the archive's order. Those of numpy.savez are read row by row; compressed ones are held in memory."""
    arrays: dict[str, RowArray] = {}
    problem = ""
    try:
        with zipfile.ZipFile(stream_of(file)) as archive:
            unpacked = 0
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                where = f"{file.told}: {name}"
                if name == info.filename or name in arrays:
                    raise DataError(f"{where}: damaged, or no .npz file: expected .npy files, each once")
                if info.compress_type == zipfile.ZIP_STORED and not info.flag_bits & 1:
                    start = info.header_offset
                    names = struct.unpack("<HH", file.read(start + 26, start + 30))
                    start += 30 + sum(names)
                    arrays[name] = _npy(file, number, start, start + info.file_size, where, settings)
                    continue
                unpacked += info.file_size
                if unpacked > LOAD_LIMIT:
                    raise DataError(
                        f"{where}: compressed, so it has to be held in memory, and {unpacked} bytes are more than {LOAD_LIMIT}: "
                        "use numpy.savez instead of savez_compressed"
                    )
                with archive.open(info) as member:
                    held = member.read(info.file_size + 1)
                arrays[name] = Held(_loaded(held, where))
    except DataError:
        raise
    except Exception as error:  # of zipfile, zlib and struct, each its own
        problem = " ".join(str(error).split()) or type(error).__name__
    if problem:
        raise DataError(f"{file.told}: damaged, or no .npz file: {problem}")
    return ArrayTable(arrays, file.told)


def _loaded(data: bytes, where: str) -> Array:
    try:
        return np.asarray(np.lib.format.read_array(io.BytesIO(data), allow_pickle=False))
    except Exception as error:
        problem = "Python objects" if "Object arrays" in str(error) else ""
        text = " ".join(str(error).split())[:200]
    if problem:
        checked_dtype(np.dtype(object), where)
    raise DataError(f"{where}: damaged: {text}")


class _Raw:
    """A File as the bytes that safetensors' header is read from."""

    def __init__(self, file: File) -> None:
        self._file = file

    def __len__(self) -> int:
        return self._file.size

    def __getitem__(self, piece: slice) -> bytes:
        start, stop, _ = piece.indices(self._file.size)
        return self._file.read(start, stop)


def open_safetensors(file: File, number: int, settings: Settings) -> ArrayTable:
    """Tensors by name, in alphabetical order."""
    try:
        header = Header(_Raw(file), file.told)
    except ValueError as error:
        problem = str(error)
    else:
        arrays = {
            name: rows_of(
                file, number, header.start + header.tensors[name][2], dtype.numpy, shape, False, settings
            )
            for name, (dtype, shape, _, _) in sorted(header.tensors.items())
        }
        return ArrayTable(arrays, file.told)
    raise DataError(f"{problem.removesuffix('.')}: damaged, or no .safetensors file")
