"""One owner's jobs do not exist for another, whatever is asked; every change leaves a row in the audit log."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status
from people import People
from serving_harness import code, scripted

from gradwire.proto.v1 import blobs_pb2, jobs_pb2
from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services.client import Client, RemoteJob
from gradwire.services.client.connection import Call
from gradwire.services.errors import JobNotFoundError, JobStateError
from gradwire.services.security import audit
from gradwire.services.security.access import Access
from gradwire.services.security.callers import LOCAL, Scope
from gradwire.services.service import Address, Service
from gradwire.services.states import JobState

BLOBS = ("UploadBlob", "GetBlob", "ListBlobs", "DeleteBlob")


def list_call(request: pb.ListJobsRequest) -> Call[pb.ListJobsResponse]:
    return Call("jobs", "ListJobs", request, lambda answer: answer)


@pytest.fixture
def people(guarded: Service) -> Iterator[People]:
    known = People(guarded)
    yield known
    known.close()


def job_with_a_checkpoint(client: Client) -> RemoteJob:
    job = client.submit(code(), overrides={"steps": "2"})
    job.wait()
    return job


def test_for_every_method_anothers_job_is_as_one_that_does_not_exist(
    guarded: Service, people: People
) -> None:
    job = job_with_a_checkpoint(people.ann)
    assert people.ann.job(job.id).get().owner == "ann"
    file = job.checkpoints()[0].files[0]
    asked = []
    nobody = "x" * len(job.id)
    with grpc.insecure_channel(str(guarded.address)) as channel:

        def answer(path: str, request: Message, who: str) -> tuple[grpc.StatusCode, str]:
            call = channel.unary_stream(path, request_serializer=lambda message: message.SerializeToString())
            try:
                list(
                    call(request, timeout=10, metadata=(("authorization", f"Bearer {people.secrets[who]}"),))
                )
            except grpc.RpcError as error:
                # With its google.rpc details.
                return error.code(), str(rpc_status.from_call(error))  # type: ignore[arg-type]
            return grpc.StatusCode.OK, ""

        for service in (
            jobs_pb2.DESCRIPTOR.services_by_name["Jobs"],
            blobs_pb2.DESCRIPTOR.services_by_name["Blobs"],
        ):
            for method in service.methods:
                kind = GetMessageClass(method.input_type)
                path = f"/{service.full_name}/{method.name}"
                if "job_id" not in method.input_type.fields_by_name:
                    # Blobs: tests/services/blobs/test_owned_blobs.py.
                    assert method.name in ("SubmitJob", "ListJobs", *BLOBS), (
                        f"{method.name}: say here how it keeps owners apart"
                    )
                    continue
                values = {"workers": 1, "sha256": file.sha256, "remove_labels": ["x"], "include_code": True}
                fields = {k: v for k, v in values.items() if k in method.input_type.fields_by_name}
                hidden = answer(path, kind(job_id=job.id, **fields), "bob")
                missing = answer(path, kind(job_id=nobody, **fields), "bob")
                assert hidden[0] == grpc.StatusCode.NOT_FOUND, method.name
                assert hidden[1].replace(job.id, "ID") == missing[1].replace(nobody, "ID")
                allowed = {grpc.StatusCode.OK, grpc.StatusCode.FAILED_PRECONDITION}
                assert answer(path, kind(job_id=job.id, **fields), "ann")[0] in allowed, method.name
                assert answer(path, kind(job_id=job.id, **fields), "root")[0] in allowed, method.name
                asked.append(method.name)
    assert {"GetJob", "WatchJob", "CancelJob", "UpdateJob", "ListCheckpoints", "ReadBlob"} <= set(asked)


def test_lists_hold_ones_own_jobs_page_by_page_and_the_administrators_all(
    guarded: Service, people: People
) -> None:
    jobs = {"ann": [], "bob": []}
    for k in range(6):
        name, client = (("ann", people.ann), ("bob", people.bob))[k % 2]
        jobs[name].insert(0, client.submit(code(), workers=8, overrides={"steps": "1000", "step_s": "1"}).id)
    assert [job.id for job in people.ann.jobs()] == jobs["ann"]
    assert [job.id for job in people.bob.jobs()] == jobs["bob"]
    assert {job.id: job.owner for job in people.root.jobs()} == {
        each: owner for owner, own in jobs.items() for each in own
    }
    page = people.ann._call(list_call(pb.ListJobsRequest(page_size=2)))
    rest = pb.ListJobsRequest(page_size=5, page_token=page.next_page_token)
    assert [job.id for job in people.ann._call(list_call(rest)).jobs] == jobs["ann"][2:]
    # A token of another's list opens one's own.
    assert {job.owner for job in people.bob._call(list_call(rest)).jobs} == {"bob"}
    queued = list(people.bob.jobs([JobState.QUEUED]))
    assert queued
    assert {job.owner for job in queued} == {"bob"}
    for each in people.root.jobs():
        people.root.job(each.id).cancel()


def test_a_request_id_is_its_owners_own(people: People) -> None:
    request_id = str(uuid.uuid4())
    first = people.ann.submit(code(), request_id=request_id).id
    assert people.ann.submit(code(), request_id=request_id).id == first
    second = people.bob.submit(code(), request_id=request_id, overrides={"steps": "3"}).id
    assert second != first
    with pytest.raises(JobNotFoundError):
        people.bob.job(first).get()
    for client, job_id in ((people.ann, first), (people.bob, second)):
        client.job(job_id).wait()


def test_without_a_token_one_is_local_and_sees_what_is_locals(tmp_path: Path) -> None:
    service = Service(tmp_path / "home", scripted, Address("127.0.0.1", 0))
    address = str(service.start())
    try:
        secret = service.tokens.create("ann", Scope.SUBMIT, None, LOCAL)[1]
        with Client(address, access=Access()) as nobody, Client(address, access=Access(secret)) as ann:
            own = job_with_a_checkpoint(nobody)
            assert own.get().owner == "local"
            hers = job_with_a_checkpoint(ann)
            assert [job.id for job in nobody.jobs()] == [own.id]
            assert [job.id for job in ann.jobs()] == [hers.id]
            with pytest.raises(JobNotFoundError):
                nobody.job(hers.id).cancel()
    finally:
        service.stop()


def test_each_change_leaves_one_row_and_what_changes_nothing_none(guarded: Service, people: People) -> None:
    request_id = str(uuid.uuid4())
    job = people.ann.submit(
        code(), workers=1, overrides={"steps": "400", "step_s": "0.05"}, request_id=request_id
    )
    people.ann.submit(code(), workers=1, overrides={"steps": "400", "step_s": "0.05"}, request_id=request_id)
    job.update(labels={"a": "1"})
    job.update(labels={"a": "1"})
    job.get()
    with pytest.raises(JobNotFoundError):
        people.bob.job(job.id).cancel()
    people.root.job(job.id).cancel()
    people.root.job(job.id).cancel()
    job.wait()
    with pytest.raises(JobStateError):
        job.pause()
    rows = audit.read(guarded._store.engine, 100, job.id)[::-1]
    assert [(row.owner, row.action) for row in rows] == [
        ("ann", "SubmitJob"),
        ("ann", "UpdateJob"),
        ("root", "CancelJob"),
    ]
    made = {each.owner: each.id for each in guarded.tokens.tokens()}
    assert [row.token for row in rows] == [made["ann"], made["ann"], made["root"]]
    assert all(row.peer.startswith("ipv4:127.0.0.1:") for row in rows)
    assert [row.time for row in rows] == sorted(row.time for row in rows)
    assert rows[0].time == job.get().create_time
    everything = audit.read(guarded._store.engine, 100)
    assert [row.action for row in everything if row.subject.startswith("token-")] == ["CreateToken"] * 3
    guarded.tokens.revoke(made["bob"], LOCAL)
    guarded.tokens.revoke(made["bob"], LOCAL)
    assert [row.action for row in audit.read(guarded._store.engine, 9, made["bob"])] == [
        "RevokeToken",
        "CreateToken",
    ]
    assert [row.subject for row in audit.read(guarded._store.engine, 1)] == [made["bob"]]
    written = repr(everything)
    assert not [secret for secret in people.secrets.values() if secret in written]
