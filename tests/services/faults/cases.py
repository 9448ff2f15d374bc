"""What each RPC does under a fault, one case each: how it is called through a client, and what must hold afterwards."""

import hashlib
import importlib
import pkgutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from serving_harness import code
from waiting import wait_until

import gradwire.proto.v1
from gradwire.services import records as r
from gradwire.services.client import Client, RemoteJob
from gradwire.services.errors import BlobNotFoundError
from gradwire.services.scheduling import Quota
from gradwire.services.security.access import Access
from gradwire.services.security.callers import LOCAL, Scope
from gradwire.services.security.token_store import TokenStore
from gradwire.services.states import JobState

# RPCs that the service does not serve yet: this only shrinks.
PENDING: frozenset[str] = frozenset()


def services() -> list[ServiceDescriptor]:
    """Every service of gradwire.v1, found in the generated code."""
    found = []
    for module in pkgutil.iter_modules(gradwire.proto.v1.__path__):
        if module.name.endswith("_pb2"):
            loaded: Any = importlib.import_module(f"gradwire.proto.v1.{module.name}")
            found += list(loaded.DESCRIPTOR.services_by_name.values())
    return found


def methods() -> dict[str, MethodDescriptor]:
    """Every RPC of gradwire.v1, like "Jobs/SubmitJob"."""
    return {f"{service.name}/{method.name}": method for service in services() for method in service.methods}


@dataclass
class Bench:
    """A service with one job that has ended and one that holds all workers, so that later ones stay in the queue."""

    home: Path
    client: Client
    ended: RemoteJob
    twin: RemoteJob
    held: RemoteJob

    @classmethod
    def of(cls, home: Path, client: Client) -> "Bench":
        ended, twin = (client.submit(code(), overrides={"steps": "6", "lines": "3"}) for _ in range(2))
        assert ended.wait().state == twin.wait().state == JobState.SUCCEEDED
        held = client.submit(code(), workers=8, overrides={"steps": "2", "hold_at": "1"})
        wait_until(lambda: held.get().state == JobState.RUNNING)
        return cls(home, client, ended, twin, held)

    def queued(self, **fields: Any) -> RemoteJob:
        return self.client.submit(code(), **{"workers": 8, **fields})

    def administrator(self) -> Access:
        """Access with a token of scope admin."""
        with closing(TokenStore.of_home(self.home)) as tokens:
            return Access(tokens.create("root", Scope.ADMIN, None, LOCAL)[1])

    def cancelled(self) -> RemoteJob:
        job = self.queued()
        assert job.cancel().state == JobState.CANCELLED
        return job

    def deleted(self) -> RemoteJob:
        job = self.cancelled()
        job.delete()
        return job

    def paused(self) -> RemoteJob:
        job = self.queued()
        assert job.pause().state == JobState.PAUSED
        return job

    def ids(self) -> set[str]:
        return {job.id for job in self.client.jobs()}

    def audited(self, action: str, subject: str) -> int:
        """How many changes of this kind the audit log has for a job."""
        store = sqlite3.connect(self.home / "jobs.db")
        try:
            query = "SELECT count(*) FROM audit WHERE action = ? AND subject = ?"
            count: int = store.execute(query, (action, subject)).fetchone()[0]
            return count
        finally:
            store.close()


@dataclass(frozen=True)
class Case:
    """One RPC.

    prepare: what it is called with, made over a connection without faults. call: the RPC, and its answer. check: what must
    hold after it, given what was prepared and the answer. A stream's answer breaks off after `replies` messages.
    pass_calls: calls that `call` makes before this one.
    """

    call: Callable[[Client, Any], Any]
    prepare: Callable[[Bench], Any] = lambda bench: None
    check: Callable[[Bench, Any, Any], None] = lambda bench, prepared, answer: None
    changes: bool = False
    replies: int = 0
    pass_calls: int = 0


def _job(job: r.Job) -> r.Job:
    """What must be the same in every answer: why a job waits is news."""
    return replace(job, waiting_reason="")


def _submitted(bench: Bench, prepared: tuple[str, set[str]], answer: r.Job) -> None:
    assert [event.number for event in _events_so_far(bench, answer.id)] == [1]
    assert bench.audited("SubmitJob", answer.id) == 1
    assert bench.ids() - prepared[1] == {answer.id}


def _events_so_far(bench: Bench, job_id: str) -> list[r.Event]:
    job = bench.client.job(job_id)
    last, seen = job.get().last_event, []
    for event in job.watch():
        seen.append(event)
        if event.number == last:
            break
    return seen


