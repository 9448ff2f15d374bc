"""A backup that is made while the service works holds all that was answered before, and a service goes on from it."""

import json
import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from postgresql_server import Server
from serving_harness import code, run_cli, scripted, spec
from sqlalchemy import URL
from test_front_ends import wait_until

from gradwire.services import records as r
from gradwire.services.backup import BackupError, back_up, restore
from gradwire.services.client import Client
from gradwire.services.connections import Where, open_engine
from gradwire.services.lease import lease_holder
from gradwire.services.security.callers import LOCAL, Scope
from gradwire.services.service import Address, Service
from gradwire.services.states import JobState
from gradwire.services.store import NewJob, Store


def url_of(where: Where) -> URL | None:
    return where if isinstance(where, URL) else None


@pytest.fixture
def empty(where: Where, request: pytest.FixtureRequest) -> Where:
    """A place to restore to, of the same kind as `where`."""
    if isinstance(where, Path):
        return where
    server: Server = request.getfixturevalue("postgresql")
    return server.new(empty=True)


def begun(home: Path, where: Where) -> Service:
    service = Service(home, scripted, Address("127.0.0.1", 0), store=url_of(where))
    service.start()
    return service


def test_a_service_goes_on_from_a_backup_that_was_made_under_load(
    where: Where, empty: Where, tmp_path: Path
) -> None:
    first = begun(tmp_path / "home", where)
    token, secret = first.tokens.create("ann", Scope.SUBMIT, timedelta(days=1), LOCAL)
    enough, answered = threading.Event(), dict[str, str]()
    with Client(str(first.address)) as client:
        ended = client.submit(code(), overrides={"steps": "4"})
        assert ended.wait().state == JobState.SUCCEEDED
        kept = ended.get(), list(ended.watch()), ended.checkpoints()
        held = client.submit(code(), overrides={"steps": "8", "hold_at": "6"})
        wait_until(lambda: held.get().step == 5)

        def submit() -> None:
            with Client(str(first.address)) as other:
                while not enough.is_set():
                    request_id = str(uuid.uuid4())
                    answered[request_id] = other.submit(code(), workers=8, request_id=request_id).id

        threads = [threading.Thread(target=submit) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answered) > 20)
        before = dict(answered)
        made = back_up(tmp_path / "home", url_of(where), tmp_path / "backup")
        enough.set()
        for thread in threads:
            thread.join()
        for job in client.jobs():
            client.job(job.id).cancel()
    first.stop()
    assert made.jobs >= len(before) + 2
    assert made.complete

    assert restore(tmp_path / "backup", tmp_path / "restored", url_of(empty)) == made
    second = begun(tmp_path / "restored", empty)
    try:
        with Client(str(second.address)) as client:
            again = client.job(ended.id)
            assert (again.get(), list(again.watch())) == kept[:2]
            assert [(c.step, [f.sha256 for f in c.files]) for c in again.checkpoints()] == [
                (c.step, [f.sha256 for f in c.files]) for c in kept[2]
            ]
            # Asked again, each request gives the job it gave.
            for request_id, job_id in before.items():
                assert client.submit(code(), workers=8, request_id=request_id).id == job_id
            going = client.job(held.id)
            wait_until(lambda: going.get().attempt == 2)
            (tmp_path / "restored" / "jobs" / held.id / "go").touch()
            assert going.wait().state == JobState.SUCCEEDED
            steps = [event.kind.step for event in going.watch() if isinstance(event.kind, r.StepFinished)]
            assert steps == list(range(1, 9))
            for job in client.jobs():
                client.job(job.id).cancel()
        found = second.tokens.find(secret)
        assert found is not None
        assert (found.id, found.owner) == (token.id, "ann")
    finally:
        second.stop()


def a_backup(where: Where, tmp_path: Path) -> Path:
    store = Store(where)
    store.submit(NewJob("a", spec())).result()
    store.close()
    (tmp_path / "jobs" / "a" / "code").mkdir(parents=True)
    (tmp_path / "jobs" / "a" / "code" / "job.py").write_text("pass\n")
    (tmp_path / "jobs" / "a" / "attempts" / "1").mkdir(parents=True)
    (tmp_path / "jobs" / "a" / "away").symlink_to("/etc/passwd")
    back_up(tmp_path, url_of(where), tmp_path / "made")
    return tmp_path / "made"


