"""The audit log: one row for each change that someone asked for, written in the transaction of the change itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from gradwire.services.connections import from_us, to_us
from gradwire.services.security import tables
from gradwire.services.security.callers import Caller


@dataclass(frozen=True, slots=True)
class AuditRow:
    """Who did what to which job or token, when, from where. `token` is the id of a token, never the token."""

    time: datetime
    owner: str
    token: str
    peer: str
    action: str
    subject: str


def note(connection: Connection, now: datetime, caller: Caller, action: str, subject: str) -> None:
    """Writes one row."""
    row = {"time_us": to_us(now), "owner": caller.owner, "token": caller.token, "peer": caller.peer}
    tables.INSERT_AUDIT(connection, {**row, "action": action, "subject": subject})


def read(engine: Engine, size: int, subject: str = "") -> Sequence[AuditRow]:
    """The newest rows, of one job or token where `subject` names it, newest first."""
    with engine.connect() as connection:
        rows = connection.execute(tables.SELECT_AUDIT, {"size": size, "subject": subject}).all()
    return [
        AuditRow(from_us(row.time_us), row.owner, row.token, row.peer, row.action, row.subject)
        for row in rows
    ]
