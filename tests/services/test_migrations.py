"""A store that an older gradwire wrote opens, and its jobs go on."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from postgresql_server import Server
from serving_harness import spec
from sqlalchemy import URL
from sqlalchemy.exc import IntegrityError

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages, schema, series
from gradwire.services import records as r
from gradwire.services.connections import transaction
from gradwire.services.errors import RequestReusedError
from gradwire.services.launcher import Capacity
from gradwire.services.listing.pages import Query
from gradwire.services.security.callers import Caller, Scope
from gradwire.services.states import JobState
from gradwire.services.store import NewJob, Store, encode_code
from gradwire.workers import reports as w

VERSION_1 = """
CREATE TABLE store_version (version INTEGER NOT NULL, PRIMARY KEY (version));
CREATE TABLE code (sha256 VARCHAR(64) NOT NULL, body BLOB NOT NULL, PRIMARY KEY (sha256));
CREATE TABLE jobs (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, id VARCHAR(64) NOT NULL, spec BLOB NOT NULL,
    code_sha256 VARCHAR(64) NOT NULL, state INTEGER NOT NULL, priority INTEGER NOT NULL,
    create_time_us INTEGER NOT NULL, start_time_us INTEGER, end_time_us INTEGER, workers INTEGER NOT NULL,
    step INTEGER NOT NULL, total_steps INTEGER NOT NULL, epochs INTEGER NOT NULL,
    evaluated_step INTEGER NOT NULL, checkpoint_step INTEGER NOT NULL, last_event INTEGER NOT NULL,
    metrics VARCHAR NOT NULL, evaluation_metrics VARCHAR NOT NULL, parameters_sha256 VARCHAR(64) NOT NULL,
    error BLOB, checkpoint VARCHAR NOT NULL, attempt INTEGER NOT NULL, losses INTEGER NOT NULL,
    incarnation INTEGER NOT NULL, report INTEGER NOT NULL, first_step_seconds FLOAT NOT NULL,
    cancel_requested BOOLEAN NOT NULL,
    UNIQUE (id), FOREIGN KEY(code_sha256) REFERENCES code (sha256));
CREATE INDEX jobs_by_state ON jobs (state, sequence);
CREATE TABLE events (
    sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL, number INTEGER NOT NULL,
    body BLOB NOT NULL, UNIQUE (job, number), FOREIGN KEY(job) REFERENCES jobs (sequence));
CREATE TABLE requests (
    request_id VARCHAR(64) NOT NULL, sha256 VARCHAR(64) NOT NULL, job INTEGER NOT NULL,
    PRIMARY KEY (request_id), FOREIGN KEY(job) REFERENCES jobs (sequence));
