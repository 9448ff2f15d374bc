"""Uploads over a real server: whole or not there, gone on with where they broke, checked, on disk before the answer."""

import hashlib
import os
import random
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from serving_harness import ServerProcess, scripted

from gradwire.proto.v1 import blobs_pb2 as pb
from gradwire.proto.v1 import blobs_pb2_grpc
from gradwire.services.blobs.naming import path_of
from gradwire.services.client import Client, DownloadError, UploadError
from gradwire.services.client.uploads import list_blobs
from gradwire.services.errors import (
    BlobDamagedError,
    BlobNotFoundError,
    InvalidRequestError,
    StorageError,
    TooManyError,
    UploadOffsetError,
    UploadStalledError,
    from_rpc_error,
)
from gradwire.services.faces.blobs import UPLOADS_OF_OWNER
from gradwire.services.security import audit
from gradwire.services.service import Address, Service

MIB = 1024 * 1024


def some_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@pytest.fixture
def stub(service: Service) -> Iterator[blobs_pb2_grpc.BlobsStub]:
    with grpc.insecure_channel(str(service.address)) as channel:
        yield blobs_pb2_grpc.BlobsStub(channel)  # type: ignore[no-untyped-call]


def send(stub: blobs_pb2_grpc.BlobsStub, *requests: pb.UploadBlobRequest) -> pb.Blob:
    """One upload of just these messages. Raises the service's error."""
    try:
        return stub.UploadBlob(iter(requests), timeout=60).blob
    except grpc.RpcError as problem:
        raise from_rpc_error(problem, "there") from None


def head(body: bytes, data: bytes, offset: int = 0, size: int | None = None) -> pb.UploadBlobRequest:
    return pb.UploadBlobRequest(
        sha256=sha(body), size=len(body) if size is None else size, offset=offset, data=data
    )


