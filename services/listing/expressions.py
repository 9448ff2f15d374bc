"""What a filter is in SQL. Values are bound, never written into the statement. Used by pages.py.

Every expression is true or false, never NULL: what is not set is equal to nothing, and NOT of that holds.
"""

import operator
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, not_, or_, select, true

from gradwire.services import schema
from gradwire.services.connections import to_us
from gradwire.services.listing.language import And, Compare, Kind, Node, Not, Or

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    ":": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_COLUMNS: dict[str, Any] = {
    "id": schema.jobs.c.id,
    "name": schema.jobs.c.name,
    "owner": schema.jobs.c.owner,
    "device": schema.jobs.c.device,
    "state": schema.jobs.c.state,
    "priority": schema.jobs.c.priority,
    "workers": schema.jobs.c.workers,
    "step": schema.jobs.c.step,
    "create_time": schema.jobs.c.create_time_us,
    "end_time": schema.jobs.c.end_time_us,
}


def expression(node: Node) -> ColumnElement[bool]:
    """The condition on a row of jobs."""
    match node:
        case And(parts):
            return and_(*map(expression, parts))
        case Or(parts):
            return or_(*map(expression, parts))
        case Not(part):
            return not_(expression(part))
        case Compare(operator="!="):
            return not_(_holds(node, "="))
        case Compare():
            return _holds(node, node.operator)


def _holds(node: Compare, sign: str) -> ColumnElement[bool]:
    if node.kind == Kind.LABEL:
        return _label(node)
    column = _COLUMNS[node.field]
    if node.kind == Kind.TEXT and sign == ":":
        if node.any_value:
            return column != ""
        # LIKE would take no account of case on SQLite; this does everywhere.
        return func.replace(column, node.value, "") != column if node.value else true()
    if node.any_value:
        return column.is_not(None)
    value = to_us(node.value) if isinstance(node.value, datetime) else node.value
    # A number may be larger than the column's.
    bound = literal(value, schema.WIDE) if isinstance(value, int) else value
    compared: ColumnElement[bool] = _COMPARE[sign](column, bound)
    return and_(column.is_not(None), compared) if column.nullable else compared


def _label(node: Compare) -> ColumnElement[bool]:
    labels = schema.labels.c
    found = [labels.key == node.key]
    if not node.any_value:
        found.append(labels.value == node.value)
    # Of 100,000 jobs: 3 ms where 50 have the label, 13 ms where a third have it. EXISTS took 105 ms and 4 ms.
    return schema.jobs.c.sequence.in_(select(labels.job).where(*found))
