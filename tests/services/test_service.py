"""A whole service over real sockets, with real processes as workers."""

import threading
import time
import uuid
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status
from safetensors.numpy import load_file
from serving_harness import code, scripted

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.proto.v1 import jobs_pb2_grpc
from gradwire.services import records as r
from gradwire.services.client import Client, DownloadError, RemoteJob
from gradwire.services.errors import (
    CursorAheadError,
    DrainingError,
    InvalidRequestError,
    JobNotFoundError,
    RequestReusedError,
    ServiceError,
    UnreachableError,
)
from gradwire.services.home import HomeInUseError
from gradwire.services.service import Address, AddressError, Service
from gradwire.services.states import JobState


def submit(client: Client, workers: int = 1, request_id: str = "", **script: str) -> RemoteJob:
    return client.submit(code(), overrides=script, workers=workers, request_id=request_id)


def until(job: RemoteJob, state: JobState) -> None:
    for event in job.watch():
        if isinstance(event.kind, r.StateChanged) and event.kind.state == state:
            return
    raise AssertionError(f"{job.id} ended without {state.name}")


def test_a_job_goes_from_the_queue_to_its_end_and_each_event_is_seen_once(client: Client) -> None:
    job = submit(client, steps="5", lines="2")
    events = list(job.watch())
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    states = [e.kind.state for e in events if isinstance(e.kind, r.StateChanged)]
    assert states == [JobState.QUEUED, JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED]
    assert [e.kind.step for e in events if isinstance(e.kind, r.StepFinished)] == [1, 2, 3, 4, 5]
    assert [line.text for line in job.logs()] == [f"line {k} of [bold]text[/bold]" for k in range(2)]
    ended = job.get()
    assert ended.state == JobState.SUCCEEDED
    assert ended.last_event == len(events)
    assert ended.evaluation_metrics == {"loss": 0.2, "accuracy": 0.5}
    assert 0 < ended.first_step_seconds <= ended.seconds
    assert list(job.watch(after=len(events))) == []
    assert next(job.watch(after=3)).number == 4


def test_a_failure_carries_the_users_traceback(client: Client) -> None:
    ended = submit(client, fail_at="2").wait()
    assert ended.state == JobState.FAILED
    assert ended.error == r.JobError("USER_CODE", "ValueError: no more", "Traceback …\nValueError: no more\n")
    assert ended.step == 1


def test_a_job_whose_process_is_killed_goes_on_in_a_second_attempt(client: Client) -> None:
    job = submit(client, steps="4", die_at="3")
    events = list(job.watch())
    ended = job.get()
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 2)
    assert [e.kind.step for e in events if isinstance(e.kind, r.StepFinished)] == [1, 2, 3, 4]
    warnings = [e.kind for e in events if isinstance(e.kind, r.Warned)]
    assert len(warnings) == 1
    assert "killed by signal 9" in warnings[0].message


def test_jobs_wait_for_room_and_are_told_why(client: Client) -> None:
    first = submit(client, workers=8, steps="100", step_s="0.1")
    second = submit(client, workers=1)
    until(first, JobState.RUNNING)
    deadline = time.monotonic() + 5
    while not (waiting := second.get().waiting_reason) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert waiting == f"needs 1 CPU worker; 0 are free; held by {first.id}"
    first.cancel()
    assert first.wait().state == JobState.CANCELLED
    assert second.wait().state == JobState.SUCCEEDED
    assert second.get().waiting_reason == ""


def test_a_cancelled_job_ends_soon_with_its_process(client: Client, tmp_path: Path) -> None:
    job = submit(client, steps="1000", step_s="0.05")
    until(job, JobState.RUNNING)
    began = time.monotonic()
    job.cancel()
    assert job.wait().state == JobState.CANCELLED
    assert time.monotonic() - began < 5
    assert job.cancel().state == JobState.CANCELLED
    from gradwire.services.attempt_folder import holder

    assert holder(tmp_path / "home" / "jobs" / job.id) is None


