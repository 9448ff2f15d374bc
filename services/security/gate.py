"""The gate before every RPC: who calls, may it do this, is it too fast. An interceptor of the gRPC server.

A call that is refused here is answered before its request is read. Health checks are open to all.
"""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import grpc

from gradwire.proto.v1 import accounts_pb2, blobs_pb2, jobs_pb2
from gradwire.services.errors import ForbiddenError, ServiceError, UnauthenticatedError, to_status
from gradwire.services.security.callers import LOCAL, Caller, Scope, caller_of_this_call
from gradwire.services.security.limits import Kind, RateLimits
from gradwire.services.security.tokens import Token, digest_of, looks_like_a_token

log = logging.getLogger(__name__)
FRESH_S = 1.0
"""How long a token that was found is believed to be as it was: a revoked one ends within this."""
_CACHED = 4096
_SCHEME = "bearer "
_LOG_S = 1.0
_HEALTH = "/grpc.health.v1.Health/"
_REFLECTION = "/grpc.reflection."
_READING = ("Get", "List", "Watch", "Read", "Query", "Explain", "Verify")
# The published stubs know no handlers of asyncio.
Handler = Any
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]
FindToken = Callable[[str], Awaitable[Token | None]]


def scopes_of_methods() -> dict[str, Scope]:
    """What each method of the service asks for: reading ones READ, all others SUBMIT, those that change accounts ADMIN."""
    services = (
        jobs_pb2.DESCRIPTOR.services_by_name["Jobs"],
        blobs_pb2.DESCRIPTOR.services_by_name["Blobs"],
        accounts_pb2.DESCRIPTOR.services_by_name["Accounts"],
    )
    return {
        f"/{service.full_name}/{method.name}": Scope.READ
        if method.name.startswith(_READING)
        else Scope.ADMIN
        if service.name == "Accounts"
        else Scope.SUBMIT
        for service in services
        for method in service.methods
    }


