"""The last that stands before the faces: what is no message is refused, and what fails unforeseen is said without its insides.

gRPC itself would answer both with UNKNOWN and the text of the Python exception. An interceptor of the gRPC server.
"""

import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from gradwire.services.errors import (
    DrainingError,
    InvalidRequestError,
    ServiceError,
    UnexpectedError,
    Violation,
    to_status,
)
from gradwire.services.writer import StoreClosedError

log = logging.getLogger(__name__)
_OURS = "/gradwire."
# The published stubs know no handlers and contexts of asyncio.
Handler = Any
Context = Any


class _Unreadable:
    """What came in place of a request."""

    def __init__(self, problem: DecodeError) -> None:
        self.error = InvalidRequestError(
            [Violation("request", f"expected a message of this call ({problem})")]
        )


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Wraps the handler of each method, once."""

    def __init__(self) -> None:
        self._guarded: dict[str, tuple[Handler, Handler]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """See grpc.aio.ServerInterceptor."""
        handler = await continuation(details)
        if handler is None or not details.method.startswith(_OURS):
            return handler
        known, guarded = self._guarded.get(details.method, (None, None))
        if known is not handler:
            guarded = _guard(handler, details.method.rpartition("/")[2])
            self._guarded[details.method] = handler, guarded
        return guarded


def _guard(handler: Handler, name: str) -> Handler:
    kind = f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if handler.response_streaming else 'unary'}"
    method = getattr(handler, kind)
    if handler.request_streaming:
        method = _reading_stream(method)
    answered = _answering_stream(method, name) if handler.response_streaming else _answering(method, name)
    return getattr(grpc, f"{kind}_rpc_method_handler")(
        answered, _reading(handler.request_deserializer), handler.response_serializer
    )


def _reading(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def read(body: bytes) -> Any:
        try:
            return parse(body)
        except DecodeError as problem:
            return _Unreadable(problem)

    return read


def _reading_stream(method: Callable[[Any, Context], Any]) -> Callable[[Any, Context], Any]:
    async def checked(requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            if isinstance(request, _Unreadable):
                raise request.error
            yield request

    return lambda requests, context: method(checked(requests), context)


def _answering(method: Callable[[Any, Context], Awaitable[Any]], name: str) -> Callable[[Any, Context], Any]:
    @functools.wraps(method)
    async def answered(request: Any, context: Context) -> Any:
        try:
            if isinstance(request, _Unreadable):
                raise request.error
            return await method(request, context)
        except (grpc.aio.AbortError, NotImplementedError):
            raise
        except Exception as problem:
            await _refuse(problem, context, name)

    return answered


def _answering_stream(
    method: Callable[[Any, Context], AsyncIterator[Any]], name: str
) -> Callable[[Any, Context], AsyncIterator[Any]]:
    @functools.wraps(method)
    async def answered(request: Any, context: Context) -> AsyncIterator[Any]:
        try:
            if isinstance(request, _Unreadable):
                raise request.error
            async with aclosing(method(request, context)) as answers:  # type: ignore[type-var]
                async for answer in answers:
                    yield answer
        except (grpc.aio.AbortError, NotImplementedError):
            raise
        except Exception as problem:
            await _refuse(problem, context, name)

    return answered


async def _refuse(problem: Exception, context: Context, name: str) -> None:
    error: ServiceError
    if isinstance(problem, ServiceError):
        error = problem
    elif isinstance(problem, StoreClosedError):
        error = DrainingError("the service is stopping and stores nothing more: try again when it is back")
    else:
        log.error("%s failed", name, exc_info=problem)
        error = UnexpectedError(f"{name} failed within the service, whose log says how", {"method": name})
    await context.abort_with_status(to_status(error))
