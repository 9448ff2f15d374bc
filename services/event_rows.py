"""Events as rows: numbered, and placed where they are found by step or by byte of output. Used by store.py and logs.py."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages, schema
from gradwire.services import records as r

STEPS = "step"
EVALUATIONS = "evaluation"


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it lies in the store: its number and gradwire.v1.Event in bytes."""

    number: int
    body: bytes


def output_series(stream: str, rank: int) -> str:
    """Where the lines of a worker's stream are placed, by their first byte."""
    return f"{stream}/{rank}"


def add_events(
    connection: Connection, sequence: int, last: int, kinds: Iterable[r.EventKind], now: datetime
) -> tuple[StoredEvent, ...]:
    """Writes events after number `last`; lines of output get their offsets."""
    ends: dict[str, int] = {}
    added, rows = [], []
    for number, kind in enumerate(kinds, start=last + 1):
        series: str | None = None
        position: int | None = None
        match kind:
            case r.StepFinished():
                series, position = STEPS, kind.step
            case r.EvaluationFinished():
                series, position = EVALUATIONS, kind.step
            case r.LogLine():
                series = output_series(kind.stream, kind.rank)
                position = ends[series] if series in ends else end_of_output(connection, sequence, series)
                ends[series] = position + len(kind.written)
                kind = replace(kind, offset=position)
            case _:
                pass
        body = messages.event_to_message(r.Event(number, now, kind)).SerializeToString()
        added.append(StoredEvent(number, body))
        rows.append({"job": sequence, "number": number, "body": body, "series": series, "position": position})
    if rows:
        schema.INSERT_EVENTS(connection, rows)
    return tuple(added)


def end_of_output(connection: Connection, sequence: int, series: str) -> int:
    """Bytes that a stream has so far."""
    row = schema.SELECT_END_OF_SERIES(connection, {"job": sequence, "series": series}).first()
    return 0 if row is None else row.position + len(line_of(row.body).written)


def line_of(body: bytes) -> r.LogLine:
    """The line of output that a stored event is."""
    line = pb.Event.FromString(body).log_line
    return r.LogLine(line.rank, line.stream, line.text, line.raw, line.offset)
