"""A store on PostgreSQL that several processes write: one order of commits for all, and a database that goes away and comes back."""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest
from postgresql_server import Server
from serving_harness import code, run_cli, scripted, spec
from sqlalchemy import URL
from test_front_ends import wait_until

from gradwire.services.client import Client
from gradwire.services.connections import StoreUrlError, open_engine, parse_store, shown, transaction
from gradwire.services.errors import JobNotFoundError, StorageError
from gradwire.services.listing.pages import Query
from gradwire.services.migrations import VersionError, prepare_tables
from gradwire.services.service import Address, Service
from gradwire.services.states import JobState
from gradwire.services.store import Change, NewJob, Store
from gradwire.workers import reports as w


class Ear:
    """Hears a store's changes, and keeps what it heard by job."""

    def __init__(self, store: Store) -> None:
        self.events: dict[str, list[int]] = {}
        self.newest: dict[str, JobState] = {}
        store.listen(self.hear)

    def hear(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self.events.setdefault(change.job.id, []).extend(event.number for event in change.events)
            self.newest[change.job.id] = change.job.state


def test_each_process_hears_all_commits_of_all_once_and_in_order(database: URL) -> None:
    stores = [Store(database) for _ in range(3)]
    ears = [Ear(store) for store in stores]

    def work(store: Store, name: str) -> None:
        for k in range(10):
            job_id = f"{name}-{k}"
            store.submit(NewJob(job_id, spec())).result()
            store.begin_attempt(job_id, "room", 8).result()
            futures = [
                store.take_reports(job_id, 1, 1, [(n, w.LogLine(0, "stdout", str(n)))]) for n in range(1, 6)
            ]
            for future in futures:
                future.result()
            # Two write the same job.
            stores[0].request_cancel(job_id).result()
            store.end(job_id, 1, JobState.CANCELLED, "cancelled").result()

    threads = [
        threading.Thread(target=work, args=(store, name)) for store, name in zip(stores, "abc", strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = {job.id: job.last_event for job in stores[0].page(Query(100)).jobs}
    assert len(last) == 30
    for ear in ears:
        wait_until(lambda ear=ear: set(ear.newest.values()) == {JobState.CANCELLED} and len(ear.newest) == 30)
        assert ear.events == {job_id: list(range(1, number + 1)) for job_id, number in last.items()}
    for store in stores:
        store.close()


def test_more_changes_than_a_page_are_heard_of_whole(database: URL) -> None:
    first, second = Store(database), Store(database)
    ear = Ear(second)
    for k in range(3):
        first.submit(NewJob(f"j{k}", spec())).result()
        first.begin_attempt(f"j{k}", "room", 8).result()
    lines = [(n, w.LogLine(0, "stdout", str(n))) for n in range(1, 1501)]
    futures = [first.take_reports(f"j{k}", 1, 1, lines) for k in range(3)]
    for future in futures:
        future.result()
    wait_until(lambda: all(ear.events.get(f"j{k}", [0])[-1] == 1502 for k in range(3)))
    assert all(ear.events[f"j{k}"] == list(range(1, 1503)) for k in range(3))
    first.close()
    second.close()


def test_a_store_whose_connections_are_cut_goes_on_and_hears_what_it_missed(database: URL) -> None:
    first, second = Store(database), Store(database)
    ear = Ear(second)
    first.submit(NewJob("a", spec())).result()
    address = {"host": str(database.query["host"]), "user": database.username, "dbname": database.database}
    for k in range(3):
        with psycopg.connect(autocommit=True, **address) as connection:  # type: ignore[arg-type]
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        # What is asked for of a connection that was cut fails once, and says that it may be tried again.
        for _ in range(20):
            try:
                first.submit(NewJob(f"b{k}", spec(), f"request-{k}")).result()
                break
            except StorageError as error:
                assert "could not write" in str(error) or "does not answer" in str(error)
        else:
            pytest.fail("the store did not come back")
    wait_until(lambda: set(ear.events) == {"a", "b0", "b1", "b2"})
    assert all(numbers == [1] for numbers in ear.events.values())
    first.close()
    second.close()


def test_a_service_outlives_its_database_and_its_jobs_do_not_notice(tmp_path: Path) -> None:
    server = Server()
    try:
        service = Service(tmp_path / "home", scripted, Address("127.0.0.1", 0), store=server.new())
        with Client(str(service.start()), retry_for_s=60) as client:
            job = client.submit(code(), overrides={"steps": "60", "hold_at": "4"})
            wait_until(lambda: job.get().step == 3)
            for _ in range(2):
                server.stop()
                with Client(str(service.address), retry_for_s=0) as hasty, pytest.raises(StorageError):
                    hasty.submit(code())
                server.start()
            assert job.get().step == 3
            (tmp_path / "home" / "jobs" / job.id / "go").touch()
            assert job.wait().state == JobState.SUCCEEDED
            assert job.get().attempt == 1
            assert client.submit(code(), overrides={"steps": "2"}).wait().state == JobState.SUCCEEDED
        service.stop()
    finally:
        server.close()


def test_a_front_end_that_stands_still_within_a_change_does_not_keep_others_from_writing_for_long(
    database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gradwire.services.connections.IDLE_S", 1)
    store, engine = Store(database), open_engine(database)
    began = time.monotonic()
    with pytest.raises(StorageError), transaction(engine) as connection:
        connection.exec_driver_sql("SELECT 1")
        # It holds the turn, and says nothing more.
        store.submit(NewJob("a", spec())).result(60)
        assert time.monotonic() - began >= 0.5
        connection.exec_driver_sql("SELECT 1")
    assert store.get("a").state == JobState.QUEUED
    store.close()
    engine.dispose()


def test_tables_are_not_migrated_while_a_front_end_uses_them(
    database: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(database)
    Ear(store)
    engine = open_engine(database)
    with transaction(engine) as connection:
        connection.exec_driver_sql("UPDATE store_version SET version = version - 1")
    with pytest.raises(VersionError, match="front ends still use it"):
        prepare_tables(engine)
    store.close()
    engine.dispose()


def test_an_id_that_postgresql_cannot_hold_names_no_job(database: URL) -> None:
    store = Store(database)
    for ask in (
        store.get,
        lambda job_id: store.events(job_id, 0),
        lambda job_id: store.request_cancel(job_id).result(),
    ):
        with pytest.raises(JobNotFoundError):
            ask("a\0b")
    store.close()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgresql://u:secret@h", "the name of the database is missing"),
        ("mysql://u:secret@h/d", "not mysql://…"),
        ("sqlite:///secret", "not sqlite://…"),
        ("secret", "expected postgresql://USER@HOST/DATABASE"),
        ("postgresql://u@h/d?password=secret", "password can't be part of the URL's query"),
        ("postgresql://u:secret@h:x/d", "expected postgresql://USER@HOST/DATABASE"),
    ],
)
def test_a_url_that_names_no_store_is_refused_without_its_secrets(text: str, told: str) -> None:
    with pytest.raises(StoreUrlError) as caught:
        parse_store(text)
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


def test_passwords_are_masked_and_kept_out_of_arguments_logs_and_errors(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = parse_store("postgresql://ann:s3cr3t@127.0.0.1:1/jobs")
    assert shown(url) == "postgresql://ann:***@127.0.0.1:1/jobs"
    assert "s3cr3t" not in f"{url} {open_engine(url)}"
    with caplog.at_level(logging.DEBUG), pytest.raises(StorageError, match="does not answer") as caught:
        Store(url)
    assert "s3cr3t" not in str(caught.value) + caplog.text
    text = "postgresql://ann:s3cr3t@127.0.0.1:1/jobs"
    given = run_cli("serve", "--store", text, "--home", str(tmp_path / "home"))
    assert given.returncode == 2
    assert "GRADWIRE_STORE" in given.stderr
    for command in ("serve", "audit", "backup"):
        rest = [str(tmp_path / "b")] if command == "backup" else []
        told = run_cli(command, *rest, "--home", str(tmp_path / "home"), environment={"GRADWIRE_STORE": text})
        assert told.returncode == 3, told.stderr
        assert "does not answer" in told.stderr
        assert "s3cr3t" not in given.stderr + told.stdout + told.stderr
