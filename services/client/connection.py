"""What both clients connect with: channel options, the stubs of a channel, and calls as values.

A `Call` says what is sent and how the answer is read; `synchronous.py` and `asynchronous.py` only carry calls out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from gradwire.proto.v1 import accounts_pb2_grpc, blobs_pb2_grpc, jobs_pb2_grpc

T = TypeVar("T")
DEFAULT_ADDRESS = "127.0.0.1:7411"
CALL_TIMEOUT_S = 30.0
MESSAGE_BYTES = 4 * 1024 * 1024
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # gRPC waits up to two minutes between attempts to connect by itself; a service restarts in a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A proxy variable meant for the web must not catch calls to this machine.
    ("grpc.enable_http_proxy", 0),
]


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One RPC with one answer: `service` is "jobs", "blobs" or "accounts", `method` the RPC's name, `read` takes the answer.

    repeatable: twice is the same as once, so that it may be sent again where nobody answered.
    """

    service: str
    method: str
    request: Message
    read: Callable[[Any], T]
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Inflow(Generic[T]):
    """An RPC with many requests and one answer, which `read` takes."""

    service: str
    method: str
    read: Callable[[Any], T]


@dataclass(frozen=True, slots=True)
class Stream:
    """An RPC with many answers; `request` makes what is sent each time that it is opened, to go on where it broke."""

    service: str
    method: str
    request: Callable[[], Message]


class Stubs:
    """The methods of a channel, of either kind."""

    def __init__(self, channel: Any) -> None:
        self._services: dict[str, Any] = {
            "jobs": jobs_pb2_grpc.JobsStub(channel),  # type: ignore[no-untyped-call]
            "blobs": blobs_pb2_grpc.BlobsStub(channel),  # type: ignore[no-untyped-call]
            "accounts": accounts_pb2_grpc.AccountsStub(channel),  # type: ignore[no-untyped-call]
        }

    def method(self, call: "Call[Any] | Stream | Inflow[Any]") -> Any:
        """What sends the call's request."""
        return getattr(self._services[call.service], call.method)
