"""Who owns which blob, and which jobs keep which: changes and reads within a transaction of the job store.

Used by keeping.py for uploads and by store.py for jobs. An owner's rows are all that exists for it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, Row

from gradwire.services.blobs import tables
from gradwire.services.connections import to_us


def find(connection: Connection, owner: str, sha256: str) -> "Row[tuple[object, ...]] | None":
    """The owner's row of a blob, or None."""
    return tables.SELECT_BLOB(connection, {"which_owner": owner, "which_sha256": sha256}).first()


def page(connection: Connection, owner: str, count: int, before: int) -> "Sequence[Row[tuple[object, ...]]]":
    """The owner's newest rows with a sequence below `before`."""
    return tables.SELECT_BLOBS(connection, {"which_owner": owner, "before": before, "count": count}).all()


def put(connection: Connection, owner: str, sha256: str, size: int, whole: bool, now: datetime) -> None:
    """Adds the owner's row, or changes it."""
    if find(connection, owner, sha256) is None:
        row = {"owner": owner, "sha256": sha256, "size": size, "whole": whole, "create_time_us": to_us(now)}
        tables.INSERT_BLOB(connection, row)
        return
    which = {"which_owner": owner, "which_sha256": sha256}
    tables.UPDATE_BLOB(connection, {**which, "size": size, "whole": whole})


def remove(connection: Connection, owner: str, sha256: str) -> None:
    """Removes the owner's row."""
    tables.DELETE_BLOB(connection, {"which_owner": owner, "which_sha256": sha256})


def unfinished(connection: Connection, before: datetime) -> "Sequence[Row[tuple[object, ...]]]":
    """Rows of uploads that began before that time and are not whole."""
    return tables.SELECT_UNFINISHED(connection, {"before_us": to_us(before)}).all()


def stored_bytes(connection: Connection, owner: str) -> int:
    """Bytes of all blobs of an owner, those on their way counted whole."""
    return int(tables.SELECT_STORED_BYTES(connection, {"which_owner": owner}).scalar_one())


def usable(connection: Connection, owner: str, sha256: str) -> bool:
    """Whether a new job of this owner may name it."""
    return (
        tables.SELECT_USABLE(connection, {"which_owner": owner, "which_sha256": sha256}).first() is not None
    )


def needed(connection: Connection, sha256: str) -> bool:
    """Whether any owner or job still needs these bytes."""
    return tables.SELECT_NEEDED(connection, {"which_sha256": sha256}).first() is not None


def kept_by_job(connection: Connection, job_id: str, sha256: str) -> bool:
    """Whether the job keeps it."""
    found = tables.SELECT_JOB_BLOB(connection, {"job_id": job_id, "which_sha256": sha256})
    return found.first() is not None


def keep(connection: Connection, job: int, sha256s: Iterable[str]) -> None:
    """Says, in the transaction that stores a job, that it needs these. They go with the job's row; the next sweep frees the bytes."""
    rows = [{"job": job, "sha256": each} for each in sorted(set(sha256s))]
    if rows:
        tables.INSERT_JOB_BLOB(connection, rows)
