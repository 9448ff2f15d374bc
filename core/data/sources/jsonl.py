"""JSON lines: one value a line. Where each line lies, and what the columns are, is found in one pass when a file is opened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .blocks import Blocks
from .files import File, Range
from .naming import DataError
from .tables import Kind, Rows, Settings

__all__ = ["JsonLines"]

_DTYPES = {bool: np.dtype(np.bool_), int: np.dtype(np.int64), float: np.dtype(np.float32)}
"""As gradwire.tensor has them."""


class _Column:
    """What was seen of a column: the kind of its values, and the shape of its lists. ragged: they differ in it."""

    def __init__(self) -> None:
        self.kind: type | None = None
        self.shape: tuple[int, ...] | None = None
        self.ragged = False

    def see(self, value: Any) -> None:
        """Raises ValueError for a value that does not fit those before."""
        shape, kinds = _looked_at(value)
        for kind in sorted(kinds, key=str):
            if self.kind is None or {self.kind, kind} == {int, float}:
                self.kind = kind if self.kind is None else float
            elif kind is not self.kind:
                raise ValueError(f"is {_words(kind)}, and {_words(self.kind)} on a line before")
        if self.shape is None:
            self.shape = shape
        elif len(self.shape) != len(shape):
            raise ValueError("is a list of another depth than on a line before")
        elif self.shape != shape:
            self.ragged = True

    def done(self) -> Kind:
        """The column's kind; text has no shape, nor have lists that differ in it."""
        if self.kind is str:
            return Kind(None)
        dtype = _DTYPES[self.kind or float]
        return Kind(dtype, (), ragged=True) if self.ragged else Kind(dtype, self.shape or ())


def _words(kind: type) -> str:
    return {str: "text", bool: "true or false", int: "a whole number", float: "a number"}[kind]


def _looked_at(value: Any) -> tuple[tuple[int, ...], set[type]]:
    """(shape, kinds of the numbers) of a value. Raises ValueError for one that is no tensor and no text."""
    if isinstance(value, list):
        kinds: set[type] = set(map(type, value))
        shapes: set[tuple[int, ...]] = {()} if value else set()
        if kinds <= {bool, float}:  # the numbers of a plain list need no look at each
            pass
        elif kinds <= {bool, int, float}:
            for each in (min(value), max(value)):
                _looked_at(each)
        else:
            parts = [_looked_at(each) for each in value]
            shapes = {shape for shape, _ in parts}
            if len(shapes) > 1:
                raise ValueError("holds lists of different lengths within one value")
            kinds = set().union(*(kinds for _, kinds in parts))
        if str in kinds:
            raise ValueError("is a list of text, of which no tensor can be made")
        if bool in kinds and len(kinds) > 1:
            raise ValueError("holds both numbers and true or false")
        return (len(value), *(next(iter(shapes)) if shapes else ())), kinds
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise ValueError(f"is {value}, which int64 does not hold")
    if type(value) not in (bool, int, float, str):
        raise ValueError(
            "is null" if value is None else f"is {type(value).__name__}: expected numbers, lists or text"
        )
    return (), {type(value)}


class JsonLines:
    """The lines of one file. An object's values are columns by its keys; any other value is the one column, without a name."""

    def __init__(self, file: File, number: int, settings: Settings) -> None:
        self._file, self._blocks = file, Blocks(file, settings.kept, number)
        self._objects: bool | None = None
        columns: dict[str, _Column] = {}
        starts, stops = [], []
        for line, (start, text) in enumerate(_lines(file), 1):
            if text.strip():
                self._see(line, text, columns)
                starts.append(start)
                stops.append(start + len(text))
        if not starts:
            raise DataError(f"{file.told}: there is no line in it")
        self.length = len(starts)
        self.kinds = {name: column.done() for name, column in columns.items()}
        self._starts, self._stops = np.array(starts, np.int64), np.array(stops, np.int64)
        # A block is the lines that begin within so many bytes.
        _, first, self._block_of = np.unique(
            self._starts // settings.block_bytes, return_index=True, return_inverse=True
        )
        self._first = np.append(first, self.length)

    def _see(self, line: int, text: bytes, columns: dict[str, _Column]) -> None:
        value, problem = None, ""
        try:
            value = json.loads(text)
        except ValueError as error:
            problem = f"damaged: no JSON: {error}"
        except RecursionError:
            problem = "damaged: nested too deep"
        objects = isinstance(value, dict)
        if not problem and self._objects is None:
            self._objects = objects
            columns.update({name: _Column() for name in value} if objects else {"": _Column()})  # type: ignore[union-attr]
        if not problem and objects is not self._objects:
            problem = f"{'an object' if objects else 'no object'}, unlike the lines before"
        if not problem:
            given = value if isinstance(value, dict) else {"": value}
            missing, more = columns.keys() - given.keys(), given.keys() - columns.keys()
            if missing or more:
                problem = (
                    f"lacks {sorted(missing)[0]!r}"
                    if missing
                    else f"has {sorted(more)[0]!r}, unlike the lines before"
                )
            for name, each in given.items() if not problem else ():
                try:
                    columns[name].see(each)
                except ValueError as error:
                    problem = f"{name!r} {error}" if name else str(error)
                    break
        if problem:
            raise DataError(f"{self._file.told}: line {line}: {problem}")

    def _blocks_of(self, rows: Rows) -> tuple[list[Range], Rows]:
        """The ranges of the blocks that hold the rows, and which of them each row is in."""
        blocks, which = np.unique(self._block_of[rows], return_inverse=True)
        first, last = self._first[blocks], self._first[blocks + 1] - 1
        return list(zip(self._starts[first].tolist(), self._stops[last].tolist(), strict=True)), which

    def fetch(self, rows: Rows, names: Sequence[str]) -> None:
        """See tables.Table."""
        self._blocks.fetch(self._blocks_of(rows)[0])

    def take(self, rows: Rows, names: Sequence[str]) -> list[Any]:
        """See tables.Table."""
        ranges, which = self._blocks_of(rows)
        pieces = self._blocks.get(ranges)
        values = []
        for row, piece in zip(rows.tolist(), which.tolist(), strict=True):
            begin = ranges[piece][0]
            try:
                value = json.loads(pieces[piece][self._starts[row] - begin : self._stops[row] - begin])
                values.append(value if self._objects else {"": value})
            except ValueError:
                value = None
            if value is None or (self._objects and not self.kinds.keys() <= value.keys()):
                raise DataError(f"{self._file.told}: row {row}: it was changed while it was read")
        found: list[Any] = []
        for name in names:
            kind, column = self.kinds[name], [each[name] for each in values]
            if kind.ragged:
                found.append([np.array(each, kind.dtype) for each in column])
            elif kind.dtype is None:
                found.append(column)
            else:
                found.append(np.array(column, kind.dtype).reshape(len(rows), *kind.shape))
        return found


def _lines(file: File) -> Iterator[tuple[int, bytes]]:
    """(where it begins, the line without its end)."""
    rest, at = b"", 0
    for chunk in file.chunks():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield at, line.removesuffix(b"\r")
            at += len(line) + 1
    if rest:
        yield at, rest.removesuffix(b"\r")
