"""Each owner has its own blobs: another's are not there, whatever is asked. What nobody needs is removed, what a job needs stays."""

import hashlib
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from gradwire.proto.v1 import blobs_pb2 as pb
from gradwire.proto.v1 import blobs_pb2_grpc
from gradwire.services.accounts import AccountChange, Accounts
from gradwire.services.blobs.naming import path_of
from gradwire.services.client import Client
from gradwire.services.errors import (
    BlobDamagedError,
    BlobNotFoundError,
    StorageQuotaError,
    UnauthenticatedError,
    from_rpc_error,
)
from gradwire.services.scheduling import Quota
from gradwire.services.security.access import Access
from gradwire.services.security.callers import LOCAL, Caller, Scope
from gradwire.services.service import Service

BODY = b"twelve bytes" * 1000
SHA = hashlib.sha256(BODY).hexdigest()


class People:
    """Clients of one service, by name, and their stubs."""

    def __init__(self, service: Service) -> None:
        self.clients, self.stubs, self.metadata, self._channels = {}, {}, {}, []
        for name, scope in (
            ("ann", Scope.SUBMIT),
            ("bob", Scope.SUBMIT),
            ("eve", Scope.READ),
            ("root", Scope.ADMIN),
        ):
            secret = service.tokens.create(name, scope, None, LOCAL)[1]
            self.clients[name] = Client(str(service.address), access=Access(secret))
            self._channels.append(grpc.insecure_channel(str(service.address)))
            self.stubs[name] = blobs_pb2_grpc.BlobsStub(self._channels[-1])  # type: ignore[no-untyped-call]
            self.metadata[name] = (("authorization", f"Bearer {secret}"),)

    def close(self) -> None:
        for each in (*self.clients.values(), *self._channels):
            each.close()

    def ask(self, who: str, method: str, request: object) -> object:
        """The answer's bytes, or the error's code and text."""
        try:
            answer = getattr(self.stubs[who], method)(request, metadata=self.metadata[who], timeout=30)
            return (
                [each.SerializeToString() for each in answer]
                if method == "ReadBlob"
                else answer.SerializeToString()
            )
        except grpc.RpcError as error:
            return error.code(), error.details(), str(from_rpc_error(error, "there").metadata)


@pytest.fixture
def people(guarded: Service) -> Iterator[People]:
    known = People(guarded)
    yield known
    known.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(BODY)
    return tmp_path / "file"


@pytest.mark.parametrize("who", ["bob", "root"])
def test_anothers_blob_is_as_one_that_does_not_exist(people: People, file: Path, who: str) -> None:
    people.clients["ann"].upload(file)
    nothing = "0" * 64
    for method, request in (
        ("GetBlob", pb.GetBlobRequest),
        ("DeleteBlob", pb.DeleteBlobRequest),
        ("ReadBlob", pb.ReadBlobRequest),
    ):
        hidden = people.ask(who, method, request(sha256=SHA))
        missing = people.ask(who, method, request(sha256=nothing))
        assert hidden[0] == grpc.StatusCode.NOT_FOUND  # type: ignore[index]
        assert repr(hidden).replace(SHA, "SHA") == repr(missing).replace(nothing, "SHA")
    assert list(people.clients[who].blobs()) == []
    assert [blob.sha256 for blob in people.clients["ann"].blobs()] == [SHA]


def test_naming_a_hash_gives_nothing_without_its_bytes(guarded: Service, people: People, file: Path) -> None:
    people.clients["ann"].upload(file)

    def upload(who: str, data: bytes) -> pb.Blob:
        request = pb.UploadBlobRequest(sha256=SHA, size=len(BODY), data=data)
        return people.stubs[who].UploadBlob(iter([request]), metadata=people.metadata[who], timeout=30).blob

    assert upload("ann", b"").received == len(BODY)
    # The same answer as for bytes that nobody has: all of them are still to come.
    assert upload("bob", b"").received == 0
    assert upload("bob", BODY[:100]).received == 100
    with pytest.raises(grpc.RpcError) as caught:
        upload("bob", bytes(len(BODY)))
    assert isinstance(from_rpc_error(caught.value, "there"), BlobDamagedError)
    with pytest.raises(BlobNotFoundError):
        people.clients["bob"].blob(SHA)
    # Sent in full it is his as well, and lies there once.
    assert upload("bob", BODY).received == len(BODY)
    files = [p for p in guarded._home.blobs.rglob("*") if p.is_file()]
    assert files == [path_of(guarded._home.blobs, SHA)]
    assert files[0].stat().st_nlink == 1


