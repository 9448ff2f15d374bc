"""Makes the tables of a new job store, and brings those of an older version to the present one. Used by store.py.

A migration is one transaction: a store that is killed within it is as it was. Those up to version 3 knew SQLite alone; what came
after runs on both kinds of database: columns are added by `_add`, whose words are the dialect's own.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Column, Connection, Engine, insert, inspect, literal, select

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import schema
from gradwire.services.blobs.tables import blobs, job_blobs
from gradwire.services.connections import is_shared, nobody_serves, shown, transaction
from gradwire.services.security.tables import tokens


class VersionError(RuntimeError):
    """The tables are not there, or are of another version."""


def check_version(engine: Engine) -> None:
    """Raises VersionError where the tables are not those of this version."""
    with engine.connect() as connection:
        if (version := _version(connection)) != schema.VERSION:
            raise VersionError(f"version {version}, not {schema.VERSION}")


def prepare_tables(engine: Engine) -> None:
    """Makes or migrates the tables. Raises VersionError for those of a newer version, or that others use."""
    with transaction(engine) as connection:
        _prepare(connection)


def _version(connection: Connection) -> int | None:
    table = schema.store_version
    if not inspect(connection).has_table(table.name):
        return None
    return connection.execute(select(table.c.version)).scalar()


def _prepare(connection: Connection) -> None:
    table = schema.store_version
    version = _version(connection)
    if version is None:
        # Importing that table has entered it and its neighbours here.
        tokens.metadata.create_all(connection)
        connection.execute(insert(table), {"version": schema.VERSION})
        return
    if version == schema.VERSION:
        return
    if version > schema.VERSION:
        raise VersionError(
            f"the job store {shown(connection.engine.url)} has version {version}, this gradwire knows "
            f"{schema.VERSION}: use the gradwire that wrote it, or another --home or --store"
        )
    if is_shared(connection.engine) and not nobody_serves(connection):
        raise VersionError(
            f"the job store {shown(connection.engine.url)} has version {version} and is to get {schema.VERSION}, but front ends "
            "still use it as it is: stop them all, then start this one"
        )
    for older in range(version, schema.VERSION):
        _MIGRATIONS[older](connection)
    connection.execute(table.update().values(version=schema.VERSION))


def _add(connection: Connection, column: Column[Any], before: object = None, more: str = "") -> None:
    """Adds a column of schema.py to its table; `before` is what it holds in rows that are there, where it can't be NULL."""
    dialect = connection.dialect
    words = f"ALTER TABLE {column.table.name} ADD COLUMN {column.name} {column.type.compile(dialect)}"
    if not column.nullable:
        value = literal(before, column.type).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
        words += f" NOT NULL DEFAULT {value}"
    connection.exec_driver_sql(f"{words} {more}")


def _from_1(connection: Connection) -> None:
    """Jobs that are paused, resized and updated."""
    for column in (
        "pause_requested BOOLEAN NOT NULL DEFAULT 0",
        "wanted_workers INTEGER NOT NULL DEFAULT 1",
        "options_history VARCHAR NOT NULL DEFAULT '[]'",
        "wanted_options VARCHAR NOT NULL DEFAULT '{}'",
        "options_number INTEGER NOT NULL DEFAULT 0",
        "chain VARCHAR(64) NOT NULL DEFAULT ''",
    ):
        connection.exec_driver_sql(f"ALTER TABLE jobs ADD COLUMN {column}")
    rows = connection.exec_driver_sql("SELECT spec, sequence FROM jobs").all()
    wanted = [(pb.JobSpec.FromString(spec).workers, sequence) for spec, sequence in rows]
    if wanted:
        connection.exec_driver_sql("UPDATE jobs SET wanted_workers = ? WHERE sequence = ?", wanted)


def _from_2(connection: Connection) -> None:
    """Jobs have owners, request ids are an owner's own; tokens and the audit log."""
    for statement in (
        "ALTER TABLE jobs ADD COLUMN owner VARCHAR(64) NOT NULL DEFAULT 'local'",
        "CREATE INDEX jobs_by_owner ON jobs (owner, sequence)",
        "CREATE TABLE owned_requests (owner VARCHAR(64) NOT NULL, request_id VARCHAR(64) NOT NULL, "
        "sha256 VARCHAR(64) NOT NULL, job INTEGER NOT NULL, PRIMARY KEY (owner, request_id), "
        "FOREIGN KEY(job) REFERENCES jobs (sequence))",
        "INSERT INTO owned_requests SELECT 'local', request_id, sha256, job FROM requests",
        "DROP TABLE requests",
        "ALTER TABLE owned_requests RENAME TO requests",
        "CREATE TABLE tokens (sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, id VARCHAR(64) NOT NULL UNIQUE, "
        "sha256 VARCHAR(64) NOT NULL UNIQUE, last4 VARCHAR(4) NOT NULL, owner VARCHAR(64) NOT NULL, "
        "scope INTEGER NOT NULL, created_us INTEGER NOT NULL, expires_us INTEGER, revoked_us INTEGER)",
        "CREATE TABLE audit (sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, time_us INTEGER NOT NULL, "
        "owner VARCHAR(64) NOT NULL, token VARCHAR(64) NOT NULL, peer VARCHAR NOT NULL, "
        "action VARCHAR(32) NOT NULL, subject VARCHAR(64) NOT NULL)",
        "CREATE INDEX audit_by_subject ON audit (subject, sequence)",
    ):
        connection.exec_driver_sql(statement)


