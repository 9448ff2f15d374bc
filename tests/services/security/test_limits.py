"""How fast an owner may call: the bucket against its closed form, and a real service that refuses and is waited for."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from serving_harness import scripted

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.proto.v1 import jobs_pb2_grpc
from gradwire.services.client import Client
from gradwire.services.errors import RateLimitedError
from gradwire.services.security.access import Access
from gradwire.services.security.callers import LOCAL, Scope
from gradwire.services.security.limits import LIMITS, Kind, Limit, RateLimits, parse_limits
from gradwire.services.service import Address, Service


def test_a_bucket_takes_its_burst_and_then_its_rate() -> None:
    now = 100.0
    limits = RateLimits({Kind.read: Limit(4.0, 10.0)}, lambda: now)

    def taken(count: int, owner: str = "ann") -> int:
        done = 0
        for _ in range(count):
            try:
                limits.take(owner, Kind.read)
            except RateLimitedError:
                continue
            done += 1
        return done

    assert taken(50) == 10
    with pytest.raises(RateLimitedError) as caught:
        limits.take("ann", Kind.read)
    assert caught.value.retry_s == 0.25
    # Other owners and other kinds have buckets of their own, or none.
    assert taken(50, "bob") == 10
    limits.take("ann", Kind.submit)
    now += 0.25
    assert taken(9) == 1
    now += 1.0
    assert taken(9) == 4
    now += 1000.0
    assert taken(50) == 10


def test_limits_are_read_and_wrong_ones_refused() -> None:
    assert parse_limits([]) == LIMITS
    changed = parse_limits(["submit=10/100", "read=none", "stream=0.5"])
    assert changed == {
        Kind.submit: Limit(10, 100),
        Kind.change: LIMITS[Kind.change],
        Kind.stream: Limit(0.5, 1),
    }
    for text in (
        "submit",
        "submit=",
        "x=1",
        "submit=0",
        "submit=-1",
        "submit=1/0",
        "submit=nan",
        "submit=inf",
    ):
        with pytest.raises(ValueError, match="expected KIND=PER_SECOND"):
            parse_limits([text])


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Service]:
    running = Service(
        tmp_path / "home", scripted, Address("127.0.0.1", 0), limits={Kind.read: Limit(5.0, 3.0)}
    )
    running.start()
    yield running
    running.stop()


def test_too_many_calls_are_refused_with_when_to_come_back(limited: Service) -> None:
    secret = limited.tokens.create("ann", Scope.READ, None, LOCAL)[1]
    metadata = (("authorization", f"Bearer {secret}"),)
    with grpc.insecure_channel(str(limited.address)) as channel:
        stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError) as caught:
            for _ in range(1000):
                stub.ListJobs(pb.ListJobsRequest(), timeout=10, metadata=metadata)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
        assert status is not None
        info, quota, retry = (
            error_details_pb2.ErrorInfo(),
            error_details_pb2.QuotaFailure(),
            error_details_pb2.RetryInfo(),
        )
        assert all(each.Unpack(into) for each, into in zip(status.details, (info, quota, retry), strict=True))
        assert (info.reason, info.metadata["kind"]) == ("RATE_LIMITED", "read")
        assert quota.violations[0].subject == "owner:ann/read"
        assert 0 < retry.retry_delay.ToNanoseconds() <= 0.2e9
    # A client waits as long as it is told to.
    with Client(str(limited.address), access=Access(secret)) as client:
        for _ in range(6):
            assert list(client.jobs()) == []
    with Client(str(limited.address), 0, Access(secret)) as client, pytest.raises(RateLimitedError):
        for _ in range(1000):
            list(client.jobs())


def test_without_a_token_nothing_is_counted(limited: Service) -> None:
    with Client(str(limited.address), 0, Access()) as client:
        for _ in range(20):
            assert list(client.jobs()) == []