def test_bytes_go_when_their_last_owner_has_deleted_them(
    guarded: Service, people: People, file: Path, tmp_path: Path
) -> None:
    for who in ("ann", "bob"):
        people.clients[who].upload(file)
    people.clients["ann"].delete_blob(SHA)
    with pytest.raises(BlobNotFoundError):
        people.clients["ann"].delete_blob(SHA)
    people.clients["bob"].download_blob(SHA, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == BODY
    people.clients["bob"].delete_blob(SHA)
    assert not path_of(guarded._home.blobs, SHA).exists()
    # And they can come again.
    people.clients["ann"].upload(file)
    assert path_of(guarded._home.blobs, SHA).read_bytes() == BODY


def test_a_token_that_only_reads_uploads_and_deletes_nothing(people: People, file: Path) -> None:
    for method, request in (
        ("UploadBlob", iter([pb.UploadBlobRequest()])),
        ("DeleteBlob", pb.DeleteBlobRequest()),
    ):
        refused = people.ask("eve", method, request)
        assert refused[0] == grpc.StatusCode.PERMISSION_DENIED  # type: ignore[index]
    assert list(people.clients["eve"].blobs()) == []


def test_lists_go_page_by_page_newest_first(people: People, tmp_path: Path) -> None:
    named = []
    for k in range(7):
        (tmp_path / str(k)).write_bytes(bytes([k]))
        named.insert(0, people.clients["ann"].upload(tmp_path / str(k)))
    stub, metadata = people.stubs["ann"], people.metadata["ann"]
    page = stub.ListBlobs(pb.ListBlobsRequest(page_size=3), metadata=metadata)
    assert [blob.sha256 for blob in page.blobs] == named[:3]
    people.clients["ann"].delete_blob(named[3])
    (tmp_path / "new").write_bytes(b"new")
    people.clients["ann"].upload(tmp_path / "new")
    rest = stub.ListBlobs(
        pb.ListBlobsRequest(page_size=9, page_token=page.next_page_token), metadata=metadata
    )
    assert [blob.sha256 for blob in rest.blobs] == named[4:]
    assert rest.next_page_token == ""


def test_uploads_that_nobody_goes_on_with_are_swept_after_a_day(guarded: Service, people: People) -> None:
    request = pb.UploadBlobRequest(sha256=SHA, size=len(BODY), data=BODY[:100])
    people.stubs["ann"].UploadBlob(iter([request]), metadata=people.metadata["ann"], timeout=30)
    (partial,) = (guarded._home.blobs / "partial").iterdir()
    guarded._blobs.sweep()
    assert people.clients["ann"].blob(SHA).received == 100
    old = partial.stat().st_mtime - timedelta(days=1).total_seconds()
    os.utime(partial, (old, old))
    guarded._blobs.sweep()
    assert not partial.exists()
    assert people.clients["ann"].blob(SHA).received == 0
    guarded._blobs.sweep(0.0)
    with pytest.raises(BlobNotFoundError):
        people.clients["ann"].blob(SHA)


def test_bytes_that_belong_to_nobody_are_swept(guarded: Service, people: People, file: Path) -> None:
    people.clients["ann"].upload(file)
    stray = path_of(guarded._home.blobs, "ab" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"left by a service that was killed")
    guarded._blobs.sweep()
    assert not stray.exists()
    assert path_of(guarded._home.blobs, SHA).exists()


def test_an_owner_stores_no_more_than_its_quota(guarded: Service, people: People, tmp_path: Path) -> None:
    accounts = Accounts(guarded._store.engine)
    root = Caller("root", Scope.ADMIN)
    accounts.change("ann", AccountChange(quota=Quota(storage_bytes=1500)), root)
    (tmp_path / "one").write_bytes(bytes(1000))
    (tmp_path / "two").write_bytes(bytes(501))
    first = people.clients["ann"].upload(tmp_path / "one")
    with pytest.raises(
        StorageQuotaError, match="ann stores 1000 bytes and may store 1500: there is no room for 501"
    ):
        people.clients["ann"].upload(tmp_path / "two")
    people.clients["bob"].upload(tmp_path / "two")
    # What is on its way counts whole, what one has already not again.
    half = pb.UploadBlobRequest(sha256=SHA, size=500, data=BODY[:1])
    people.stubs["ann"].UploadBlob(iter([half]), metadata=people.metadata["ann"], timeout=30)
    people.stubs["ann"].UploadBlob(iter([half]), metadata=people.metadata["ann"], timeout=30)
    assert accounts.stored_bytes() == {"ann": 1500, "bob": 501}
    people.clients["ann"].delete_blob(first)
    people.clients["ann"].upload(tmp_path / "two")


def test_an_upload_ends_when_its_token_is_revoked(guarded: Service, people: People) -> None:
    (mine,) = (each for each in guarded.tokens.tokens() if each.owner == "ann")
    came, over = threading.Event(), threading.Event()

    def requests() -> Iterator[pb.UploadBlobRequest]:
        yield pb.UploadBlobRequest(sha256=SHA, size=len(BODY), data=BODY[:1])
        for at in range(1, len(BODY)):
            came.set()
            if over.wait(0.05):
                return
            yield pb.UploadBlobRequest(data=BODY[at : at + 1])

    call = people.stubs["ann"].UploadBlob.future(requests(), metadata=people.metadata["ann"])
    assert came.wait(30)
    guarded.tokens.revoke(mine.id, LOCAL)
    error = from_rpc_error(call.exception(30), "there")
    over.set()
    assert isinstance(error, UnauthenticatedError)
    assert error.metadata["cause"] == "revoked"