def _from_3(connection: Connection) -> None:
    """Revisions of jobs, leases, and no state that is none. SQLite adds checks only with columns."""
    _add(connection, schema.jobs.c.revision, 0, "CHECK (state BETWEEN 1 AND 9)")
    connection.exec_driver_sql("UPDATE jobs SET revision = sequence")
    connection.exec_driver_sql("CREATE UNIQUE INDEX jobs_by_revision ON jobs (revision)")
    schema.leases.create(connection)


def _from_4(connection: Connection) -> None:
    """Jobs are found by labels, name and device, deleted and repeated; events by step and by byte of output."""
    jobs, events = schema.jobs, schema.events
    for column in (jobs.c.name, jobs.c.device, jobs.c.replay_of):
        _add(connection, column, "")
    for column in (jobs.c.delete_time_us, jobs.c.expire_time_us, events.c.series, events.c.position):
        _add(connection, column)
    for table, names in (
        (jobs, ("jobs_by_code", "jobs_by_replay", "jobs_by_expiry")),
        (events, ("events_by_position",)),
    ):
        for index in table.indexes:
            if index.name in names:
                index.create(connection)
    schema.labels.create(connection)
    for sequence, body in connection.execute(select(jobs.c.sequence, jobs.c.spec)).all():
        spec = pb.JobSpec.FromString(body)
        of_this = jobs.update().where(jobs.c.sequence == sequence)
        connection.execute(of_this.values(name=spec.name, device=spec.device))
        for key, value in spec.labels.items():
            connection.execute(insert(schema.labels), {"job": sequence, "key": key, "value": value})
        _place_events(connection, sequence)


def _place_events(connection: Connection, job: int) -> None:
    """Gives the events of a job that are there their series and positions."""
    events = schema.events.c
    printed: dict[str, int] = {}
    after = 0
    while rows := connection.execute(
        select(events.number, events.body)
        .where(events.job == job, events.number > after)
        .order_by(events.number)
        .limit(1000)
    ).all():
        after = rows[-1].number
        for number, body in rows:
            event = pb.Event.FromString(body)
            match event.WhichOneof("kind"):
                case "step_finished":
                    series, position = "step", event.step_finished.step
                case "evaluation_finished":
                    series, position = "evaluation", event.evaluation_finished.step
                case "log_line":
                    line = event.log_line
                    series = f"{line.stream}/{line.rank}"
                    position = line.offset = printed.get(series, 0)
                    printed[series] = position + len(line.text.encode()) + 1
                case _:
                    continue
            of_this = schema.events.update().where(events.job == job, events.number == number)
            values = {"body": event.SerializeToString(), "series": series, "position": position}
            connection.execute(of_this.values(**values))


def _from_5(connection: Connection) -> None:
    """Blobs, and which jobs keep which."""
    blobs.create(connection)
    job_blobs.create(connection)


def _from_6(connection: Connection) -> None:
    """What the scheduler keeps of a job, and accounts of owners."""
    jobs = schema.jobs.c
    for column in (jobs.since_us, jobs.not_before_us, jobs.attempt_time_us):
        _add(connection, column)
    for column, before in (
        (jobs.run_seconds, 0.0),
        (jobs.level, 0),
        (jobs.target_workers, 0),
        (jobs.gives_way, False),
        (jobs.ends, "{}"),
        (jobs.stored_bytes, 0),
    ):
        _add(connection, column, before)
    for statement in (
        "UPDATE jobs SET target_workers = workers",
        "UPDATE jobs SET ends = '{\"WORKER_LOSS\": ' || losses || '}' WHERE losses > 0",
        "ALTER TABLE jobs DROP COLUMN losses",
    ):
        connection.exec_driver_sql(statement)
    schema.accounts.create(connection)


_MIGRATIONS: dict[int, Callable[[Connection], None]] = {
    1: _from_1,
    2: _from_2,
    3: _from_3,
    4: _from_4,
    5: _from_5,
    6: _from_6,
}