def test_fifty_watchers_see_every_event_in_order_whenever_they_come(client: Client) -> None:
    job = submit(client, steps="60", step_s="0.01")
    seen: list[list[int]] = [[] for _ in range(50)]

    def watch(k: int) -> None:
        time.sleep(k * 0.02)
        seen[k].extend(event.number for event in job.watch(after=k % 3))

    threads = [threading.Thread(target=watch, args=(k,)) for k in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    last = job.get().last_event
    assert all(numbers == list(range(k % 3 + 1, last + 1)) for k, numbers in enumerate(seen))


def test_two_clients_that_race_with_one_request_id_get_one_job(service: Service) -> None:
    request_id = str(uuid.uuid4())
    ids: list[str] = []

    def race() -> None:
        with Client(str(service.address)) as client:
            ids.append(submit(client, request_id=request_id).id)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(ids) == 8
    assert len(set(ids)) == 1
    with Client(str(service.address)) as client:
        assert len(list(client.jobs())) == 1
        with pytest.raises(RequestReusedError):
            submit(client, request_id=request_id, steps="9")
        client.job(ids[0]).wait()


def test_a_service_that_is_not_there_is_said_soon() -> None:
    with Client("127.0.0.1:9", retry_for_s=0.2) as client:
        for call in (
            client.serving,
            client.job("x").get,
            client.job("x").wait,
            lambda: list(client.job("x").watch()),
        ):
            began = time.monotonic()
            with pytest.raises(UnreachableError, match=r"no gradwire service answers at 127\.0\.0\.1:9"):
                call()
            assert time.monotonic() - began < 5


def test_wrong_requests_are_refused_with_every_field_named(client: Client) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.submit(code(), workers=9, device="tpu", overrides={"a b": "1"})
    assert {v.field for v in caught.value.violations} == {"spec.workers", "spec.device", "spec.overrides"}
    with pytest.raises(InvalidRequestError, match="expected 1 or more, not 0"):
        client.submit(code(), workers=0)
    assert list(client.jobs()) == []


def test_unknown_jobs_and_cursors_are_errors_of_their_own(client: Client) -> None:
    for call in (
        client.job("x").get,
        client.job("x").cancel,
        client.job("x").checkpoints,
        client.job("x").wait,
    ):
        with pytest.raises(JobNotFoundError):
            call()
    with pytest.raises(JobNotFoundError):
        list(client.job("x").watch())
    job = submit(client)
    job.wait()
    with pytest.raises(CursorAheadError):
        list(job.watch(after=10_000))


def test_a_checkpoint_is_downloaded_whole_and_checked(client: Client, tmp_path: Path) -> None:
    job = submit(client, steps="3")
    job.wait()
    assert [checkpoint.step for checkpoint in job.checkpoints()] == [3, 2]
    got = job.download(tmp_path / "newest")
    assert got.parameters_sha256 == job.get().parameters_sha256
    assert load_file(tmp_path / "newest" / "model.safetensors")["w"].tolist() == [3.0, 3.0, 3.0]
    assert (tmp_path / "newest" / "manifest.json").exists()
    assert job.download(tmp_path / "older", step=2).step == 2
    with pytest.raises(DownloadError, match="exists already"):
        job.download(tmp_path / "newest")
    with pytest.raises(DownloadError, match="has those of steps 3, 2"):
        job.download(tmp_path / "other", step=9)
    damaged = Path(got.path) / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"X")
    with pytest.raises(DownloadError, match="damaged"):
        job.download(tmp_path / "damaged")
    assert not (tmp_path / "damaged").exists()
    assert not list(tmp_path.glob(".tmp-*"))


def test_the_users_code_comes_back_as_it_was_sent(client: Client) -> None:
    sent = r.Code("job.py", (r.SourceFile("job.py", b"import a\n"), r.SourceFile("pkg/a.py", "é\n".encode())))
    job = client.submit(sent)
    assert job.code() == sent
    job.wait()


def test_errors_carry_google_rpc_details(service: Service) -> None:
    with grpc.insecure_channel(str(service.address)) as channel:
        stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError) as caught:
            stub.GetJob(pb.GetJobRequest(job_id="nobody"), timeout=10)
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        status: status_pb2.Status | None = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
        assert status is not None
        info, resource = error_details_pb2.ErrorInfo(), error_details_pb2.ResourceInfo()
        assert status.details[0].Unpack(info)
        assert status.details[1].Unpack(resource)
        assert (info.reason, info.domain, dict(info.metadata)) == (
            "JOB_NOT_FOUND",
            "gradwire",
            {"job": "nobody"},
        )
        assert resource.resource_name == "nobody"


def test_a_request_is_checked_without_being_stored(service: Service, client: Client) -> None:
    with grpc.insecure_channel(str(service.address)) as channel:
        stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        request = pb.SubmitJobRequest(validate_only=True)
        request.spec.code.entrypoint = "job.py"
        request.spec.code.files.add(path="job.py", content=b"pass")
        assert stub.SubmitJob(request, timeout=10).job.spec.shards == 8
    assert list(client.jobs()) == []


def test_strangers_find_the_service_by_health_and_reflection(service: Service) -> None:
    with grpc.insecure_channel(str(service.address)) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "gradwire.v1.Jobs", "gradwire.v1.Blobs"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="gradwire.v1.Jobs"),
        ]
        listed, described = list(reflection.ServerReflectionInfo(iter(requests), timeout=10))
        assert "gradwire.v1.Jobs" in [each.name for each in listed.list_services_response.service]
        assert described.file_descriptor_response.file_descriptor_proto


def test_a_second_service_gets_neither_the_home_nor_the_port(service: Service, tmp_path: Path) -> None:
    with pytest.raises(HomeInUseError, match="another gradwire service"):
        Service(tmp_path / "home", scripted, Address("127.0.0.1", 0)).start()
    other = Service(tmp_path / "other", scripted, service.address)
    with pytest.raises(AddressError, match="can't listen at"):
        other.start()
    again = Service(tmp_path / "other", scripted, Address("127.0.0.1", 0))
    again.start()
    again.stop()


def test_watchers_of_a_service_that_stops_are_told_where_to_go_on(tmp_path: Path) -> None:
    service = Service(tmp_path / "home", scripted, Address("127.0.0.1", 0))
    address = service.start()
    told: list[ServiceError] = []
    with Client(str(address), retry_for_s=0) as client:
        job = submit(client, steps="1000", step_s="0.05")
        until(job, JobState.RUNNING)

        def watch() -> None:
            with pytest.raises((UnreachableError, DrainingError)):
                list(job.watch(reconnect_for_s=0.5, interrupted=told.append))

        thread = threading.Thread(target=watch)
        thread.start()
        time.sleep(0.3)
        service.stop()
        thread.join(30)
    assert told[0].reason == "DRAINING"
    assert int(told[0].metadata["cursor"]) >= 3


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("localhost:0", True),
        ("[::1]:7", True),
        ("0.0.0.0:1", False),
        ("host:1", False),
    ],
)
def test_addresses_are_read_and_loopback_is_known(text: str, loopback: bool) -> None:
    address = Address.parse(text)
    assert str(address) == text
    assert address.loopback == loopback


@pytest.mark.parametrize(
    "text", ["", "7411", "localhost", "host:", ":1", "host:x", "host:70000", "::1:80", "h:-1"]
)
def test_wrong_addresses_are_refused(text: str) -> None:
    with pytest.raises(AddressError, match="expected"):
        Address.parse(text)
