"""What all faces share: who calls, and the status of errors. A face parses, makes one call of the domain, renders.

Faces run on one asyncio loop and never block it: changes are futures of the store's writer, reads run in a few
threads. A client's deadline or cancellation ends its wait and never a commit.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

from gradwire.services.errors import ServiceError, to_status
from gradwire.services.security.callers import Caller, caller_of_this_call

P = ParamSpec("P")
T = TypeVar("T")
# The context's type: the published stubs lack abort_with_status.
Context = Any

READERS = 4


def caller(context: Context) -> Caller:
    """Who makes this call, as the gate found."""
    return replace(caller_of_this_call.get(), peer=context.peer())


def unary(
    method: Callable[[Any, Any, Context], Awaitable[T]],
) -> Callable[[Any, Any, Context], Awaitable[T]]:
    """Gives the errors of an RPC their status."""

    @functools.wraps(method)
    async def answered(self: Any, request: Any, context: Context) -> T:
        try:
            return await method(self, request, context)
        except ServiceError as error:
            await context.abort_with_status(to_status(error))
            raise

    return answered


def stream(
    method: Callable[[Any, Any, Context], AsyncIterator[T]],
) -> Callable[[Any, Any, Context], AsyncIterator[T]]:
    """Gives the errors of a streaming RPC their status."""

    @functools.wraps(method)
    async def answered(self: Any, request: Any, context: Context) -> AsyncIterator[T]:
        try:
            async with aclosing(method(self, request, context)) as answers:  # type: ignore[type-var]
                async for answer in answers:
                    yield answer
        except ServiceError as error:
            await context.abort_with_status(to_status(error))

    return answered


class Readers:
    """A few threads for reads of the store and of files."""

    def __init__(self, threads: int = READERS) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="reader")

    async def run(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `read` returns, run aside."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, functools.partial(read, *args, **kwargs))

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=True)
