"""Random histories of uploads, deletions, jobs and restarts against a model: each owner sees its own, bytes stay as long as needed."""

import hashlib
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from serving_harness import code

from gradwire.services import records as r
from gradwire.services.blobs import rows, tables
from gradwire.services.blobs.keeping import Blobs, Upload
from gradwire.services.blobs.naming import path_of
from gradwire.services.errors import (
    BlobDamagedError,
    BlobNotFoundError,
    InvalidRequestError,
    UploadOffsetError,
)
from gradwire.services.security.callers import Caller, Scope
from gradwire.services.store import NewJob, Store

BODIES = [b"one" * 5, b"two" * 40, b"", b"three" * 7]
OWNERS = ["ann", "bob"]
owners, bodies, shares = (
    st.sampled_from(OWNERS),
    st.sampled_from(BODIES),
    st.sampled_from([1, 1, 1, 0.5, 0.1]),
)


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class Histories(RuleBasedStateMachine):
    """`whole` and `came` are what each owner has, `kept` what each job needs; all by content."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.open()
        self.whole: dict[str, set[bytes]] = {owner: set() for owner in OWNERS}
        self.came: dict[tuple[str, bytes], int] = {}
        self.kept: dict[str, tuple[str, bytes]] = {}
        self.left: set[bytes] = set()
        self.jobs = 0

    def open(self) -> None:
        self.store = Store(self.folder / "jobs.db")
        self.blobs = Blobs(self.store, self.folder / "blobs")

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def begin(self, owner: str, body: bytes, offset: int) -> Upload | r.Blob:
        return self.blobs.begin(Caller(owner, Scope.SUBMIT), sha(body), len(body), offset)

    @rule(owner=owners, body=bodies, share=shares)
    def upload_some(self, owner: str, body: bytes, share: float) -> None:
        """From where it can go on, a part of the rest or all of it."""
        offset = self.came.get((owner, body), 0)
        upload = self.begin(owner, body, offset)
        if body in self.whole[owner]:
            assert isinstance(upload, r.Blob) and upload.received == len(body)
            return
        assert isinstance(upload, Upload)
        end = offset + round(share * (len(body) - offset))
        upload.write(body[offset:end])
        blob = upload.finish()
        upload.close()
        if end == len(body):
            assert blob.received == len(body)
            self.whole[owner].add(body)
            self.came.pop((owner, body), None)
            self.left.discard(body)
        else:
            assert blob.received == end
            self.came[owner, body] = end

    @rule(owner=owners, body=bodies)
    def upload_from_too_far(self, owner: str, body: bytes) -> None:
        came = self.came.get((owner, body), 0)
        if body in self.whole[owner] or came + 2 > len(body):
            return
        with pytest.raises(UploadOffsetError) as caught:
            self.begin(owner, body, came + 1)
        assert caught.value.received == came
        self.came.setdefault((owner, body), 0)

    @rule(owner=owners, body=bodies)
    def upload_other_bytes(self, owner: str, body: bytes) -> None:
        if body in self.whole[owner] or not body:
            return
        upload = self.begin(owner, body, 0)
        assert isinstance(upload, Upload)
        upload.write(b"!" * len(body))
        with pytest.raises(BlobDamagedError):
            upload.finish()
        upload.close()
        self.came.pop((owner, body), None)

    @rule(owner=owners, body=bodies)
    def delete_any(self, owner: str, body: bytes) -> None:
        self.delete(owner, body)

    def delete(self, owner: str, body: bytes) -> None:
        by = Caller(owner, Scope.SUBMIT)
        if body in self.whole[owner] or (owner, body) in self.came:
            self.blobs.delete(by, sha(body))
            self.whole[owner].discard(body)
            self.came.pop((owner, body), None)
            self.left.discard(body)
        else:
            with pytest.raises(BlobNotFoundError):
                self.blobs.delete(by, sha(body))

    @precondition(lambda self: any(self.whole.values()))
    @rule(which=st.integers(0, 100))
    def delete_one_of_them(self, which: int) -> None:
        there = sorted((owner, body) for owner, whole in self.whole.items() for body in whole)
        self.delete(*there[which % len(there)])

    @rule(owner=owners, body=bodies)
    def submit(self, owner: str, body: bytes) -> None:
        """A job may name what its owner has, or what another job of that owner keeps."""
        self.jobs += 1
        name = f"job-{self.jobs}"
        data = {"train_data": f"blob:{sha(body)}#npz", "eval_data": f"blob:{sha(body)}#npz"}
        new = NewJob(name, r.JobSpec(name, code(), data=data), by=Caller(owner, Scope.SUBMIT))
        if body in self.whole[owner] or (owner, body) in self.kept.values():
            self.store.submit(new).result()
            self.kept[name] = (owner, body)
        else:
            with pytest.raises(InvalidRequestError, match=r"no blob .* of yours"):
                self.store.submit(new).result()

    @precondition(lambda self: self.kept)
    @rule(which=st.integers(0, 100))
    def purge(self, which: int) -> None:
        """As when a deleted job's time is over: its rows go, the bytes with the next sweep."""
        name = sorted(self.kept)[which % len(self.kept)]
        _, body = self.kept.pop(name)
        with self.store.engine.connect() as connection:
            (sequence,) = connection.exec_driver_sql("SELECT sequence FROM jobs WHERE id = ?", (name,)).one()
        gone = tables.job_blobs.delete().where(tables.job_blobs.c.job == sequence)
        self.store.write(lambda connection: connection.execute(gone).rowcount).result()
        if not self.needed(body):
            self.left.add(body)

    @rule()
    def sweep(self) -> None:
        self.blobs.sweep()
        self.left.clear()

    @rule()
    def sweep_a_day_later(self) -> None:
        self.blobs.sweep(0.0)
        self.came.clear()
        self.left.clear()

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.open()

    def needed(self, body: bytes) -> bool:
        return any(body in whole for whole in self.whole.values()) or any(
            kept == body for _, kept in self.kept.values()
        )

    @invariant()
    def each_owner_sees_its_own(self) -> None:
        for owner in OWNERS:
            found, following = self.blobs.page(Caller(owner, Scope.ADMIN), 100, 2**62)
            assert following == 0
            told = {blob.sha256: blob.received for blob in found}
            expected = {sha(body): len(body) for body in self.whole[owner]}
            expected |= {sha(body): came for (who, body), came in self.came.items() if who == owner}
            assert told == expected

    @invariant()
    def bytes_are_there_as_long_as_they_are_needed(self) -> None:
        for body in BODIES:
            path = path_of(self.folder / "blobs", sha(body))
            assert path.exists() == (self.needed(body) or body in self.left)
            if path.exists():
                assert path.read_bytes() == body
                assert path.stat().st_nlink == 1
        with self.store.engine.connect() as connection:
            for owner in OWNERS:
                stored = sum(map(len, self.whole[owner]))
                stored += sum(len(body) for who, body in self.came if who == owner)
                assert rows.stored_bytes(connection, owner) == stored


FIXED = settings(
    max_examples=25,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class TestHistories(Histories.TestCase):  # type: ignore[name-defined,misc]
    settings = FIXED


@pytest.mark.long
class TestManyHistories(Histories.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(FIXED, max_examples=3000, stateful_step_count=60, derandomize=False)
