"""Reads of events by what they are about: steps and evaluations by step, output by byte. Used by faces/, in threads aside.

Each call is one short transaction; whoever reads on calls again.
"""

from sqlalchemy import Engine

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import schema
from gradwire.services.event_rows import end_of_output, line_of, output_series

CHUNK_BYTES = 256 * 1024
LINES_AT_ONCE = 512
STEPS_AT_ONCE = 2000
_LAST = 2**62


def read_steps(engine: Engine, job: int, series: str, first: int, last: int) -> list[pb.Event]:
    """Events of steps `first` to `last`, at most STEPS_AT_ONCE of them."""
    asked = {"job": job, "series": series, "first": first, "last": last, "size": STEPS_AT_ONCE}
    with engine.connect() as connection:
        rows = schema.SELECT_SERIES(connection, asked).all()
    return [pb.Event.FromString(row.body) for row in rows]


def read_output(engine: Engine, job: int, stream: str, rank: int, offset: int) -> bytes:
    """What a worker printed from byte `offset` on, at most CHUNK_BYTES; b"" where there is nothing."""
    series = output_series(stream, rank)
    with engine.connect() as connection:
        asked = {"job": job, "series": series}
        begun = schema.SELECT_BEFORE_IN_SERIES(connection, {**asked, "position": offset}).first()
        if begun is None:
            return b""
        lines = {**asked, "first": begun.position, "last": _LAST, "size": LINES_AT_ONCE}
        rows = schema.SELECT_SERIES(connection, lines).all()
    found = b"".join(line_of(row.body).written for row in rows)
    skipped = offset - begun.position
    return found[skipped : skipped + CHUNK_BYTES]


def size_of_output(engine: Engine, job: int, stream: str, rank: int) -> int:
    """Bytes that a worker printed so far."""
    with engine.connect() as connection:
        return end_of_output(connection, job, output_series(stream, rank))
