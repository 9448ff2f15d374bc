"""Statements that are compiled once and then given to the driver as text. Built by schema.py and security/tables.py.

A submit is six statements. Through SQLAlchemy's execution each took 40 µs of a Python thread that has 500 µs for a whole submit;
on SQLite the driver's own cursor takes 8.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from sqlalchemy import Connection, Executable
from sqlalchemy.exc import DBAPIError, NoResultFound


class Found(Protocol):
    """What a statement gave: the rows' columns are attributes."""

    @property
    def rowcount(self) -> int:
        """Rows that it changed."""
        ...

    def all(self) -> Sequence[Any]:
        """All rows."""
        ...

    def first(self) -> Any:
        """The first row, None where there is none."""
        ...

    def one(self) -> Any:
        """The only row. Raises NoResultFound."""
        ...

    def scalar_one(self) -> Any:
        """The only row's first column. Raises NoResultFound."""
        ...


class Prepared:
    """A statement, compiled once for each kind of database."""

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}
        self._row: Any = None

    def __call__(
        self, connection: Connection, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> Found:
        """Executes it with one mapping of values, or once for each of several. Raises DBAPIError."""
        kind = connection.dialect.name
        text, names, fixed = self._compiled.get(kind) or self._compile(connection)
        if isinstance(values, Mapping):
            given: Any = _given(names, {**fixed, **values})
        else:
            given = [_given(names, {**fixed, **each}) for each in values]
        if kind != "sqlite":
            # The driver's errors are told apart by SQLAlchemy's events (connections.py), and a round trip costs more than that.
            found: Found = connection.exec_driver_sql(text, given)
            return found
        cursor: sqlite3.Cursor = connection.connection.cursor()  # type: ignore[assignment]
        try:
            if isinstance(given, list):
                cursor.executemany(text, given)
            else:
                cursor.execute(text, given)
            if cursor.description is None:
                return _Rows(cursor.rowcount, ())
            rows = cursor.fetchall()
        except sqlite3.Error as error:
            # The values are left out: they may be secret.
            raise DBAPIError.instance(text, None, error, sqlite3.Error, hide_parameters=True) from error
        finally:
            cursor.close()
        if self._row is None:
            self._row = _row_type(column[0] for column in cursor.description)
        return _Rows(cursor.rowcount, [self._row._make(row) for row in rows])

    def _compile(self, connection: Connection) -> "_Compiled":
        compiled = self._statement.compile(dialect=connection.dialect)  # type: ignore[attr-defined]
        # Values that are part of the statement itself, such as SQLite's OFFSET 0.
        fixed = {name: value for name, value in compiled.params.items() if value is not None}
        names = list(compiled.positiontup) if compiled.positional else None
        return self._compiled.setdefault(connection.dialect.name, (str(compiled), names, fixed))


_Compiled: TypeAlias = tuple[str, list[str] | None, dict[str, Any]]


class _Rows:
    """Rows that were fetched from SQLite."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rowcount: int, rows: Sequence[Any]) -> None:
        self.rowcount, self._rows = rowcount, rows

    def all(self) -> Sequence[Any]:
        return self._rows

    def first(self) -> Any:
        return self._rows[0] if self._rows else None

    def one(self) -> Any:
        if len(self._rows) != 1:
            raise NoResultFound(f"expected one row, found {len(self._rows)}")
        return self._rows[0]

    def scalar_one(self) -> Any:
        return self.one()[0]


def _row_type(columns: Iterable[str]) -> Any:
    return namedtuple("Row", columns, rename=True)


def _given(names: Sequence[str] | None, values: Mapping[str, Any]) -> Any:
    """Values as the driver takes them: in the order of `names`, or by name where it has none."""
    return values if names is None else tuple([values[name] for name in names])
