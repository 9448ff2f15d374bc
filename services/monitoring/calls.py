"""Measures calls and the loop that answers them. Used by service.py."""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import grpc

from gradwire.services.monitoring.figures import Figures

log = logging.getLogger(__name__)
LAG_EVERY_S = 0.1
LAG_TOLD_S = 1.0
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
# The published stubs know no handlers of asyncio.
Handler = Any


class Measured(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Counts how calls of the service's own methods end, those that the gate refuses too: it comes first."""

    def __init__(self, figures: Figures, methods: frozenset[str]) -> None:
        """methods: full names like /gradwire.v1.Jobs/GetJob; what is none of them is not counted, so that labels stay few."""
        self._figures, self._methods = figures, methods

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """See grpc.aio.ServerInterceptor."""
        began = time.perf_counter()
        handler = await continuation(details)
        if handler is None or details.method not in self._methods:
            return handler
        return self._measured(handler, details.method.rpartition("/")[2], began)

    def _measured(self, handler: Handler, method: str, began: float) -> Handler:
        kind = f"{'stream' if handler.request_streaming else 'unary'}_{'stream' if handler.response_streaming else 'unary'}"
        inner = getattr(handler, kind)

        async def one_answer(request: Any, context: Any) -> Any:
            try:
                return await inner(request, context)
            finally:
                self._ended(method, context)
                if kind == "unary_unary":
                    self._figures.rpc_seconds.labels(method).observe(time.perf_counter() - began)

        async def many_answers(request: Any, context: Any) -> AsyncIterator[Any]:
            try:
                answers = inner(request, context)
                if not hasattr(answers, "__aiter__"):
                    await answers  # a handler that answers through its context, like a refusal
                    return
                async with aclosing(answers) as coming:
                    async for answer in coming:
                        yield answer
            finally:
                self._ended(method, context)

        make = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(
            many_answers if handler.response_streaming else one_answer,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _ended(self, method: str, context: Any) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            code = "CANCELLED"  # its deadline is over, or its caller gone
        else:
            found = context.code()
            number = found.value[0] if isinstance(found, grpc.StatusCode) else int(found or 0)
            unsaid = error is not None and number == 0
            code = "UNKNOWN" if unsaid else _CODES.get(number, "UNKNOWN")
        self._figures.rpcs.labels(method, code).inc()


async def watch_loop(figures: Figures) -> None:
    """Measures how late the running loop is, for as long as it runs; says so where that is long."""
    while True:
        due = time.perf_counter() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        lag = max(0.0, time.perf_counter() - due)
        figures.loop_lag.observe(lag)
        if lag >= LAG_TOLD_S:
            log.warning("the front end's loop stood still for %.1f s", lag)
