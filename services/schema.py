"""Tables of the job store and the statements on them, built once. Used by store.py; security/tables.py has its own.

Code is kept once per content (jobs with equal code share a row), so that a submit is one transaction
with one sync, whatever its files.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    Sequence,
    String,
    Table,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.compiler import compiles

from gradwire.services.prepared import Prepared
from gradwire.services.states import JobState

VERSION = 7
"""Version of these tables: migrations.py brings an older store to it, a newer one is refused."""

WIDE = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits on both kinds of database; only what SQLite calls INTEGER can be a key that counts up."""

metadata = MetaData()

store_version = Table("store_version", metadata, Column("version", Integer, primary_key=True))

code = Table(
    "code",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    # Order of submission; never used twice.
    Column("sequence", WIDE, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    # gradwire.v1.JobSpec without the code's files.
    Column("spec", LargeBinary, nullable=False),
    Column("code_sha256", ForeignKey("code.sha256"), nullable=False),
    Column("state", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("create_time_us", WIDE, nullable=False),
    Column("start_time_us", WIDE),
    Column("end_time_us", WIDE),
    Column("workers", Integer, nullable=False),
    Column("step", WIDE, nullable=False),
    Column("total_steps", WIDE, nullable=False),
    Column("epochs", Integer, nullable=False),
    Column("evaluated_step", WIDE, nullable=False),
    Column("checkpoint_step", WIDE, nullable=False),
    Column("last_event", Integer, nullable=False),
    Column("metrics", String, nullable=False),
    Column("evaluation_metrics", String, nullable=False),
    Column("parameters_sha256", String(64), nullable=False),
    Column("error", LargeBinary),
    Column("checkpoint", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    # Last report taken from the attempt's controller.
    Column("incarnation", Integer, nullable=False),
    Column("report", WIDE, nullable=False),
    Column("first_step_seconds", Float, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("pause_requested", Boolean, nullable=False),
    Column("wanted_workers", Integer, nullable=False),
    # [[step, {"lr": 0.01}, order], …]: options that were changed, and after how many finished steps.
    Column("options_history", String, nullable=False),
    # Options that do not hold yet, and how many requests for options there were.
    Column("wanted_options", String, nullable=False),
    Column("options_number", Integer, nullable=False),
    Column("chain", String(64), nullable=False),
    Column("owner", String(64), nullable=False),
    # Grows with every change of any job, in the order of commits: by it other processes learn what has changed.
    Column("revision", WIDE, nullable=False),
    # Of the spec, for filters.
    Column("name", String(120), nullable=False),
    Column("device", String(16), nullable=False),
    # The job that this one repeats, '' for most.
    Column("replay_of", String(64), nullable=False),
    Column("delete_time_us", WIDE),
    # When what is left of a deleted job goes; PURGING where it is going.
    Column("expire_time_us", WIDE),
    CheckConstraint(f"state BETWEEN {min(JobState)} AND {max(JobState)}", name="known_state"),
    Index("jobs_by_revision", "revision", unique=True),
    # From when its waiting counts, the end of a pause after a loss, and when the present attempt got its workers.
    Column("since_us", WIDE),
    Column("not_before_us", WIDE),
    Column("attempt_time_us", WIDE),
    # Wall seconds with workers in attempts that are over.
    Column("run_seconds", Float, nullable=False),
    # By which the scheduler started it; workers that the present attempt was told to have; whether it gives way.
    Column("level", Integer, nullable=False),
    Column("target_workers", Integer, nullable=False),
    Column("gives_way", Boolean, nullable=False),
    # {"WORKER_LOSS": 2}: attempts that ended before the job did.
    Column("ends", String, nullable=False),
    # Of its checkpoints, when an attempt last ended.
    Column("stored_bytes", WIDE, nullable=False),
    Index("jobs_by_state", "state", "sequence"),
    Index("jobs_by_owner", "owner", "sequence"),
    Index("jobs_by_code", "code_sha256"),
    Index("jobs_by_replay", "replay_of", "sequence"),
    Index("jobs_by_expiry", "expire_time_us"),
    sqlite_autoincrement=True,
)

PURGING = 0
"""expire_time_us of a job whose folder is being removed: it exists for nobody any more."""

labels = Table(
    "labels",
    metadata,
    Column("job", ForeignKey("jobs.sequence"), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("value", String, nullable=False),
    Index("labels_by_value", "key", "value", "job"),
)

events = Table(
    "events",
    metadata,
    # One order over all jobs.
    Column("sequence", WIDE, primary_key=True, autoincrement=True),
    Column("job", ForeignKey("jobs.sequence"), nullable=False),
    Column("number", Integer, nullable=False),
    # gradwire.v1.Event.
    Column("body", LargeBinary, nullable=False),
    # What is found by more than its number: steps and evaluations by step, lines of output by their first byte.
    Column("series", String(24)),
    Column("position", WIDE),
    UniqueConstraint("job", "number"),
    Index("events_by_position", "job", "series", "position"),
    sqlite_autoincrement=True,
)

requests = Table(
    "requests",
    metadata,
    # Each owner's ids are its own.
    Column("owner", String(64), primary_key=True),
    Column("request_id", String(64), primary_key=True),
    # Of the spec that came with it.
    Column("sha256", String(64), nullable=False),
    Column("job", ForeignKey("jobs.sequence"), nullable=False),
)

leases = Table(
    "leases",
    metadata,
    # What only one process does at a time.
    Column("name", String(32), primary_key=True),
    # Who does it, and where it answers; '' when nobody does.
    Column("holder", String(200), nullable=False),
    Column("address", String(200), nullable=False),
    # Grows with each holder: what an earlier one writes is refused by it.
    Column("token", WIDE, nullable=False),
    # By the clock of the database.
    Column("expires_us", WIDE, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("weight", Float, nullable=False),
    # Quotas; NULL is no limit.
    Column("gpus", Integer),
    Column("cpus", Integer),
    Column("jobs", Integer),
    Column("storage_bytes", WIDE),
    # A recent average of the owner's part of the whole, and when it was worked out.
    Column("usage", Float, nullable=False),
    Column("usage_time_us", WIDE, nullable=False),
)

revisions = Sequence("job_revisions", metadata=metadata)
"""Gives jobs.revision on PostgreSQL."""


class NextRevision(ColumnElement[int]):
    """The next jobs.revision, within a transaction that writes."""

    inherit_cache = True
    type = WIDE


@compiles(NextRevision, "sqlite")
def _next_in_file(element: NextRevision, compiler: Any, **options: Any) -> str:
    return "(SELECT coalesce(max(revision), 0) + 1 FROM jobs)"


@compiles(NextRevision, "postgresql")
def _next_of_sequence(element: NextRevision, compiler: Any, **options: Any) -> str:
    return f"nextval('{revisions.name}')"


def insert_into(table: Table, *left_out: str) -> Insert:
    """An insert of all columns but those left out."""
    return insert(table).values({c.name: bindparam(c.name) for c in table.c if c.name not in left_out})


INSERT_JOB = Prepared(
    insert_into(jobs, "sequence", "revision").values(revision=NextRevision()).returning(jobs.c.sequence)
)
INSERT_EVENTS = Prepared(insert_into(events, "sequence"))
INSERT_REQUEST = Prepared(insert_into(requests))
INSERT_CODE = Prepared(insert_into(code))
INSERT_LABELS = Prepared(insert_into(labels))
DELETE_LABELS = Prepared(delete(labels).where(labels.c.job == bindparam("job_sequence")))

SCHEDULER = "scheduler"
HOLDS_LEASE = and_(leases.c.name == SCHEDULER, leases.c.token == bindparam("fence", type_=WIDE))

_FIXED = {
    "sequence",
    "id",
    "spec",
    "code_sha256",
    "create_time_us",
    "owner",
    "revision",
    "name",
    "device",
    "replay_of",
}
# Of a job that is as it was read, so that no move between states goes round the table of moves; and, where the scheduler
# writes, by none but the one that holds the lease ("fence": its token, 0 for writes of others).
UPDATE_JOB = Prepared(
    update(jobs)
    .where(
        jobs.c.sequence == bindparam("which"),
        jobs.c.state == bindparam("state_before"),
        jobs.c.last_event == bindparam("last_event_before"),
        or_(bindparam("fence", type_=WIDE) == 0, exists().where(HOLDS_LEASE)),
    )
    .values({column.name: bindparam(column.name) for column in jobs.c if column.name not in _FIXED})
    .values(revision=NextRevision())
)
SELECT_HOLDS_LEASE = Prepared(select(leases.c.holder).where(HOLDS_LEASE))
# Apart from the rest: it seldom changes, and is larger than all of that.
UPDATE_SPEC = Prepared(
    update(jobs).where(jobs.c.sequence == bindparam("which")).values(spec=bindparam("spec"))
)

SELECT_JOB = Prepared(select(jobs).where(jobs.c.id == bindparam("job_id")))
SELECT_JOB_BY_SEQUENCE = Prepared(select(jobs).where(jobs.c.sequence == bindparam("which")))
# What a process reads on from, and what came after it.
SELECT_POSITION = Prepared(
    select(
        select(func.coalesce(func.max(jobs.c.revision), 0)).scalar_subquery(),
        select(func.coalesce(func.max(events.c.sequence), 0)).scalar_subquery(),
    )
)
SELECT_CHANGED = Prepared(
    select(jobs)
    .where(jobs.c.revision > bindparam("revision"))
    .order_by(jobs.c.revision)
    .limit(bindparam("size"))
)
SELECT_NEWS = Prepared(
    select(events)
    .where(events.c.sequence > bindparam("after"))
    .order_by(events.c.sequence)
    .limit(bindparam("size"))
)
SELECT_SEQUENCE = Prepared(
    select(jobs.c.sequence, jobs.c.state, jobs.c.last_event, jobs.c.owner, jobs.c.expire_time_us).where(
        jobs.c.id == bindparam("job_id")
    )
)
SELECT_UNFINISHED = (
    select(jobs).where(jobs.c.state.in_(bindparam("states", expanding=True))).order_by(jobs.c.sequence)
)
SELECT_EVENTS = Prepared(
    select(events.c.number, events.c.body)
    .where(events.c.job == bindparam("job"), events.c.number > bindparam("after"))
    .order_by(events.c.number)
    .limit(bindparam("size"))
)
SELECT_REPLAYS = Prepared(
    select(jobs.c.id, jobs.c.state, jobs.c.owner, jobs.c.delete_time_us)
    .where(jobs.c.replay_of == bindparam("job_id"))
    .order_by(jobs.c.sequence.desc())
    .limit(1000)
)
SELECT_END_OF_SERIES = Prepared(
    select(events.c.position, events.c.body)
    .where(events.c.job == bindparam("job"), events.c.series == bindparam("series"))
    .order_by(events.c.position.desc())
    .limit(1)
)
SELECT_SERIES = Prepared(
    select(events.c.number, events.c.position, events.c.body)
    .where(
        events.c.job == bindparam("job"),
        events.c.series == bindparam("series"),
        events.c.position >= bindparam("first"),
        events.c.position <= bindparam("last"),
    )
    .order_by(events.c.position)
    .limit(bindparam("size"))
)
SELECT_BEFORE_IN_SERIES = Prepared(
    select(events.c.position)
    .where(
        events.c.job == bindparam("job"),
        events.c.series == bindparam("series"),
        events.c.position <= bindparam("position"),
    )
    .order_by(events.c.position.desc())
    .limit(1)
)
SELECT_REQUEST = Prepared(
    select(requests.c.sha256, jobs)
    .join(jobs, jobs.c.sequence == requests.c.job)
    .where(requests.c.owner == bindparam("owner"), requests.c.request_id == bindparam("request_id"))
)
SELECT_CODE = Prepared(select(code.c.body).where(code.c.sha256 == bindparam("sha256")))
SELECT_CODE_KNOWN = Prepared(select(code.c.sha256).where(code.c.sha256 == bindparam("sha256")))