def test_a_backup_holds_plain_files_alone_and_overwrites_nothing(
    where: Where, empty: Where, tmp_path: Path
) -> None:
    made = a_backup(where, tmp_path)
    kept = {str(path.relative_to(made)) for path in made.rglob("*") if not path.is_dir()}
    assert kept - {"store.db", "store.dump"} == {"manifest.json", "jobs/a/code/job.py"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in [made, *made.rglob("*")])
    with pytest.raises(BackupError, match="made is there already"):
        back_up(tmp_path, url_of(where), made)
    # The home itself holds jobs.
    with pytest.raises(BackupError, match="is there already: restore into a home that holds nothing"):
        restore(made, tmp_path, url_of(empty))
    restore(made, tmp_path / "restored", url_of(empty))
    with pytest.raises(BackupError, match="is there already"):
        restore(made, tmp_path / "restored", url_of(empty))
    if isinstance(empty, URL):
        with pytest.raises(BackupError, match="is not empty"):
            restore(made, tmp_path / "another", empty)
    store = Store(empty if isinstance(empty, URL) else tmp_path / "restored" / "jobs.db")
    assert store.get("a").id == "a"
    assert lease_holder(store.engine) is None
    store.close()


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda made: (made / "store.db").write_bytes(b"x" * 9000), "store.db has other bytes"),
        (lambda made: (made / "jobs/a/code/job.py").write_text("psas\n"), "job.py has other bytes"),
        (lambda made: (made / "jobs/a/code/job.py").unlink(), "job.py is missing"),
        (lambda made: (made / "jobs/b").write_text(""), "jobs/b is not in its manifest"),
        (lambda made: (made / "manifest.json").unlink(), "is no backup"),
        (lambda made: (made / "manifest.json").write_text("[]"), "is damaged"),
        (lambda made: (made / "manifest.json").write_text('{"format": 2}'), "of format 2"),
        (
            lambda made: (made / "manifest.json").write_text(
                json.dumps(
                    {
                        **json.loads((made / "manifest.json").read_text()),
                        "files": [{"path": "jobs/../../x", "size": 0, "sha256": ""}],
                    }
                )
            ),
            "no file of a backup",
        ),
    ],
)
def test_a_damaged_backup_is_refused_before_anything_is_written(
    harm: Callable[[Path], object], told: str, tmp_path: Path
) -> None:
    made = a_backup(tmp_path / "jobs.db", tmp_path)
    harm(made)
    with pytest.raises(BackupError, match=told):
        restore(made, tmp_path / "restored", None)
    assert not (tmp_path / "restored").exists()


def test_a_backup_is_of_one_kind_of_store(tmp_path: Path, database: URL) -> None:
    made = a_backup(tmp_path / "jobs.db", tmp_path)
    with pytest.raises(BackupError, match="was a SQLite file: leave --store out"):
        restore(made, tmp_path / "restored", database)
    with pytest.raises(BackupError, match="no job store"):
        back_up(tmp_path / "nothing", None, tmp_path / "other")


def test_the_commands_tell_what_was_copied(tmp_path: Path) -> None:
    a_backup(tmp_path / "jobs.db", tmp_path)
    done = run_cli("backup", str(tmp_path / "b"), "--home", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["jobs"], told["events"], told["files"], told["complete"]) == (1, 1, 2, True)
    again = run_cli("backup", str(tmp_path / "b"), "--home", str(tmp_path))
    assert again.returncode == 2
    assert "is there already" in again.stderr
    done = run_cli("restore", str(tmp_path / "b"), "--home", str(tmp_path / "restored"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["path"] == str(tmp_path / "restored")
    engine = open_engine(tmp_path / "restored" / "jobs.db")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT id FROM jobs").scalars().all() == ["a"]
    engine.dispose()
