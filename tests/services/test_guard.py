"""What stands before the faces, over a real server whose face fails."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gradwire.proto.v1 import blobs_pb2, blobs_pb2_grpc, jobs_pb2, jobs_pb2_grpc
from gradwire.services.faces.guard import Guard

SECRET = "password is swordfish"


class Jobs(jobs_pb2_grpc.JobsServicer):
    async def GetJob(self, request: Any, context: Any) -> Any:
        if request.job_id == "fine":
            return jobs_pb2.GetJobResponse(job=jobs_pb2.Job(id="fine"))
        raise KeyError(SECRET)

    async def WatchJob(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield jobs_pb2.WatchJobResponse(cursor=1)
        raise ValueError(SECRET)


class Blobs(blobs_pb2_grpc.BlobsServicer):
    async def UploadBlob(self, requests: AsyncIterator[Any], context: Any) -> Any:
        async for _ in requests:
            pass
        return blobs_pb2.UploadBlobResponse()


@pytest.fixture
def channel() -> Iterator[grpc.Channel]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> tuple[Any, int]:
        server = grpc.aio.server(interceptors=[Guard()])
        jobs_pb2_grpc.add_JobsServicer_to_server(Jobs(), server)  # type: ignore[no-untyped-call]
        blobs_pb2_grpc.add_BlobsServicer_to_server(Blobs(), server)  # type: ignore[no-untyped-call]
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def details_of(error: grpc.RpcError) -> tuple[str, list[str]]:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    info, wrong = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(wrong)
    return info.reason, [violation.field for violation in wrong.field_violations]


def test_a_request_that_is_no_message_is_refused_as_an_invalid_one(channel: grpc.Channel) -> None:
    # A field of three bytes of which one is there; a text that is not UTF-8.
    for body in (b"\x0a\x03a", b"\x0a\x02\xff\xfe"):
        for call in (
            lambda body=body: channel.unary_unary("/gradwire.v1.Jobs/GetJob")(body, timeout=10),
            lambda body=body: list(channel.unary_stream("/gradwire.v1.Jobs/WatchJob")(body, timeout=10)),
            lambda body=body: channel.stream_unary("/gradwire.v1.Blobs/UploadBlob")(
                iter([b"", body]), timeout=10
            ),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert details_of(caught.value) == ("INVALID_REQUEST", ["request"])


def test_a_failure_nobody_foresaw_is_logged_and_answered_without_its_insides(
    channel: grpc.Channel, caplog: pytest.LogCaptureFixture
) -> None:
    stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
    for call, name in (
        (lambda: stub.GetJob(jobs_pb2.GetJobRequest(), timeout=10), "GetJob"),
        (lambda: list(stub.WatchJob(jobs_pb2.WatchJobRequest(), timeout=10)), "WatchJob"),
    ):
        caplog.clear()
        with caplog.at_level(logging.ERROR), pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() == grpc.StatusCode.INTERNAL
        assert details_of(caught.value)[0] == "UNEXPECTED"
        assert SECRET not in str(caught.value)
        assert f"{name} failed" in caplog.text and SECRET in caplog.text


def test_what_is_in_order_passes(channel: grpc.Channel) -> None:
    stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
    assert stub.GetJob(jobs_pb2.GetJobRequest(job_id="fine"), timeout=10).job.id == "fine"
    upload = blobs_pb2_grpc.BlobsStub(channel).UploadBlob  # type: ignore[no-untyped-call]
    assert upload(iter([blobs_pb2.UploadBlobRequest()]), timeout=10) == blobs_pb2.UploadBlobResponse()
    with pytest.raises(grpc.RpcError) as caught:
        stub.ListJobs(jobs_pb2.ListJobsRequest(), timeout=10)
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
