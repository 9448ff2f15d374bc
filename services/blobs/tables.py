"""Tables of blobs in the job store, and the statements on them. Used by rows.py; migrations.py makes them in an older store."""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    String,
    Table,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    select,
    union_all,
    update,
)

from gradwire.services.prepared import Prepared
from gradwire.services.schema import WIDE, insert_into, jobs, metadata

blobs = Table(
    "blobs",
    metadata,
    Column("sequence", WIDE, primary_key=True, autoincrement=True),
    # Each owner has rows of its own, also for bytes that are stored once.
    Column("owner", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", WIDE, nullable=False),
    # Its bytes are all there, checked and on disk.
    Column("whole", Boolean, nullable=False),
    Column("create_time_us", WIDE, nullable=False),
    UniqueConstraint("owner", "sha256"),
    Index("blobs_by_owner", "owner", "sequence"),
    Index("blobs_by_sha256", "sha256"),
    sqlite_autoincrement=True,
)

job_blobs = Table(
    "job_blobs",
    metadata,
    # A job keeps what it was submitted with, whatever its owner deletes meanwhile.
    Column("job", ForeignKey("jobs.sequence"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Index("job_blobs_by_sha256", "sha256"),
)

_OF_OWNER = (blobs.c.owner == bindparam("which_owner")) & (blobs.c.sha256 == bindparam("which_sha256"))

INSERT_BLOB = Prepared(insert_into(blobs, "sequence"))
SELECT_BLOB = Prepared(select(blobs).where(_OF_OWNER))
UPDATE_BLOB = Prepared(
    update(blobs).where(_OF_OWNER).values(size=bindparam("size"), whole=bindparam("whole"))
)
DELETE_BLOB = Prepared(delete(blobs).where(_OF_OWNER))
SELECT_BLOBS = Prepared(
    select(blobs)
    .where(blobs.c.owner == bindparam("which_owner"), blobs.c.sequence < bindparam("before"))
    .order_by(blobs.c.sequence.desc())
    .limit(bindparam("count"))
)
SELECT_STORED_BYTES = Prepared(
    select(func.coalesce(func.sum(blobs.c.size), 0)).where(blobs.c.owner == bindparam("which_owner"))
)
SELECT_UNFINISHED = Prepared(
    select(blobs).where(blobs.c.whole.is_(False), blobs.c.create_time_us < bindparam("before_us"))
)

INSERT_JOB_BLOB = Prepared(insert_into(job_blobs))
SELECT_JOB_BLOB = Prepared(
    select(job_blobs.c.sha256)
    .join(jobs, jobs.c.sequence == job_blobs.c.job)
    .where(jobs.c.id == bindparam("job_id"), job_blobs.c.sha256 == bindparam("which_sha256"))
)
# What an owner may name in a new job: its own blobs, and what its other jobs keep.
SELECT_USABLE = Prepared(
    union_all(
        select(blobs.c.sha256).where(_OF_OWNER, blobs.c.whole.is_(True)),
        select(job_blobs.c.sha256)
        .join(jobs, jobs.c.sequence == job_blobs.c.job)
        .where(jobs.c.owner == bindparam("which_owner"), job_blobs.c.sha256 == bindparam("which_sha256")),
    )
)
SELECT_NEEDED = Prepared(
    union_all(
        select(blobs.c.sha256).where(blobs.c.sha256 == bindparam("which_sha256"), blobs.c.whole.is_(True)),
        select(job_blobs.c.sha256).where(job_blobs.c.sha256 == bindparam("which_sha256")),
    )
)
