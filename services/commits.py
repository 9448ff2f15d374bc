"""What a commit did to jobs, and how a process reads what all processes have committed since. Used by store.py.

On a store that several write, follower.py reads on from a position with what stands here.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from gradwire.services import records as r
from gradwire.services import schema
from gradwire.services.event_rows import StoredEvent
from gradwire.services.follower import Position
from gradwire.services.job_rows import stored_in

PAGE = 512


@dataclass(frozen=True, slots=True)
class Change:
    """What one committed change did to one job. Listeners get these in order of commit."""

    job: r.Job
    events: tuple[StoredEvent, ...]


def position_now(connection: Connection) -> Position:
    """Where the newest commit is."""
    return tuple(schema.SELECT_POSITION(connection, {}).one())  # type: ignore[return-value]


def changes_after(connection: Connection, position: Position) -> tuple[list[Change], Position]:
    """What was committed after a position: each job as it is now, with its new events, in order of their last change."""
    revision, sequence = position
    rows = schema.SELECT_CHANGED(connection, {"revision": revision, "size": PAGE}).all()
    found = schema.SELECT_NEWS(connection, {"after": sequence, "size": PAGE}).all()
    added: dict[int, list[StoredEvent]] = {}
    for event in found:
        added.setdefault(event.job, []).append(StoredEvent(event.number, event.body))
    jobs = {row.sequence: stored_in(row).job for row in rows}
    for key in added.keys() - jobs.keys():
        # Its row came with an earlier page, or comes with a later one.
        jobs[key] = stored_in(schema.SELECT_JOB_BY_SEQUENCE(connection, {"which": key}).one()).job
    changes = [Change(job, tuple(added.get(key, ()))) for key, job in jobs.items()]
    return changes, (rows[-1].revision if rows else revision, found[-1].sequence if found else sequence)