@pytest.mark.parametrize("size", [0, 1, 3 * MIB - 1, 3 * MIB, 7 * MIB + 5])
def test_a_file_comes_back_as_it_went(service: Service, client: Client, tmp_path: Path, size: int) -> None:
    body = some_bytes(size)
    (tmp_path / "file").write_bytes(body)
    told: list[tuple[int, int]] = []
    named = client.upload(tmp_path / "file", lambda got, of: told.append((got, of)))
    assert named == sha(body)
    assert told[-1] == (size, size)
    assert (service._home.blobs / named[:2] / named).read_bytes() == body
    blob = client.blob(named)
    assert (blob.size, blob.received) == (size, size)
    client.download_blob(named, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == body
    with pytest.raises(DownloadError, match="exists already"):
        client.download_blob(named, tmp_path / "back")
    assert [row.action for row in audit.read(service._store.engine, 5, named)] == ["UploadBlob"]


def test_what_the_service_has_is_not_sent_again(
    client: Client, stub: blobs_pb2_grpc.BlobsStub, tmp_path: Path
) -> None:
    body = some_bytes(100)
    (tmp_path / "file").write_bytes(body)
    client.upload(tmp_path / "file")
    # The first message alone is answered, whatever would follow.
    assert send(stub, head(body, b"")).received == 100
    told: list[tuple[int, int]] = []
    client.upload(tmp_path / "file", lambda got, of: told.append((got, of)))
    assert not told
    with pytest.raises(InvalidRequestError, match="expected 100, the bytes of this blob, not 99"):
        send(stub, head(body, b"", size=99))


def test_an_upload_that_is_cut_goes_on_where_it_broke(
    service: Service, client: Client, stub: blobs_pb2_grpc.BlobsStub, tmp_path: Path
) -> None:
    body = some_bytes(5 * MIB)
    arrived, cut = threading.Event(), threading.Event()

    def requests() -> Iterator[pb.UploadBlobRequest]:
        yield head(body, body[: 2 * MIB])
        arrived.set()
        cut.wait(30)

    call = stub.UploadBlob.future(requests())  # type: ignore[attr-defined]
    assert arrived.wait(30)
    wait_for(lambda: any((service._home.blobs / "partial").iterdir()))
    wait_for(lambda: max(p.stat().st_size for p in (service._home.blobs / "partial").iterdir()) == 2 * MIB)
    call.cancel()
    cut.set()
    wait_for(lambda: client.blob(sha(body)).received == 2 * MIB)
    (tmp_path / "file").write_bytes(body)
    told: list[tuple[int, int]] = []
    client.upload(tmp_path / "file", lambda got, of: told.append((got, of)))
    assert told == [(5 * MIB, 5 * MIB)]
    assert path_of(service._home.blobs, sha(body)).read_bytes() == body
    assert not list((service._home.blobs / "partial").iterdir())


def wait_for(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Polls until it holds."""
    over = threading.Event()
    timer = threading.Timer(seconds, over.set)
    timer.start()
    try:
        while not true():
            assert not over.wait(0.01), "it did not come about"
    finally:
        timer.cancel()


def test_a_stream_that_ends_early_keeps_what_came(client: Client, stub: blobs_pb2_grpc.BlobsStub) -> None:
    body = some_bytes(1000)
    assert send(stub, head(body, body[:400])).received == 400
    assert (
        send(stub, head(body, body[400:700], 400), pb.UploadBlobRequest(data=body[700:900])).received == 900
    )
    with pytest.raises(UploadOffsetError, match="has 900 bytes, go on at 900") as caught:
        send(stub, head(body, body[950:], 950))
    assert caught.value.received == 900
    # Going back is allowed: what lies behind is dropped.
    assert send(stub, head(body, body[100:], 100)).received == 1000
    assert [blob.received for blob in client.blobs()] == [1000]


def test_all_bytes_that_were_not_checked_yet_are_no_blob(
    service: Service, client: Client, stub: blobs_pb2_grpc.BlobsStub, tmp_path: Path
) -> None:
    body = some_bytes(1000)
    send(stub, head(body, body[:400]))
    (partial,) = (service._home.blobs / "partial").iterdir()
    partial.write_bytes(body)  # as after a kill between the last byte and the check
    assert client.blob(sha(body)).received == 999
    with pytest.raises(BlobNotFoundError, match="has not come to an end"):
        client.download_blob(sha(body), tmp_path / "back")
    (tmp_path / "file").write_bytes(body)
    assert client.upload(tmp_path / "file") == sha(body)


def test_bytes_of_another_sum_are_refused_and_nothing_is_kept(
    service: Service, client: Client, stub: blobs_pb2_grpc.BlobsStub
) -> None:
    body, other = some_bytes(1000), some_bytes(1000, 2)
    with pytest.raises(BlobDamagedError, match=f"have the sha256 {sha(other)}, not {sha(body)}"):
        send(stub, head(body, other))
    with pytest.raises(BlobNotFoundError):
        client.blob(sha(body))
    assert [p for p in service._home.blobs.rglob("*") if p.is_file()] == []
    # Half of each: the half that was right before is gone as well.
    send(stub, head(body, body[:500]))
    with pytest.raises(BlobDamagedError):
        send(stub, head(body, other[500:], 500))
    with pytest.raises(BlobNotFoundError):
        client.blob(sha(body))


def test_every_wrong_field_is_named(stub: blobs_pb2_grpc.BlobsStub, client: Client) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        send(stub, pb.UploadBlobRequest(sha256="XY", size=5, offset=6))
    assert [v.field for v in caught.value.violations] == ["sha256", "offset"]
    with pytest.raises(InvalidRequestError, match="expected 0 or more bytes, not -1"):
        send(stub, head(b"", b"", size=-1))
    with pytest.raises(InvalidRequestError, match="a first message"):
        send(stub)
    with pytest.raises(InvalidRequestError, match="expected 3 bytes in all, as size says, got 5"):
        send(stub, head(b"abc", b"ab"), pb.UploadBlobRequest(data=b"cde"))
    with pytest.raises(InvalidRequestError, match="at most 3145728 bytes"):
        send(stub, head(bytes(4 * MIB), bytes(3 * MIB + 1)))
    with pytest.raises(InvalidRequestError, match="in the first message alone"):
        send(stub, head(b"abc", b"a"), pb.UploadBlobRequest(sha256=sha(b"abc"), offset=1, data=b"bc"))
    with pytest.raises(InvalidRequestError, match="64 digits"):
        client.blob("../../../etc/passwd")
    with pytest.raises(InvalidRequestError, match="page_token"):
        client._call(list_blobs("nonsense"))


def test_an_upload_from_which_nothing_comes_is_let_go(
    service: Service, client: Client, stub: blobs_pb2_grpc.BlobsStub, tmp_path: Path
) -> None:
    service._blobs_face._stalled_s = 0.3
    body = some_bytes(2 * MIB)
    over = threading.Event()

    def requests() -> Iterator[pb.UploadBlobRequest]:
        yield head(body, body[:MIB])
        over.wait(30)

    call = stub.UploadBlob.future(requests())  # type: ignore[attr-defined]
    error = from_rpc_error(call.exception(30), "there")
    over.set()
    assert isinstance(error, UploadStalledError)
    wait_for(lambda: client.blob(sha(body)).received == MIB)
    service._blobs_face._stalled_s = 30
    (tmp_path / "file").write_bytes(body)
    assert client.upload(tmp_path / "file") == sha(body)


def test_an_owner_has_so_many_uploads_at_a_time(
    service: Service, stub: blobs_pb2_grpc.BlobsStub, client: Client
) -> None:
    over = threading.Event()

    def requests(number: int) -> Iterator[pb.UploadBlobRequest]:
        yield head(bytes([number, 1]), bytes([number]))
        over.wait(30)

    calls = [stub.UploadBlob.future(requests(k)) for k in range(UPLOADS_OF_OWNER)]  # type: ignore[attr-defined]
    wait_for(lambda: service._blobs_face._uploads["local"] == UPLOADS_OF_OWNER)
    with pytest.raises(TooManyError, match="16 uploads under way"):
        send(stub, head(b"more", b"more"))
    over.set()
    assert [call.result(30).blob.received for call in calls] == [1] * UPLOADS_OF_OWNER
    assert send(stub, head(b"more", b"more")).received == 4


def test_two_uploads_of_the_same_bytes_at_once_both_succeed(
    service: Service, client: Client, tmp_path: Path
) -> None:
    body = some_bytes(8 * MIB)
    (tmp_path / "file").write_bytes(body)
    together = threading.Barrier(3)
    answers: list[str] = []

    def upload() -> None:
        with Client(str(service.address)) as own:
            together.wait(30)
            answers.append(own.upload(tmp_path / "file"))

    threads = [threading.Thread(target=upload) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [sha(body)] * 3
    assert [blob.sha256 for blob in client.blobs()] == [sha(body)]
    kept = [p for p in service._home.blobs.rglob("*") if p.is_file()]
    assert kept == [path_of(service._home.blobs, sha(body))]
    assert kept[0].read_bytes() == body


def test_a_killed_service_goes_on_with_what_it_has(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    body = some_bytes(40 * MIB)
    (tmp_path / "file").write_bytes(body)
    server = serve()
    partial = tmp_path / "home" / "blobs" / "partial"
    furthest = []
    with Client(server.address, retry_for_s=60) as client:
        killed = threading.Event()

        def sent(got: int, of: int) -> None:
            if got >= 20 * MIB and not killed.is_set():
                wait_for(lambda: any(p.stat().st_size >= 12 * MIB for p in partial.iterdir()))
                server.kill()
                furthest.append(max(p.stat().st_size for p in partial.iterdir()))
                killed.set()
                serve(server.port)
            elif killed.is_set():
                furthest.append(got)

        assert client.upload(tmp_path / "file", sent) == sha(body)
        assert killed.is_set()
        # What had come before the kill was not sent again.
        assert furthest[1] > furthest[0] - 3 * MIB
        assert client.blob(sha(body)).received == 40 * MIB
        client.download_blob(sha(body), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == body
    assert not list(partial.iterdir())


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_service_that_is_killed_again_and_again_takes_every_upload(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    chance = random.Random(0)
    server = serve()
    home = tmp_path / "home" / "blobs"
    stop = threading.Event()
    kills = 0

    def kill() -> None:
        nonlocal server, kills
        while not stop.wait(chance.uniform(0.2, 1.5)):
            server.kill()
            server = serve(server.port)
            kills += 1

    killer = threading.Thread(target=kill)
    killer.start()
    named = {}
    try:
        with Client(server.address, retry_for_s=60) as client:
            for number in range(40):
                body = some_bytes(chance.randrange(0, 60 * MIB), number)
                (tmp_path / "file").write_bytes(body)
                named[client.upload(tmp_path / "file")] = body
    finally:
        stop.set()
        killer.join()
    assert kills > 10
    with Client(server.address, retry_for_s=60) as client:
        assert {blob.sha256: blob.received for blob in client.blobs()} == {
            name: len(body) for name, body in named.items()
        }
    for name, body in named.items():
        assert path_of(home, name).read_bytes() == body
    assert len([p for p in home.rglob("*") if p.is_file()]) == len(named)


def test_a_blob_is_there_after_a_kill_right_behind_the_answer(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(some_bytes(MIB))
    server = serve()
    with Client(server.address) as client:
        named = client.upload(tmp_path / "file")
    server.kill()
    with Client(serve(server.port).address) as client:
        assert client.blob(named).received == MIB
        client.download_blob(named, tmp_path / "back")


def test_a_blob_above_the_limit_is_refused_at_its_first_message(tmp_path: Path) -> None:
    service = Service(tmp_path / "home", scripted, Address("127.0.0.1", 0), blob_bytes=1000)
    address = str(service.start())
    try:
        (tmp_path / "file").write_bytes(bytes(1001))
        with Client(address) as client:
            with pytest.raises(InvalidRequestError, match="at most 1000 bytes"):
                client.upload(tmp_path / "file")
            (tmp_path / "file").write_bytes(bytes(1000))
            client.upload(tmp_path / "file")
    finally:
        service.stop()


def test_more_than_the_disk_has_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    service = Service(tmp_path / "home", scripted, Address("127.0.0.1", 0), blob_bytes=2**61)
    address = str(service.start())
    try:
        with grpc.insecure_channel(address) as channel:
            stub = blobs_pb2_grpc.BlobsStub(channel)  # type: ignore[no-untyped-call]
            with pytest.raises(StorageError, match="bytes free, too few for"):
                send(stub, head(b"x", b"", size=2**60))
    finally:
        service.stop()


def test_a_disk_that_fills_on_the_way_keeps_what_came_and_says_so(
    service: Service, client: Client, stub: blobs_pb2_grpc.BlobsStub, tmp_path: Path
) -> None:
    body = some_bytes(6 * MIB)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # No file of this process may grow beyond this: what a full disk is to the one that writes.
    resource.setrlimit(resource.RLIMIT_FSIZE, (5 * MIB, before[1]))
    try:
        with pytest.raises(StorageError, match="could not write the blob"):
            send(stub, head(body, body[: 3 * MIB]), pb.UploadBlobRequest(data=body[3 * MIB :]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert client.blob(sha(body)).received == 3 * MIB
    (tmp_path / "file").write_bytes(body)
    assert client.upload(tmp_path / "file") == sha(body)


def test_a_file_that_is_not_there_or_changes_is_said_so(client: Client, tmp_path: Path) -> None:
    with pytest.raises(UploadError, match="does not exist"):
        client.upload(tmp_path / "file")
    with pytest.raises(UploadError, match="is no file"):
        client.upload(tmp_path)
    file = tmp_path / "file"
    file.write_bytes(some_bytes(7 * MIB))
    changed = threading.Event()

    def change(got: int, of: int) -> None:
        if not changed.is_set():
            changed.set()
            with open(file, "r+b") as out:
                out.seek(6 * MIB)
                out.write(b"changed")

    with pytest.raises(UploadError, match="was changed while it was sent"):
        client.upload(file, change)

    def shorten(got: int, of: int) -> None:
        os.truncate(file, 4 * MIB)

    with pytest.raises(UploadError, match="became shorter"):
        client.upload(file, shorten)