class Gate(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets calls through that may pass. `find` looks a token's text up."""

    def __init__(
        self,
        find: FindToken,
        require_token: bool,
        limits: RateLimits,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._find, self._require_token, self._limits, self._now = find, require_token, limits, now
        self._scopes = scopes_of_methods()
        self._known: dict[str, tuple[float, Token]] = {}
        self._logged, self._unlogged = -_LOG_S, 0

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> Handler | None:
        """See grpc.aio.ServerInterceptor."""
        method = details.method
        if method.startswith(_HEALTH):
            return await continuation(details)
        try:
            secret = _secret(details.invocation_metadata)
            caller = await self._caller(secret)
            self._check_scope(caller, method)
            if secret:
                self._limits.take(caller.owner, _kind(method))
        except ServiceError as error:
            return self._refusal(error, method)
        caller_of_this_call.set(caller)
        handler = await continuation(details)
        if handler is not None and handler.unary_stream is not None and secret:
            return self._watched(handler, secret)
        if handler is not None and handler.stream_unary is not None and secret:
            return self._uploaded(handler, secret)
        return handler

    async def admit(self, header: str | None) -> Caller:
        """Who asks over HTTP for what every reader may see, with this header `authorization`. Raises ServiceError."""
        secret = _secret([] if header is None else [("authorization", header)])
        caller = await self._caller(secret)
        if secret:
            self._limits.take(caller.owner, Kind.read)
        return caller

    async def _caller(self, secret: str) -> Caller:
        if not secret:
            if self._require_token:
                raise UnauthenticatedError(
                    "this service asks for a token: `gradwire login ADDRESS` keeps one, or set GRADWIRE_TOKEN",
                    {"cause": "missing"},
                )
            return LOCAL
        token = await self._token(secret)
        return Caller(token.owner, token.scope, token.id)

    async def _token(self, secret: str) -> Token:
        """The token of this text, which holds. Raises UnauthenticatedError."""
        key = digest_of(secret)
        found, token = self._known.get(key, (0.0, None))
        if token is None or time.monotonic() - found > FRESH_S:
            # What has not a token's form costs no look into the store.
            token = await self._find(secret) if looks_like_a_token(secret) else None
            self._known.pop(key, None)
            if token is None:
                raise UnauthenticatedError(
                    "this service knows no such token: was it made for another one?", {"cause": "unknown"}
                )
            if len(self._known) >= _CACHED:
                self._known.pop(next(iter(self._known)))
            self._known[key] = (time.monotonic(), token)
        if trouble := token.trouble(self._now()):
            raise UnauthenticatedError(
                f"the token {token.id} is {trouble}: ask whoever runs the service for a new one",
                {"cause": trouble, "token": token.id},
            )
        return token

    def _check_scope(self, caller: Caller, method: str) -> None:
        if method.startswith(_REFLECTION):
            needed = Scope.READ
        else:
            # What is not ours is answered UNIMPLEMENTED, and to those alone who may do everything.
            needed = self._scopes.get(method, Scope.ADMIN)
        if caller.scope < needed:
            name = method.rpartition("/")[2]
            raise ForbiddenError(
                f"{name} needs a token of scope {needed.name.lower()}; this one's is {caller.scope.name.lower()}",
                {"scope": caller.scope.name.lower(), "needed": needed.name.lower(), "method": name},
            )

    def _refusal(self, error: ServiceError, method: str) -> Handler:
        """A handler that answers any kind of call with the error, its requests unread."""

        async def refuse(requests: Any, context: Any) -> None:
            self._log(error, method, context.peer())
            await context.abort_with_status(to_status(error))

        return grpc.stream_stream_rpc_method_handler(refuse)  # type: ignore[arg-type]

    def _log(self, error: ServiceError, method: str, peer: str) -> None:
        """One line a second at most: whoever is refused can't fill the disk."""
        now = time.monotonic()
        if now - self._logged < _LOG_S:
            self._unlogged += 1
            return
        more = f" ({self._unlogged} more refused since the last line)" if self._unlogged else ""
        name = method.rpartition("/")[2][:64]
        log.warning("refused %s from %s: %s%s", name, peer, error.reason, more)
        self._logged, self._unlogged = now, 0

    def _watched(self, handler: Handler, secret: str) -> Handler:
        """The handler of a stream that ends when its token does not hold any more, at the next message or heartbeat."""

        stream: Any = handler.unary_stream

        async def watched(request: Any, context: Any) -> AsyncIterator[Any]:
            checked = time.monotonic()
            async with aclosing(stream(request, context)) as answers:
                async for answer in answers:
                    if time.monotonic() - checked > FRESH_S:
                        try:
                            await self._token(secret)
                        except ServiceError as error:
                            await context.abort_with_status(to_status(error))
                        checked = time.monotonic()
                    yield answer

        return grpc.unary_stream_rpc_method_handler(
            watched,  # type: ignore[arg-type]
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _uploaded(self, handler: Handler, secret: str) -> Handler:
        """The handler of a stream of requests that ends when its token does not hold any more."""

        take: Any = handler.stream_unary

        async def uploaded(requests: Any, context: Any) -> Any:
            async def checked() -> AsyncIterator[Any]:
                looked = time.monotonic()
                async for request in requests:
                    if time.monotonic() - looked > FRESH_S:
                        await self._token(secret)
                        looked = time.monotonic()
                    yield request

            coming = checked()
            try:
                return await take(coming, context)
            finally:
                await coming.aclose()  # type: ignore[attr-defined]

        return grpc.stream_unary_rpc_method_handler(
            uploaded,  # type: ignore[arg-type]
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def _kind(method: str) -> Kind:
    name = method.rpartition("/")[2]
    if name == "SubmitJob":
        return Kind.submit
    if name.startswith(("Watch", "Read")):
        return Kind.stream
    return Kind.read if name.startswith(_READING) or method.startswith(_REFLECTION) else Kind.change


def _secret(metadata: Any) -> str:
    """The token that came with a call, '' where none did."""
    values = [value for key, value in metadata or () if key == "authorization"]
    if not values:
        return ""
    text = values[0] if isinstance(values[0], str) else ""
    if len(values) > 1 or not text.lower().startswith(_SCHEME):
        raise UnauthenticatedError(
            "expected one header `authorization: Bearer TOKEN`", {"cause": "malformed"}
        )
    return text[len(_SCHEME) :]
