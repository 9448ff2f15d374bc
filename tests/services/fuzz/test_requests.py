"""Every request of gradwire.v1, made at random and sent to a real service: each is answered as the API says, and nothing breaks."""

import os
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import pytest
from faults.cases import methods
from google.protobuf.descriptor import MethodDescriptor
from grpc_status import rpc_status
from nursery import Nursery
from serving_harness import code

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services import messages
from gradwire.services import records as r
from gradwire.services.client import Client, RemoteJob
from gradwire.services.security.access import Access
from gradwire.services.security.callers import LOCAL, Scope
from gradwire.services.security.token_store import TokenStore
from gradwire.services.states import JobState

from .messages import Maker

REQUESTS = 250
LONG_REQUESTS = 10_000
ANSWER_S = 20.0
STREAMED = 20
LISTEN_S = 0.05
MEMORY_BYTES = 64 * 1024 * 1024
"""How much the service may grow: thousands of jobs, and what allocators keep."""
EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNIMPLEMENTED,
    # Of uploads alone: bytes that are not those of their sha256.
    grpc.StatusCode.DATA_LOSS,
}


@dataclass
class Target:
    """A service with jobs in several states, and what a request can name."""

    nursery: Nursery
    channel: grpc.Channel
    client: Client
    ended: RemoteJob
    administrator: Access

    def known(self) -> dict[str, list[Any]]:
        """See messages.Known; some jobs are new each time."""
        queued = [self.client.submit(code(), workers=8).id for _ in range(3)]
        paused = self.client.submit(code(), workers=8)
        paused.pause()
        files = self.ended.checkpoints()[0].files
        return {
            "job_id": [self.ended.id, *queued, paused.id],
            "sha256": [files[0].sha256, files[-1].sha256],
            "workers": [1, 2, 8],
            "after": [0, 1, 3],
            "offset": [0, 1, 10],
            "page_size": [0, 1, 2],
        }


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    nursery = Nursery(tmp_path_factory.mktemp("fuzz") / "home")
    try:
        address = nursery.start().address
        with Client(address) as client, grpc.insecure_channel(address) as channel:
            ended = client.submit(code(), overrides={"steps": "4", "lines": "2"}, labels={"team": "a"})
            assert ended.wait().state == JobState.SUCCEEDED
            # All workers are taken, by a job that no request names: what is submitted stays in the queue.
            client.submit(code(), workers=8, overrides={"steps": "2", "hold_at": "1"})
            with closing(TokenStore.of_home(nursery.home)) as tokens:
                administrator = Access(tokens.create("root", Scope.ADMIN, None, LOCAL)[1])
            yield Target(nursery, channel, client, ended, administrator)
    finally:
        nursery.close()


def whole_spec(chance: random.Random) -> pb.JobSpec:
    """A spec that the service takes."""
    spec = r.JobSpec("fuzz", code(), workers=8, priority=chance.randint(-5, 5), labels={"team": "b"})
    return messages.spec_to_message(spec)


def whole_code(chance: random.Random) -> pb.Code:
    return messages.code_to_message(code(f"# {chance.random()}\n"))


WHOLE = {
    "gradwire.v1.JobSpec": whole_spec,
    "gradwire.v1.Code": whole_code,
}


def send(target: Target, method: MethodDescriptor, bodies: list[bytes]) -> grpc.RpcError | None:
    """Calls the method with requests in bytes; the error that it answered."""
    # Accounts are for administrators; whoever brings no token is nobody's, and not slowed by limits of owners.
    caller = target.administrator.metadata() if method.name == "UpdateAccount" else ()
    path = f"/{method.containing_service.full_name}/{method.name}"
    one_in, one_out = not method.client_streaming, not method.server_streaming
    kind = f"{'unary' if one_in else 'stream'}_{'unary' if one_out else 'stream'}"
    call = partial(getattr(target.channel, kind)(path), metadata=caller)
    request: Any = bodies[0] if one_in else iter(bodies)
    try:
        if one_out:
            call(request, timeout=ANSWER_S)
        else:
            # A watch of a job that waits says nothing until the deadline, and is no hang.
            stream = call(request, timeout=LISTEN_S)
            for number, _ in enumerate(stream):
                if number == STREAMED:
                    stream.cancel()
                    break
    except grpc.RpcError as error:
        waits = method.server_streaming and error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        return None if waits else error
    return None


def fuzz(target: Target, name: str, seed: int, requests: int) -> None:
    method = methods()[name]
    chance = random.Random(f"{name} {seed}")
    maker = Maker(chance, target.known(), WHOLE)
    for number in range(requests):
        count = chance.randint(0, 4) if method.client_streaming else 1
        bodies = [maker.request(method.input_type) for _ in range(count)]
        error = send(target, method, bodies)
        if error is None:
            continue
        told = f"{name}, request {number} of seed {seed} ({[body[:200] for body in bodies]}): {error.code()} {error.details()}"
        assert error.code() in EXPECTED, told
        if error.code() != grpc.StatusCode.UNIMPLEMENTED:
            assert rpc_status.from_call(error) is not None, f"no details: {told}"  # type: ignore[arg-type]
    assert target.client.serving()


def resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("name", sorted(methods()))
def test_random_requests_are_answered_as_the_api_says(target: Target, name: str) -> None:
    assert target.nursery.server is not None
    before = resident_bytes(target.nursery.server.pid)
    fuzz(target, name, 0, REQUESTS)
    assert target.nursery.server.alive
    assert resident_bytes(target.nursery.server.pid) - before < MEMORY_BYTES


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(methods()))
def test_many_random_requests_are_answered_as_the_api_says(target: Target, name: str) -> None:
    fuzz(target, name, random.randrange(2**32), LONG_REQUESTS)
