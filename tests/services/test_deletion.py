"""Jobs are deleted, taken back, and gone for good when their time is over, whatever happens meanwhile."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from serving_harness import code, spec
from sqlalchemy import func, select

from gradwire.services import kill_points, schema, series
from gradwire.services import records as r
from gradwire.services.client import Client
from gradwire.services.connections import Where
from gradwire.services.errors import EtagError, JobNotFoundError, JobStateError
from gradwire.services.home import Home
from gradwire.services.listing.pages import Query
from gradwire.services.purging import Purger
from gradwire.services.security import audit
from gradwire.services.security.callers import LOCAL
from gradwire.services.service import Service
from gradwire.services.states import JobState
from gradwire.services.store import NewJob, Store
from gradwire.workers import reports as w

DAY = timedelta(days=1)


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Kept:
    """A store and its home, and the purger of both."""

    def __init__(self, home: Path) -> None:
        self.clock = Clock()
        self.home = Home(home)
        self.store = Store(self.home.store, self.clock)
        self.held: set[str] = set()
        self.purger = Purger(self.store, self.home, self.held.__contains__, self.clock)

    def ended(self, job_id: str, text: str = "pass\n", events: int = 0) -> None:
        """A cancelled job with a folder, labels, a request id and events."""
        given = r.JobSpec(job_id, code(text), labels={"team": "a"})
        self.store.submit(NewJob(job_id, given, f"request-{job_id}")).result()
        self.store.begin_attempt(job_id, "room", 1).result()
        lines = [(k, w.LogLine(0, "stdout", str(k))) for k in range(1, events + 1)]
        self.store.take_reports(job_id, 1, 1, lines).result()
        self.store.end(job_id, 1, JobState.CANCELLED, "enough").result()
        checkpoint = self.home.checkpoints(job_id)
        checkpoint.mkdir(parents=True)
        (checkpoint / "weights").write_bytes(b"w" * 100)

    def rows(self) -> dict[str, int]:
        with self.store.engine.connect() as connection:
            return {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in (schema.jobs, schema.events, schema.labels, schema.requests, schema.code)
            }

    def close(self) -> None:
        self.store.close()
        self.home.close()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    opened = Kept(tmp_path / "home")
    yield opened
    opened.close()


def test_a_deleted_job_leaves_lists_and_can_be_taken_back(client: Client) -> None:
    job = client.submit(code(), overrides={"steps": "2"})
    other = client.submit(code(), overrides={"steps": "1"})
    job.wait()
    deleted = job.delete()
    assert deleted.delete_time is not None and deleted.expire_time is not None
    assert deleted.expire_time - deleted.delete_time == timedelta(days=30)
    assert job.delete() == deleted
    assert [each.id for each in client.jobs()] == [other.id]
    assert [each.id for each in client.jobs(show_deleted=True)] == [other.id, job.id]
    assert job.get() == deleted
    assert len(list(job.watch())) == deleted.last_event
    with pytest.raises(JobStateError, match="undelete it first"):
        job.update(labels={"a": "b"})
    back = job.undelete()
    assert (back.delete_time, back.expire_time) == (None, None)
    assert job.undelete() == back
    assert [each.id for each in client.jobs()] == [other.id, job.id]
    other.wait()


def test_a_job_that_has_not_ended_is_not_deleted(client: Client) -> None:
    job = client.submit(code(), overrides={"steps": "2", "hold_at": "1"})
    with pytest.raises(JobStateError, match="cancel it, and delete it when it has ended"):
        job.delete()
    assert job.get().delete_time is None
    with pytest.raises(JobNotFoundError):
        client.job("none").delete()
    job.cancel()


def test_every_change_asks_for_the_etag_that_the_caller_saw(service: Service, client: Client) -> None:
    job = client.submit(code(), overrides={"steps": "3", "hold_at": "2"})
    seen = job.get()
    assert seen.etag.startswith('"') and seen.etag.endswith('"')
    for event in job.watch():
        if isinstance(event.kind, r.StepFinished):
            break
    # Its progress is no change of its owner's.
    assert job.get().step == 1
    assert job.get().etag == seen.etag
    changed = job.update(labels={"team": "a"}, etag=seen.etag)
    assert changed.etag != seen.etag
    for change in (
        lambda: job.cancel(etag=seen.etag),
        lambda: job.pause(etag=seen.etag),
        lambda: job.resume(etag=seen.etag),
        lambda: job.resize(2, etag=seen.etag),
        lambda: job.update(priority=3, etag=seen.etag),
        lambda: job.delete(etag=seen.etag),
    ):
        with pytest.raises(EtagError, match="Get it again") as caught:
            change()
        assert caught.value.metadata == {"job": job.id, "etag": changed.etag, "given": seen.etag}
    assert job.get().etag == changed.etag
    assert job.get().spec.priority == 0
    etags = {seen.etag, changed.etag}
    for step in (
        lambda etag: job.resize(2, etag=etag),
        lambda etag: job.update(lr=0.5, etag=etag),
        lambda etag: job.update(priority=3, etag=etag),
        lambda etag: job.cancel(etag=etag),
    ):
        etags.add(step(job.get().etag).etag)
    assert len(etags) == 6
    ended = job.wait()
    assert job.delete(etag=ended.etag).etag != ended.etag


def test_what_is_left_goes_when_the_time_is_over_and_not_before(kept: Kept) -> None:
    kept.ended("a", events=5)
    kept.ended("b", events=3)
    kept.store.request_delete("a", DAY).result()
    kept.clock.now += DAY - timedelta(seconds=1)
    assert kept.purger.sweep() == 0
    assert kept.store.get("a").delete_time is not None
    kept.clock.now += timedelta(seconds=1)
    # Its time is over: nobody takes it back, though it is still there.
    with pytest.raises(JobNotFoundError):
        kept.store.request_undelete("a").result()
    kept.held.add("a")
    assert kept.purger.sweep() == 0
    kept.held.clear()
    assert kept.purger.sweep() == 1
    with pytest.raises(JobNotFoundError):
        kept.store.get("a")
    with pytest.raises(JobNotFoundError):
        kept.store.events("a", 0)
    assert not kept.home.job("a").exists()
    assert (kept.home.checkpoints("b") / "weights").exists()
    # The code is b's as well.
    events = kept.store.get("b").last_event
    assert kept.rows() == {"jobs": 1, "events": events, "labels": 1, "requests": 1, "code": 1}
    assert [row.action for row in audit.read(kept.store.engine, 1, "a")] == ["PurgeJob"]
    # The request id is free again.
    kept.store.submit(NewJob("new", spec("new"), "request-a")).result()
    assert [job.id for job in kept.store.page(Query(9, show_deleted=True)).jobs] == ["new", "b"]


def test_code_goes_with_the_last_job_that_has_it(kept: Kept) -> None:
    kept.ended("a", "x = 1\n")
    kept.ended("b", "x = 2\n")
    kept.store.request_delete("a", timedelta(0)).result()
    assert kept.rows()["code"] == 2
    assert kept.purger.sweep() == 1
    assert kept.rows()["code"] == 1
    assert kept.store.code("b").files[0].content == b"x = 2\n"


KILLED = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from gradwire.services import kill_points, purging
from gradwire.services.home import Home
from gradwire.services.store import Store
home = Home(Path(sys.argv[1]))
store = Store(home.store)
kill_points.arm(sys.argv[2])
purging.Purger(store, home, lambda job: False, lambda: datetime.now(UTC)).sweep()
"""


