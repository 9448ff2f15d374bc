"""Message sizes, compression, pings and ports of the gRPC server, with clients that set their own options."""

import threading
from typing import Any

import grpc
import pytest
from serving_harness import code, scripted

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.proto.v1 import jobs_pb2_grpc
from gradwire.services import service as serving
from gradwire.services.client import Client
from gradwire.services.client.connection import OPTIONS
from gradwire.services.errors import MessageTooLargeError
from gradwire.services.records import Code, SourceFile
from gradwire.services.service import Address, AddressError, Service

MIB = 2**20


def stub(service: Service, compression: Any = None, **options: Any) -> Any:
    channel = grpc.insecure_channel(
        str(service.address),
        options=[(name.replace("__", "."), value) for name, value in options.items()],
        compression=compression,
    )
    return jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]


def submission(size: int) -> pb.SubmitJobRequest:
    files = [pb.SourceFile(path="job.py", content=bytes(size))]
    return pb.SubmitJobRequest(spec=pb.JobSpec(code=pb.Code(files=files, entrypoint="job.py")))


def test_a_message_that_is_too_large_is_said_clearly_and_the_connection_goes_on(client: Client) -> None:
    large = Code("job.py", (SourceFile("job.py", bytes(5 * MIB)),))
    with pytest.raises(MessageTooLargeError, match=r"larger than the 4 MiB that one message may have"):
        client.submit(large)
    assert client.submit(code(), overrides={"steps": "1"}).wait().step == 1


def test_the_server_refuses_what_a_client_without_limits_sends(service: Service) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stub(service, grpc__max_send_message_length=-1).SubmitJob(submission(5 * MIB), timeout=20)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_compressed_calls_are_taken_and_answered(service: Service) -> None:
    jobs = stub(service, grpc.Compression.Gzip)
    request = submission(MIB)
    request.spec.overrides["steps"] = "1"
    stored = jobs.SubmitJob(request, timeout=20).job
    whole = jobs.GetJob(pb.GetJobRequest(job_id=stored.id, include_code=True), timeout=20).job
    assert whole.spec.code.files[0].content == bytes(MIB)
    first = next(iter(jobs.WatchJob(pb.WatchJobRequest(job_id=stored.id), timeout=20)))
    assert first.event.number == 1


def test_a_small_message_that_unpacks_to_a_large_one_is_refused(service: Service) -> None:
    jobs = stub(service, grpc.Compression.Gzip, grpc__max_send_message_length=-1)
    with pytest.raises(grpc.RpcError) as refused:
        jobs.SubmitJob(submission(64 * MIB), timeout=20)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert list(stub(service).ListJobs(pb.ListJobsRequest(), timeout=20).jobs) == []


def test_clients_ping_less_often_than_the_server_bears() -> None:
    bears = dict(serving._OPTIONS)["grpc.http2.min_recv_ping_interval_without_data_ms"]
    assert 2 * bears <= dict(OPTIONS)["grpc.keepalive_time_ms"]


@pytest.mark.long
def test_pings_of_an_idle_watch_are_borne_and_a_flood_of_them_is_not(service: Service) -> None:
    with Client(str(service.address)) as client:
        job = client.submit(code(), overrides={"steps": "3", "hold_at": "2"})
        request = pb.WatchJobRequest(job_id=job.id)

        def watched(every_ms: int, ended: list[grpc.StatusCode]) -> threading.Thread:
            def follow() -> None:
                options = {"grpc__keepalive_time_ms": every_ms, "grpc__http2__max_pings_without_data": 0}
                try:
                    for _ in stub(service, **options).WatchJob(request):
                        pass
                except grpc.RpcError as error:
                    ended.append(error.code())

            thread = threading.Thread(target=follow, daemon=True)
            thread.start()
            return thread

        borne: list[grpc.StatusCode] = []
        flood: list[grpc.StatusCode] = []
        patient, hasty = watched(6000, borne), watched(200, flood)
        hasty.join(20)
        patient.join(20)  # three pings
        assert patient.is_alive() and borne == []
        assert flood == [grpc.StatusCode.UNAVAILABLE]
        job.cancel()


def test_two_services_on_one_port_are_not_both_started(service: Service, tmp_path: Any) -> None:
    with pytest.raises(AddressError, match="is the port in use"):
        Service(tmp_path / "other", scripted, Address("127.0.0.1", service.address.port)).start()
