"""WatchJob."""

import functools
from collections.abc import AsyncIterator
from contextlib import aclosing

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services.errors import InvalidRequestError, Violation
from gradwire.services.faces.calls import Context, caller, stream
from gradwire.services.faces.family import Family


@functools.lru_cache(2048)
def _answer(number: int, body: bytes) -> pb.WatchJobResponse:
    """An event as its watchers get it: made once for all of them, and never changed."""
    return pb.WatchJobResponse(event=pb.Event.FromString(body), cursor=number)


class Following(Family):
    """Events as they come."""

    @stream
    async def WatchJob(
        self, request: pb.WatchJobRequest, context: Context
    ) -> AsyncIterator[pb.WatchJobResponse]:
        if request.after < 0:
            raise InvalidRequestError([Violation("after", f"expected 0 or more, not {request.after}")])
        await self._readers.run(self._store.check_visible, request.job_id, caller(context))
        batches = self._feed.batches(request.job_id, request.after)
        async with aclosing(batches) as following:  # type: ignore[type-var]
            async for events, cursor in following:
                for event in events:
                    yield _answer(event.number, event.body)
                if not events:
                    yield pb.WatchJobResponse(cursor=cursor)