INSERT INTO store_version VALUES (1);
"""


def write_version_1(path: Path, workers: list[int], states: list[JobState]) -> None:
    """A store as version 1 wrote it, with one job a number of workers, named job-1, job-2, …"""
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1)
        body, sha256 = encode_code(spec().code)
        connection.execute("INSERT INTO code VALUES (?, ?)", (sha256, body))
        for number, (count, state) in enumerate(zip(workers, states, strict=True), start=1):
            old = pb.JobSpec(name="old", workers=count, shards=8, device="cpu", threads_per_worker=1)
            old.code.entrypoint = "job.py"
            held = count if state.holds_workers else 0
            row: list[object] = [number, f"job-{number}", old.SerializeToString(), sha256, int(state), 0]
            row += [10**15, None, None, held, 7, 100, 2, 0, 0, 1, '{"loss": 0.5}', "{}", ""]
            row += [None, "/c", 1, 0, 1, 5, 0.25, 0]
            connection.execute(f"INSERT INTO jobs VALUES ({', '.join('?' * len(row))})", row)
            event = pb.Event(number=1)
            event.state_changed.state = messages.state_to_message(state)
            connection.execute(
                "INSERT INTO events (job, number, body) VALUES (?, 1, ?)", (number, event.SerializeToString())
            )
    connection.close()


def test_jobs_of_version_1_are_there_with_what_they_had_and_can_be_steered(tmp_path: Path) -> None:
    states = [JobState.RUNNING, JobState.QUEUED, JobState.SUCCEEDED]
    write_version_1(tmp_path / "jobs.db", [2, 3, 4], states)
    store = Store(tmp_path / "jobs.db")
    jobs = [store.get(f"job-{k}") for k in (1, 2, 3)]
    assert [job.state for job in jobs] == states
    assert [job.wanted_workers for job in jobs] == [2, 3, 4]
    assert [job.workers for job in jobs] == [2, 0, 0]
    assert (jobs[0].step, jobs[0].metrics, jobs[0].checkpoint) == (7, {"loss": 0.5}, "/c")
    assert not jobs[0].pause_requested
    assert (jobs[0].options_history, jobs[0].wanted_options, jobs[0].chain) == ((), {}, "")
    assert len(store.events("job-1", 0)[0]) == 1
    assert store.code("job-2") == spec().code
    store.request_pause("job-1").result()
    store.request_resize("job-2", 5, Capacity(8, 0)).result()
    store.request_update("job-2", r.Update({"lr": 0.5}, priority=4)).result()
    store.submit(NewJob("new", spec())).result()
    store.close()
    again = Store(tmp_path / "jobs.db")
    assert again.get("job-1").pause_requested
    second = again.get("job-2")
    assert (second.wanted_workers, second.wanted_options, second.spec.priority) == (5, {"lr": 0.5}, 4)
    assert [job.id for job in again.page(Query(9)).jobs] == ["new", "job-3", "job-2", "job-1"]
    again.close()


def test_a_migrated_store_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    write_version_1(tmp_path / "old.db", [1], [JobState.QUEUED])
    found = {}
    for name in ("old.db", "new.db"):
        Store(tmp_path / name).close()
        with sqlite3.connect(tmp_path / name) as connection:
            listed = connection.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")
            found[name] = {
                (*each, row[1], row[2], row[3], row[5])
                for each in listed.fetchall()
                for row in connection.execute(f"PRAGMA {each[0]}_xinfo({each[1]})").fetchall()
            }
            assert connection.execute("SELECT version FROM store_version").fetchall() == [(schema.VERSION,)]
        connection.close()
    assert found["old.db"] == found["new.db"]
    assert {row[1] for row in found["new.db"]} >= {"tokens", "audit", "requests", "jobs_by_owner"}


def test_the_jobs_and_request_ids_of_a_store_without_owners_are_those_of_local(tmp_path: Path) -> None:
    write_version_1(tmp_path / "jobs.db", [1], [JobState.SUCCEEDED])
    request_id = "5d2c3a3e-0000-4000-8000-000000000000"
    sent = NewJob("again", r.JobSpec("old", spec().code, workers=1), request_id)
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        connection.execute("INSERT INTO requests VALUES (?, 'of another spec', 1)", (request_id,))
    connection.close()
    store = Store(tmp_path / "jobs.db")
    assert store.get("job-1").owner == "local"
    with pytest.raises(RequestReusedError, match="for job job-1"):
        store.submit(sent).result()
    assert store.submit(replace(sent, by=Caller("ann", Scope.SUBMIT))).result().job.owner == "ann"
    store.close()


def test_what_jobs_had_told_before_is_found_by_step_and_by_byte(tmp_path: Path) -> None:
    write_version_1(tmp_path / "jobs.db", [1], [JobState.RUNNING])
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        spec_of_it = pb.JobSpec.FromString(connection.execute("SELECT spec FROM jobs").fetchone()[0])
        spec_of_it.labels["team"] = "vision"
        connection.execute("UPDATE jobs SET spec = ?, last_event = 7", (spec_of_it.SerializeToString(),))
        kinds: list[r.EventKind] = [
            r.LogLine(0, "stdout", "é"),
            r.StepFinished(8, 100, 1, 2, {"loss": 0.5}, 4, 0.1, 1),
            r.LogLine(1, "stdout", "other"),
            r.LogLine(0, "stdout", ""),
            r.EvaluationFinished(8, 1, {"loss": 0.25}, 4),
            r.LogLine(0, "stdout", "end"),
        ]
        for number, kind in enumerate(kinds, start=2):
            body = messages.event_to_message(r.Event(number, datetime(2026, 1, 1, tzinfo=UTC), kind))
            connection.execute(
                "INSERT INTO events (job, number, body) VALUES (1, ?, ?)", (number, body.SerializeToString())
            )
    connection.close()
    store = Store(tmp_path / "jobs.db")
    assert series.read_output(store.engine, 1, "stdout", 0, 0) == "é\n\nend\n".encode()
    assert series.read_output(store.engine, 1, "stdout", 0, 4) == b"end\n"
    assert series.read_output(store.engine, 1, "stdout", 1, 0) == b"other\n"
    assert [e.step_finished.metrics["loss"] for e in series.read_steps(store.engine, 1, "step", 1, 9)] == [
        0.5
    ]
    (evaluation,) = series.read_steps(store.engine, 1, "evaluation", 8, 8)
    assert evaluation.evaluation_finished.metrics["loss"] == 0.25
    assert [job.id for job in store.page(Query(9, filter="labels.team = vision name = old")).jobs] == [
        "job-1"
    ]
    store.take_reports("job-1", 1, 1, [(6, w.LogLine(0, "stdout", "more"))]).result()
    (last,) = store.events("job-1", 7)[0]
    assert pb.Event.FromString(last.body).log_line.offset == 8
    store.close()


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    write_version_1(tmp_path / "jobs.db", [1], [JobState.QUEUED])
    with sqlite3.connect(tmp_path / "jobs.db") as connection:
        connection.execute("UPDATE jobs SET spec = X'FF'")
    with pytest.raises(Exception, match="parsing"):
        Store(tmp_path / "jobs.db")
    assert [row[1] for row in connection.execute("PRAGMA table_info(jobs)")][-1] == "cancel_requested"
    assert connection.execute("SELECT version FROM store_version").fetchall() == [(1,)]
    connection.close()


def tables_of(url: URL) -> set[tuple[object, ...]]:
    """Columns, indexes and checks of a database."""
    columns = "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
    with psycopg.connect(host=str(url.query["host"]), user=url.username, dbname=url.database) as connection:
        found = connection.execute(f"{columns} WHERE table_schema = 'public'").fetchall()
        found += connection.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'").fetchall()
        found += connection.execute(
            "SELECT count(*) FROM pg_constraint WHERE contype IN ('c', 'f')"
        ).fetchall()
        found += connection.execute("SELECT sequencename FROM pg_sequences").fetchall()
    return set(found)


def test_a_migrated_store_on_postgresql_has_the_tables_of_a_new_one(
    postgresql: Server, database: URL
) -> None:
    old = postgresql.new(empty=True)
    with psycopg.connect(host=str(old.query["host"]), user=old.username, dbname=old.database) as connection:
        connection.execute((Path(__file__).parent / "postgresql_version_4.sql").read_bytes())
    store = Store(old)
    job = store.get("old")
    assert (job.state, job.owner, job.wanted_workers, job.last_event) == (JobState.QUEUED, "ann", 2, 1)
    store.begin_attempt("old", "room", 2).result()
    store.submit(NewJob("new", spec())).result()
    assert [each.id for each in store.page(Query(9)).jobs] == ["new", "old"]
    store.close()
    assert tables_of(old) == tables_of(database)


def test_a_state_that_is_none_cannot_be_stored_however_the_tables_were_made(
    tmp_path: Path, database: URL
) -> None:
    write_version_1(tmp_path / "old.db", [1], [JobState.QUEUED])
    for where in (tmp_path / "old.db", tmp_path / "new.db", database):
        store = Store(where)
        store.submit(NewJob("a", spec())).result()
        for state in (0, 10):
            with (
                pytest.raises(IntegrityError, match=r"(?i)check constraint"),
                transaction(store.engine) as connection,
            ):
                connection.exec_driver_sql(f"UPDATE jobs SET state = {state}")
        assert store.get("a").state == JobState.QUEUED
        store.close()
