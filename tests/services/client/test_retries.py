"""What clients send again and what never, against a gRPC server that refuses as it is told and counts."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from serving_harness import code

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.proto.v1 import jobs_pb2_grpc
from gradwire.services import errors as e
from gradwire.services.client import AsyncClient, Client, calls
from gradwire.services.client.connection import Call

Refusal = Callable[[grpc.ServicerContext], None]
CALLS_S = 0.5


@dataclass
class Refusing(jobs_pb2_grpc.JobsServicer):
    """Ends the first calls as `refusals` say; `held` keeps calls waiting until the test is over."""

    refusals: list[Refusal] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    seen: Counter[str] = field(default_factory=Counter)
    request_ids: set[str] = field(default_factory=set)

    def _answer(self, method: str, context: grpc.ServicerContext) -> pb.Job:
        self.seen[method] += 1
        if self.refusals:
            self.refusals.pop(0)(context)
        return pb.Job(id="one", state=pb.JobState.JOB_STATE_QUEUED)

    def SubmitJob(self, request: Any, context: grpc.ServicerContext) -> pb.SubmitJobResponse:
        self.request_ids.add(request.request_id)
        return pb.SubmitJobResponse(job=self._answer("SubmitJob", context))

    def GetJob(self, request: Any, context: grpc.ServicerContext) -> pb.GetJobResponse:
        return pb.GetJobResponse(job=self._answer("GetJob", context))


def code_alone(code: grpc.StatusCode) -> Refusal:
    return lambda context: context.abort(code, "as the test wants it")  # type: ignore[return-value]


def with_details(error: e.ServiceError) -> Refusal:
    return lambda context: context.abort_with_status(e.to_status(error))  # type: ignore[attr-defined, return-value]


@pytest.fixture
def refusing() -> Iterator[tuple[Refusing, str]]:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    servicer = Refusing()
    jobs_pb2_grpc.add_JobsServicer_to_server(servicer, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    servicer.held.set()
    server.stop(0).wait()


def submitted(kind: str, address: str, **options: Any) -> str:
    """The id that a submit by either client is answered."""
    if kind == "sync":
        with Client(address, **options) as client:
            return client.submit(code()).id

    async def run() -> str:
        async with AsyncClient(address, **options) as client:
            return (await client.submit(code())).id

    return asyncio.run(run())


def called(kind: str, address: str, call: Call[Any], **options: Any) -> Any:
    if kind == "sync":
        with Client(address, **options) as client:
            return client._call(call)

    async def run() -> Any:
        async with AsyncClient(address, **options) as client:
            return await client._call(call)

    return asyncio.run(run())


KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


@KINDS
def test_what_was_not_done_is_sent_again_with_the_same_request_id(kind: str, refusing: Any) -> None:
    servicer, address = refusing
    servicer.refusals = [
        code_alone(grpc.StatusCode.UNAVAILABLE),
        with_details(e.DrainingError("stops")),
        with_details(e.StorageError("full")),
        with_details(e.RateLimitedError("slowly", {"retry_s": "0.01"})),
    ]
    assert submitted(kind, address) == "one"
    assert servicer.seen == {"SubmitJob": 5}
    assert len(servicer.request_ids) == 1


@KINDS
@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
    ],
)
def test_any_other_code_is_never_sent_again(kind: str, code: grpc.StatusCode, refusing: Any) -> None:
    servicer, address = refusing
    servicer.refusals = [code_alone(code)] * 2
    with pytest.raises(e.ServiceError):
        submitted(kind, address)
    assert servicer.seen == {"SubmitJob": 1}


@KINDS
def test_a_call_that_ran_out_of_its_time_is_not_sent_again(kind: str, refusing: Any) -> None:
    servicer, address = refusing
    servicer.refusals = [lambda context: servicer.held.wait(30)] * 2
    with pytest.raises(e.NoAnswerError):
        submitted(kind, address, timeout_s=CALLS_S)
    assert servicer.seen == {"SubmitJob": 1}


@KINDS
def test_a_call_that_must_not_be_doubled_is_sent_again_only_where_the_service_says_that_nothing_was_done(
    kind: str, refusing: Any
) -> None:
    servicer, address = refusing
    once = Call("jobs", "GetJob", pb.GetJobRequest(job_id="one"), lambda answer: answer.job.id, False)
    servicer.refusals = [code_alone(grpc.StatusCode.UNAVAILABLE)]
    with pytest.raises(e.UnreachableError):
        called(kind, address, once)
    assert servicer.seen == {"GetJob": 1}
    servicer.refusals = [with_details(e.DrainingError("stops"))]
    assert called(kind, address, once) == "one"
    assert servicer.seen == {"GetJob": 3}


@KINDS
def test_trying_ends_when_its_time_is_over(kind: str, refusing: Any) -> None:
    servicer, address = refusing
    servicer.refusals = [with_details(e.DrainingError("stops"))] * 100
    began = time.monotonic()
    with pytest.raises(e.DrainingError):
        called(kind, address, calls.get_job("one"), retry_for_s=0.4)
    assert time.monotonic() - began < 5
    assert 2 <= servicer.seen["GetJob"] <= 12
