"""Programs that come as archives: looked into at submit, the same as their files, kept as long as a job needs them."""

import asyncio
import hashlib
import uuid
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from archives.archive_files import member, tar, tar_gz_of, tar_of, zip_of
from serving_harness import code
from waiting import wait_until

from gradwire.proto.v1 import blobs_pb2, blobs_pb2_grpc
from gradwire.services import records as r
from gradwire.services.blobs.naming import path_of
from gradwire.services.client import AsyncClient, Client, UploadError
from gradwire.services.code_hash import CodeHash, encode_code
from gradwire.services.errors import InvalidRequestError, JobNotFoundError, RequestReusedError
from gradwire.services.security.access import Access
from gradwire.services.security.callers import LOCAL, Caller, Scope
from gradwire.services.service import Service
from gradwire.services.states import JobState
from gradwire.services.store import NewJob

FILES = {"job.py": b"import model\n", "model.py": b"", "pkg/caf\u00e9.py": b"x = 1\n" * 100}
CODE = r.Code("job.py", tuple(r.SourceFile(path, body) for path, body in sorted(FILES.items())))


def written(tmp_path: Path, body: bytes, name: str = "code") -> Path:
    (tmp_path / name).write_bytes(body)
    return tmp_path / name


def test_the_hash_of_files_is_the_same_however_they_are_held() -> None:
    large = {**FILES, "large": bytes(300_000), "empty": b"", "a/" * 60 + "b": b"y"}
    for files, entry in ((FILES, "job.py"), (large, "a/" * 60 + "b"), (large, "")):
        digest = CodeHash()
        for path in sorted(files):
            digest.file(path, len(files[path]))
            for at in range(0, len(files[path]), 1000):
                digest.content(files[path][at : at + 1000])
        held = r.Code(entry, tuple(r.SourceFile(path, body) for path, body in files.items()))
        assert digest.sha256(entry) == encode_code(held)[1]
        assert digest.sha256("other.py") != digest.sha256(entry)


@pytest.mark.parametrize("pack", [tar_of, tar_gz_of, zip_of], ids=["tar", "gz", "zip"])
def test_a_job_of_an_archive_has_its_files(
    service: Service, client: Client, tmp_path: Path, pack: object
) -> None:
    assert callable(pack)
    job = client.submit("job.py", archive=written(tmp_path, pack(FILES)), overrides={"steps": "2"})
    assert job.wait().state == JobState.SUCCEEDED
    folder = service._home.job(job.id) / "code"
    assert {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    } == FILES
    assert job.code() == CODE
    stored = job.get().spec
    assert stored.code_archive == hashlib.sha256((tmp_path / "code").read_bytes()).hexdigest()
    assert (stored.name, stored.code.entrypoint) == ("job", "job.py")


def test_an_archive_and_its_files_are_one_request(client: Client, tmp_path: Path) -> None:
    request_id = str(uuid.uuid4())
    first = client.submit("job.py", archive=written(tmp_path, zip_of(FILES)), request_id=request_id)
    assert client.submit(CODE, request_id=request_id).id == first.id
    assert (
        client.submit("job.py", archive=written(tmp_path, tar_of(FILES)), request_id=request_id).id
        == first.id
    )
    with pytest.raises(RequestReusedError):
        client.submit(r.Code("model.py", CODE.files), request_id=request_id)
    other = written(tmp_path, tar_of({**FILES, "model.py": b"y"}))
    with pytest.raises(RequestReusedError):
        client.submit("job.py", archive=other, request_id=request_id)
    first.wait()


def test_more_than_fits_into_a_message_goes_as_an_archive(
    service: Service, client: Client, tmp_path: Path
) -> None:
    files = {
        **FILES,
        "weights.bin": b"".join(hashlib.sha256(bytes([k % 256])).digest() for k in range(100_000)),
    }
    request_id = str(uuid.uuid4())
    archive = written(tmp_path, tar_gz_of(files))
    job = client.submit("job.py", archive=archive, overrides={"steps": "2"}, request_id=request_id)
    assert job.wait().state == JobState.SUCCEEDED
    assert (service._home.job(job.id) / "code" / "weights.bin").read_bytes() == files["weights.bin"]
    assert job.code() == r.Code("job.py")
    again = written(tmp_path, zip_of(files), "again")
    assert (
        client.submit("job.py", archive=again, overrides={"steps": "2"}, request_id=request_id).id == job.id
    )


