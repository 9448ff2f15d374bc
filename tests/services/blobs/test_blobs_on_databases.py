"""Blobs are the same on SQLite and on PostgreSQL, and shared by two front ends on one home."""

import hashlib
from pathlib import Path

import grpc
from archives.archive_files import tar_of
from serving_harness import scripted
from sqlalchemy import URL

from gradwire.proto.v1 import blobs_pb2 as pb
from gradwire.proto.v1 import blobs_pb2_grpc
from gradwire.services.blobs.naming import path_of
from gradwire.services.client import Client
from gradwire.services.connections import Where
from gradwire.services.security.access import Access
from gradwire.services.security.callers import LOCAL, Scope
from gradwire.services.service import Address, Service
from gradwire.services.states import JobState

BODY = bytes(range(256)) * 20_000
SHA = hashlib.sha256(BODY).hexdigest()


def begin(service: Service) -> None:
    """Sends the first bytes of BODY as local."""
    request = pb.UploadBlobRequest(sha256=SHA, size=len(BODY), data=BODY[:1_000_000])
    with grpc.insecure_channel(str(service.address)) as channel:
        stub = blobs_pb2_grpc.BlobsStub(channel)  # type: ignore[no-untyped-call]
        assert stub.UploadBlob(iter([request])).blob.received == 1_000_000


def test_blobs_are_the_same_on_both_kinds_of_database(where: Where, tmp_path: Path) -> None:
    store = where if isinstance(where, URL) else None
    service = Service(tmp_path / "home", scripted, Address("127.0.0.1", 0), store=store)
    address = str(service.start())
    (tmp_path / "file").write_bytes(BODY)
    (tmp_path / "code").write_bytes(tar_of({"job.py": b"pass\n"}))
    secret = service.tokens.create("ann", Scope.SUBMIT, None, LOCAL)[1]
    try:
        with Client(address, access=Access()) as local, Client(address, access=Access(secret)) as ann:
            begin(service)
            assert local.blob(SHA).received == 1_000_000
            assert [client.upload(tmp_path / "file") for client in (local, ann)] == [SHA, SHA]
            job = local.submit("job.py", archive=tmp_path / "code", overrides={"steps": "2"})
            assert job.wait().state == JobState.SUCCEEDED
            archive = job.get().spec.code_archive
            assert [blob.sha256 for blob in local.blobs()] == [archive, SHA]
            for client, sha256 in ((local, archive), (local, SHA), (ann, SHA)):
                assert path_of(service._home.blobs, SHA).exists()
                client.delete_blob(sha256)
            service._blobs.sweep()
            assert not path_of(service._home.blobs, SHA).exists()
            assert path_of(service._home.blobs, archive).exists()
    finally:
        service.stop()


def test_an_upload_goes_on_at_another_front_end(database: URL, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BODY)
    services = [
        Service(tmp_path / "home", scripted, Address("127.0.0.1", 0), store=database, front_end=name)
        for name in ("one", "two")
    ]
    started = []
    try:
        for service in services:
            service.start()
            started.append(service)
        begin(services[0])
        told: list[int] = []
        with Client(str(services[1].address)) as client:
            assert client.blob(SHA).received == 1_000_000
            client.upload(tmp_path / "file", lambda got, of: told.append(got))
            assert told[0] == 1_000_000 + 3 * 1024 * 1024
        with Client(str(services[0].address)) as client:
            client.download_blob(SHA, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == BODY
    finally:
        for service in started:
            service.stop()
