"""Makes the tables of a new job store, and brings those of an older version to the present one. Used by store.py.

A migration is one transaction: a store that is killed within it is as it was.
"""

from collections.abc import Callable

from sqlalchemy import Connection, Engine, insert, inspect, select

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import schema


def prepare_tables(engine: Engine) -> None:
    """Makes or migrates the tables. Raises RuntimeError for those of a newer version."""
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            _prepare(connection)
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def _prepare(connection: Connection) -> None:
    table = schema.store_version
    version = None
    if inspect(connection).has_table(table.name):
        version = connection.execute(select(table.c.version)).scalar()
    if version is None:
        schema.metadata.create_all(connection)
        connection.execute(insert(table), {"version": schema.VERSION})
        return
    if version > schema.VERSION:
        raise RuntimeError(
            f"the job store {connection.engine.url.database} has version {version}, this gradwire knows "
            f"{schema.VERSION}: use the gradwire that wrote it, or another --home"
        )
    for older in range(version, schema.VERSION):
        _MIGRATIONS[older](connection)
    connection.execute(table.update().values(version=schema.VERSION))


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


_MIGRATIONS: dict[int, Callable[[Connection], None]] = {1: _from_1}