@pytest.mark.parametrize("point", kill_points.PURGE_POINTS)
def test_a_service_that_is_killed_while_a_job_goes_makes_an_end_of_it_later(
    tmp_path: Path, point: str
) -> None:
    kept = Kept(tmp_path / "home")
    kept.ended("a", events=4000)
    kept.store.request_delete("a", timedelta(0), LOCAL).result()
    kept.close()
    program = [sys.executable, "-c", KILLED, str(tmp_path / "home"), point]
    assert subprocess.run(program, timeout=60).returncode == -9
    again = Kept(tmp_path / "home")
    # Whatever is there still, nobody sees it, and no clock that was set back brings it back.
    again.clock.now = datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(JobNotFoundError):
        again.store.get("a")
    with pytest.raises(JobNotFoundError):
        again.store.request_undelete("a").result()
    assert again.store.page(Query(9, show_deleted=True)).jobs == ()
    assert again.rows()["jobs"] == 1
    assert again.purger.sweep() == 1
    assert set(again.rows().values()) == {0}
    assert not again.home.job("a").exists()
    again.close()


def test_both_kinds_of_database_let_all_of_a_job_go(where: Where, tmp_path: Path) -> None:
    clock = Clock()
    home, store = Home(tmp_path / "home"), Store(where, clock)
    store.submit(NewJob("a", r.JobSpec("a", code(), labels={"team": "a"}), "request-a")).result()
    store.begin_attempt("a", "room", 1).result()
    lines = [(k, w.LogLine(0, "stdout", str(k))) for k in range(1, 2500)]
    store.take_reports("a", 1, 1, [*lines, (2500, w.StepFinished(1, 1, {"loss": 1.0}, 8, 0.5))]).result()
    sequence = store.check_visible("a", LOCAL)
    printed = b"".join(b"%d\n" % k for k in range(1, 2500))
    found = b""
    while part := series.read_output(store.engine, sequence, "stdout", 0, len(found)):
        found += part
    assert found == printed
    assert [e.step_finished.step for e in series.read_steps(store.engine, sequence, "step", 1, 9)] == [1]
    store.end("a", 1, JobState.CANCELLED, "enough").result()
    store.request_delete("a", DAY).result()
    clock.now += DAY
    assert Purger(store, home, lambda job: False, clock).sweep() == 1
    with pytest.raises(JobNotFoundError):
        store.get("a")
    with store.engine.connect() as connection:
        for table in (schema.jobs, schema.events, schema.labels, schema.requests, schema.code):
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0
    store.close()
    home.close()