def test_every_wrong_field_is_named_the_archives_too(client: Client, tmp_path: Path) -> None:
    archive = written(tmp_path, tar_of(FILES))
    for body, reason in (
        (tar([member("../x")]), "the archive '../x' has an empty, '.' or '..' part"),
        (b"no archive", "the archive is cut short"),
        (tar_gz_of(FILES)[:-9], "the archive is cut short"),
    ):
        bad = written(tmp_path, body, "bad")
        with pytest.raises(InvalidRequestError) as caught:
            client.submit("job.py", archive=bad, device="tpu", labels={"!": ""})
        assert [v.field for v in caught.value.violations] == [
            "spec.device",
            "spec.code_archive",
            "spec.labels",
        ]
        assert reason in caught.value.violations[1].description
    with pytest.raises(InvalidRequestError, match=r"such as job\.py, model\.py.*not 'main\.py'"):
        client.submit("main.py", archive=archive)
    with pytest.raises(InvalidRequestError, match="expected none beside code_archive"):
        client.submit(code(), archive=archive)
    with pytest.raises(InvalidRequestError, match="64 digits"):
        client.submit("job.py", code_archive="../../etc/passwd")
    with pytest.raises(InvalidRequestError, match=r"no blob 0+ of yours: upload it first"):
        client.submit("job.py", code_archive="0" * 64)
    with pytest.raises(UploadError, match="does not exist"):
        client.submit("job.py", archive=tmp_path / "missing")


def test_an_archive_that_is_deleted_stays_for_the_jobs_that_need_it(
    service: Service, client: Client, tmp_path: Path
) -> None:
    blocking = client.submit(code(), workers=8, overrides={"steps": "1000", "step_s": "1"})
    job = client.submit("job.py", archive=written(tmp_path, tar_of(FILES)), overrides={"steps": "2"})
    sha256 = job.get().spec.code_archive
    client.delete_blob(sha256)
    assert list(client.blobs()) == []
    assert path_of(service._home.blobs, sha256).exists()
    request = blobs_pb2.ReadBlobRequest(job_id=job.id, sha256=sha256, offset=100)
    with grpc.insecure_channel(str(service.address)) as channel:
        answers = blobs_pb2_grpc.BlobsStub(channel).ReadBlob(request)  # type: ignore[no-untyped-call]
        assert b"".join(each.data for each in answers) == tar_of(FILES)[100:]
    # What one's own job keeps can be named again, and brought back.
    second = client.submit("job.py", code_archive=sha256, overrides={"steps": "3"})
    blocking.cancel()
    assert {job.wait().state, second.wait().state} == {JobState.SUCCEEDED}
    service._blobs.sweep()
    assert path_of(service._home.blobs, sha256).exists()
    service._retention *= 0
    for each in (job, second):
        service._store.request_delete(each.id, service._retention).result()
    wait_until(lambda: service._purger.sweep() >= 0 and gone(client, job.id) and gone(client, second.id))
    service._blobs.sweep()
    assert not path_of(service._home.blobs, sha256).exists()


def gone(client: Client, job_id: str) -> bool:
    try:
        client.job(job_id).get()
    except JobNotFoundError:
        return True
    return False


def test_anothers_blob_can_not_be_named_by_a_job(guarded: Service, tmp_path: Path) -> None:
    secrets = [guarded.tokens.create(name, Scope.SUBMIT, None, LOCAL)[1] for name in ("ann", "bob")]
    ann, bob = (Client(str(guarded.address), access=Access(secret)) for secret in secrets)
    with ann, bob:
        sha256 = ann.upload(written(tmp_path, tar_of(FILES)))
        for blobs in ({"code_archive": sha256}, {"data": {"train_data": f"blob:{sha256}#npz"}}):
            program = "job.py" if "code_archive" in blobs else code()
            with pytest.raises(InvalidRequestError) as hidden:
                bob.submit(program, **blobs)  # type: ignore[arg-type]
            missing = {key: str(value).replace(sha256, "0" * 64) for key, value in blobs.items()}
            if "data" in blobs:
                missing = {"data": {"train_data": f"blob:{'0' * 64}#npz"}}  # type: ignore[dict-item]
            with pytest.raises(InvalidRequestError) as unknown:
                bob.submit(program, **missing)  # type: ignore[arg-type]
            assert str(hidden.value).replace(sha256, "SHA") == str(unknown.value).replace("0" * 64, "SHA")
        job = ann.submit(code(), data={"train_data": f"blob:{sha256}#npz"}, overrides={"steps": "2"})
        assert job.wait().state == JobState.SUCCEEDED
        ann.delete_blob(sha256)
        assert path_of(guarded._home.blobs, sha256).exists()