def _steered(action: str, event: Callable[[r.Event], bool]) -> Callable[[Bench, RemoteJob, r.Job], None]:
    """The job has one such event and the audit log one such line, whatever was repeated."""

    def check(bench: Bench, job: RemoteJob, answer: r.Job) -> None:
        assert [event(each) for each in _events_so_far(bench, job.id)].count(True) == 1
        assert bench.audited(action, job.id) == 1

    return check


def _entered(state: JobState) -> Callable[[r.Event], bool]:
    return lambda event: isinstance(event.kind, r.StateChanged) and event.kind.state == state


def _updated(event: r.Event) -> bool:
    return isinstance(event.kind, r.JobUpdated)


def _download(client: Client, job_id: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        client.job(job_id).download(Path(folder) / "got")
        return {path.name: path.read_bytes() for path in (Path(folder) / "got").iterdir()}


def _file(bench: Bench) -> Path:
    """A new file of more than one chunk."""
    path = bench.home.parent / f"file-{uuid.uuid4()}"
    path.write_bytes(uuid.uuid4().bytes * 250_000)
    return path


def _uploaded(bench: Bench, file: Path, sha256: str) -> None:
    assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256
    assert bench.client.blob(sha256).received == file.stat().st_size
    assert [blob.sha256 for blob in bench.client.blobs()].count(sha256) == 1
    assert bench.audited("UploadBlob", sha256) == 1
    assert (bench.home / "blobs" / sha256[:2] / sha256).read_bytes() == file.read_bytes()


def _delete(client: Client, sha256: str) -> bool:
    """Deletes a blob; True where it is gone then."""
    with suppress(BlobNotFoundError):
        client.delete_blob(sha256)
    return sha256 not in {blob.sha256 for blob in client.blobs()}


def _deleted(bench: Bench, sha256: str, answer: bool) -> None:
    assert answer
    assert bench.audited("DeleteBlob", sha256) == 1
    assert not (bench.home / "blobs" / sha256[:2] / sha256).exists()


def _account(client: Client, new: tuple[Access, str]) -> tuple[float, Quota]:
    access, owner = new
    with Client(client.address, retry_for_s=20, access=access) as administrator:
        account = administrator.update_account(owner, weight=2.5, quota=Quota(cpus=3))
        return account.weight, account.quota


def _account_once(bench: Bench, owner: str) -> None:
    assert bench.audited("UpdateAccount", owner) == 1


def _resumed(bench: Bench, job: RemoteJob, answer: r.Job) -> None:
    states = [e.kind.state for e in _events_so_far(bench, job.id) if isinstance(e.kind, r.StateChanged)]
    assert states == [JobState.QUEUED, JobState.PAUSED, JobState.QUEUED]
    assert bench.audited("ResumeJob", job.id) == 1


def _listed(bench: Bench, job: RemoteJob, action: str, there: bool) -> None:
    assert (job.id in bench.ids()) == there
    assert bench.audited(action, job.id) == 1


def _replayed(bench: Bench, prepared: tuple[str, str, set[str]], job_id: str) -> None:
    assert bench.ids() - prepared[2] == {job_id}
    assert bench.client.job(job_id).get().replay_of == prepared[0]
    assert bench.audited("ReplayJob", job_id) == 1


def _same_steps(found: r.Comparison, steps: int) -> None:
    assert (found.same, found.compared_steps) == (True, steps)


CASES: dict[str, Case] = {
    "Jobs/SubmitJob": Case(
        prepare=lambda bench: (str(uuid.uuid4()), bench.ids()),
        call=lambda client, new: _job(client.submit(code(), workers=8, request_id=new[0]).get()),
        check=_submitted,
        changes=True,
    ),
    "Jobs/GetJob": Case(
        prepare=lambda bench: bench.ended.id,
        call=lambda client, job_id: client.job(job_id).get(),
    ),
    "Jobs/ListJobs": Case(
        prepare=lambda bench: None,
        call=lambda client, _: [job.id for job in client.jobs()],
    ),
    "Jobs/WatchJob": Case(
        prepare=lambda bench: bench.ended.id,
        call=lambda client, job_id: list(client.job(job_id).watch()),
        check=lambda bench, job_id, events: _numbered(bench, job_id, events),
        replies=4,
    ),
    "Jobs/CancelJob": Case(
        prepare=lambda bench: bench.queued(),
        call=lambda client, job: _job(client.job(job.id).cancel()),
        check=_steered("CancelJob", _entered(JobState.CANCELLED)),
        changes=True,
    ),
    "Jobs/PauseJob": Case(
        prepare=lambda bench: bench.queued(),
        call=lambda client, job: _job(client.job(job.id).pause()),
        check=_steered("PauseJob", _entered(JobState.PAUSED)),
        changes=True,
    ),
    "Jobs/ResumeJob": Case(
        prepare=lambda bench: bench.paused(),
        call=lambda client, job: _job(client.job(job.id).resume()),
        check=_resumed,
        changes=True,
    ),
    "Jobs/ResizeJob": Case(
        prepare=lambda bench: bench.queued(),
        call=lambda client, job: _job(client.job(job.id).resize(7)),
        check=_steered("ResizeJob", _updated),
        changes=True,
    ),
    "Jobs/UpdateJob": Case(
        prepare=lambda bench: bench.queued(labels={"old": "1"}),
        call=lambda client, job: _job(
            client.job(job.id).update(
                lr=0.5, priority=-3, labels={"team": "a", "run": "7"}, remove_labels=["old"]
            )
        ),
        check=_steered("UpdateJob", _updated),
        changes=True,
    ),
    "Jobs/DeleteJob": Case(
        prepare=lambda bench: bench.cancelled(),
        call=lambda client, job: client.job(job.id).delete(),
        check=lambda bench, job, _: _listed(bench, job, "DeleteJob", False),
        changes=True,
    ),
    "Jobs/UndeleteJob": Case(
        prepare=lambda bench: bench.deleted(),
        call=lambda client, job: client.job(job.id).undelete(),
        check=lambda bench, job, _: _listed(bench, job, "UndeleteJob", True),
        changes=True,
    ),
    "Jobs/ReplayJob": Case(
        prepare=lambda bench: (bench.ended.id, str(uuid.uuid4()), bench.ids()),
        call=lambda client, new: client.job(new[0]).replay(8, new[1]).id,
        check=_replayed,
        changes=True,
    ),
    "Jobs/VerifyJob": Case(
        prepare=lambda bench: (bench.ended.id, bench.twin.id),
        call=lambda client, ids: client.job(ids[0]).verify(ids[1]),
        check=lambda bench, ids, found: _same_steps(found, 6),
    ),
    "Jobs/QueryMetrics": Case(
        prepare=lambda bench: bench.ended.id,
        call=lambda client, job_id: client.job(job_id).metrics(),
    ),
    "Jobs/ReadLogs": Case(
        prepare=lambda bench: bench.ended.id,
        call=lambda client, job_id: b"".join(client.job(job_id).read_logs(follow=True)),
        replies=1,
    ),
    "Jobs/ListCheckpoints": Case(
        prepare=lambda bench: bench.ended.id,
        call=lambda client, job_id: client.job(job_id).checkpoints(),
    ),
    "Jobs/ExplainJob": Case(
        prepare=lambda bench: bench.ended.id,
        call=lambda client, job_id: client.job(job_id).explain(),
    ),
    "Accounts/UpdateAccount": Case(
        prepare=lambda bench: (bench.administrator(), f"owner-{uuid.uuid4()}"),
        call=_account,
        check=lambda bench, new, answer: _account_once(bench, new[1]),
        changes=True,
    ),
    "Accounts/GetAccount": Case(call=lambda client, _: client.account().quota),
    "Accounts/ListAccounts": Case(call=lambda client, _: [each.owner for each in client.accounts()]),
    "Blobs/ReadBlob": Case(
        prepare=lambda bench: bench.ended.id,
        call=_download,
        pass_calls=1,
        replies=1,
    ),
    "Blobs/UploadBlob": Case(
        prepare=_file,
        call=lambda client, file: client.upload(file),
        check=_uploaded,
        changes=True,
        pass_calls=1,
    ),
    "Blobs/GetBlob": Case(
        prepare=lambda bench: bench.client.upload(_file(bench)),
        call=lambda client, sha256: client.blob(sha256),
    ),
    "Blobs/ListBlobs": Case(
        prepare=lambda bench: bench.client.upload(_file(bench)),
        call=lambda client, _: list(client.blobs()),
    ),
    "Blobs/DeleteBlob": Case(
        prepare=lambda bench: bench.client.upload(_file(bench)),
        call=_delete,
        check=_deleted,
        changes=True,
        pass_calls=1,
    ),
}


def _numbered(bench: Bench, job_id: str, events: list[r.Event]) -> None:
    assert [event.number for event in events] == list(range(1, bench.client.job(job_id).get().last_event + 1))
