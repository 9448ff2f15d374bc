"""SIGTERM of a real service with watchers and submits in flight: who is told what, what is kept, and how it goes on after."""

import signal
import threading
import time
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from nursery import Nursery
from serving_harness import code
from waiting import wait_until

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.proto.v1 import jobs_pb2_grpc
from gradwire.services import messages
from gradwire.services import records as r
from gradwire.services.client import Client
from gradwire.services.errors import DrainingError, ServiceError
from gradwire.services.states import JobState

from .test_lost_messages import StoreHeld

WATCHERS = 50
SUBMITS = 20


def request_of(request_id: str) -> pb.SubmitJobRequest:
    spec = r.JobSpec("queued", code(), workers=8)
    return pb.SubmitJobRequest(spec=messages.spec_to_message(spec), request_id=request_id)


def refusal_of(call: Any) -> tuple[grpc.StatusCode, str, Duration]:
    """Code, reason and delay of the answer to a call that is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    assert status is not None, caught.value
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(retry)
    return caught.value.code(), info.reason, retry.retry_delay


class Watching:
    """One watcher: what it saw, and what it was told when it was interrupted."""

    def __init__(self, client: Client, job_id: str) -> None:
        self.seen: list[int] = []
        self.told: list[tuple[int, ServiceError]] = []
        self._job = client.job(job_id)
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def _watch(self) -> None:
        for event in self._job.watch(interrupted=lambda error: self.told.append((self.last, error))):
            self.seen.append(event.number)

    @property
    def last(self) -> int:
        return self.seen[-1] if self.seen else 0


def test_a_service_that_is_stopped_says_so_keeps_what_it_took_and_watchers_go_on(nursery: Nursery) -> None:
    server = nursery.start()
    clients = [Client(server.address, retry_for_s=30) for _ in range(5)]
    channel = grpc.insecure_channel(server.address)
    stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
    job = clients[0].submit(code(), workers=8, overrides={"steps": "6", "hold_at": "4"})
    wait_until(lambda: job.get().step == 3)
    last = job.get().last_event
    watching = [Watching(clients[k % 5], job.id) for k in range(WATCHERS)]
    wait_until(lambda: all(each.last == last for each in watching))

    with StoreHeld(nursery.home / "jobs.db"):
        # They are handed to the writer, which can't write.
        flying = [stub.SubmitJob.future(request_of(f"flying-{k}"), timeout=30) for k in range(SUBMITS)]
        assert stub.GetJob(pb.GetJobRequest(job_id=job.id), timeout=10).job.id == job.id
        server.process.terminate()
        wait_until(lambda: not clients[0].serving(), 5, "NOT_SERVING")
        for call in (
            lambda: stub.SubmitJob(request_of("late"), timeout=10),
            lambda: list(stub.WatchJob(pb.WatchJobRequest(job_id=job.id), timeout=10)),
        ):
            refused, reason, delay = refusal_of(call)
            assert (refused, reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
            assert delay.ToTimedelta().total_seconds() > 0
        assert server.alive
    # The writer wrote all that it had, and each was answered; what came too late was refused.
    answers = []
    for call in flying:
        if call.exception(timeout=20) is None:
            answers.append(call.result().job)
        else:
            assert refusal_of(call.result)[:2] == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert answers
    assert server.wait() == 0
    assert {job.state for job in answers} == {JobState.QUEUED}

    nursery.start()
    (nursery.home / "jobs" / job.id / "go").touch()
    for each in watching:
        each.thread.join(60)
        assert not each.thread.is_alive()
    ended = job.get()
    ids = [each.id for each in clients[0].jobs()]
    for client in clients:
        client.close()
    channel.close()
    assert ended.state == JobState.SUCCEEDED
    for each in watching:
        assert each.seen == list(range(1, ended.last_event + 1))
        at, first = each.told[0]
        # Where to go on, as a number, is what it had seen.
        assert isinstance(first, DrainingError)
        assert first.metadata["cursor"] == str(at) == str(last)
    assert sorted(ids) == sorted([job.id, *(each.id for each in answers)])


def test_what_comes_after_the_stores_end_is_refused_as_by_a_service_that_stops(nursery: Nursery) -> None:
    server = nursery.start()
    with Client(server.address) as client, grpc.insecure_channel(server.address) as channel:
        stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        job = client.submit(code(), workers=8, overrides={"steps": "2", "hold_at": "1"})
        codes = set()
        server.process.terminate()
        end = time.monotonic() + 30
        while server.alive and time.monotonic() < end:
            try:
                stub.UpdateJob(pb.UpdateJobRequest(job_id=job.id, priority=len(codes)), timeout=5)
            except grpc.RpcError as error:
                codes.add(error.code())
    assert server.wait() == 0
    assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    assert grpc.StatusCode.UNAVAILABLE in codes


def test_a_watcher_that_does_not_read_does_not_keep_the_service(nursery: Nursery) -> None:
    server = nursery.start()
    with Client(server.address) as client, grpc.insecure_channel(server.address) as channel:
        job = client.submit(code(), overrides={"steps": "3", "lines": "20000", "hold_at": "2"})
        wait_until(lambda: job.get().last_event > 20_000)
        stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        stuck = [stub.WatchJob(pb.WatchJobRequest(job_id=job.id)) for _ in range(3)]
        assert {next(each).event.number for each in stuck} == {1}
        assert server.end(signal.SIGTERM, within_s=15) == 0
        for each in stuck:
            each.cancel()