def test_an_archive_that_is_damaged_on_the_disk_fails_its_job_and_says_so(
    service: Service, client: Client, tmp_path: Path
) -> None:
    blocking = client.submit(code(), workers=8, overrides={"steps": "1000", "step_s": "1"})
    body = {**FILES, "large.bin": b"".join(hashlib.sha256(bytes([k % 256])).digest() for k in range(70_000))}
    job = client.submit("job.py", archive=written(tmp_path, zip_of(body)))
    path_of(service._home.blobs, job.get().spec.code_archive).write_bytes(b"nothing of it")
    blocking.cancel()
    ended = job.wait()
    assert ended.state == JobState.FAILED
    assert ended.error is not None
    assert ended.error.reason == "CODE_DAMAGED"
    assert not (service._home.job(job.id) / "code").exists()


def test_local_data_is_uploaded_and_named_by_its_hash(
    service: Service, client: Client, tmp_path: Path
) -> None:
    data = written(tmp_path, b"rows", "train.jsonl")
    sha256 = hashlib.sha256(b"rows").hexdigest()
    held_out = "https://example.org/x.npz"
    urls = {"train_data": f"{data}#columns=x,y", "val_data": str(data), "test_data": held_out}
    job = client.submit(code(), data=urls, overrides={"steps": "2"})
    assert job.get().spec.data == {
        "train_data": f"blob:{sha256}#jsonl&columns=x,y",
        "val_data": f"blob:{sha256}#jsonl",
        "test_data": held_out,
    }
    job.wait()
    for name, reason in (
        ("a.jsonl.gz", "unpack it first"),
        ("a.txt", "tells no format"),
        ("*.npz", "only one file"),
    ):
        with pytest.raises(UploadError, match=reason):
            client.submit(code(), data={"train_data": str(tmp_path / name)})


def test_the_asynchronous_client_does_the_same(service: Service, tmp_path: Path) -> None:
    body = bytes(7 * 1024 * 1024)

    async def go() -> None:
        async with AsyncClient(str(service.address)) as client:
            sha256 = await client.upload(written(tmp_path, body, "large"))
            assert sha256 == hashlib.sha256(body).hexdigest()
            assert [blob.sha256 async for blob in client.blobs()] == [sha256]
            await client.download_blob(sha256, tmp_path / "back")
            await client.delete_blob(sha256)
            with pytest.raises(UploadError, match="does not exist"):
                await client.upload(tmp_path / "missing")
            job = await client.submit(
                "job.py", archive=written(tmp_path, zip_of(FILES)), overrides={"steps": "2"}
            )
            assert (await job.wait()).state == JobState.SUCCEEDED
            assert await job.code() == CODE

    asyncio.run(go())
    assert (tmp_path / "back").read_bytes() == body


def test_a_job_is_repeated_with_the_archive_that_it_keeps(
    service: Service, client: Client, tmp_path: Path
) -> None:
    large = {
        **FILES,
        "weights.bin": b"".join(hashlib.sha256(bytes([k % 256])).digest() for k in range(70_000)),
    }
    for files in (FILES, large):
        first = client.submit("job.py", archive=written(tmp_path, tar_gz_of(files)), overrides={"steps": "2"})
        assert first.wait().state == JobState.SUCCEEDED
        client.delete_blob(first.get().spec.code_archive)
        spec = replace(service._store.get(first.id).spec, code=service._store.code(first.id))
        again = first.replay()
        assert again.wait().state == JobState.SUCCEEDED
        assert (service._home.job(again.id) / "code" / "model.py").read_bytes() == files["model.py"]
        assert again.code() == first.code()
        for by in (LOCAL, Caller("root", Scope.ADMIN)):
            new = NewJob(f"repeated-{len(files)}-{by.owner}", spec, by=by, replay_of=first.id)
            service._store.submit(new).result()
            wait_until(lambda job_id=new.id: service._store.get(job_id).state.terminal)
            assert service._store.get(new.id).state == JobState.SUCCEEDED
            folder = service._home.job(new.id) / "code"
            assert (folder / "pkg" / "caf\u00e9.py").read_bytes() == files["pkg/caf\u00e9.py"]
