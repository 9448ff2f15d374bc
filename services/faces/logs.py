"""ReadLogs: what workers printed, as bytes."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from gradwire.proto.v1 import jobs_pb2 as pb
from gradwire.services.errors import CursorAheadError, InvalidRequestError, Violation
from gradwire.services.event_rows import line_of
from gradwire.services.faces.calls import Context, caller, stream
from gradwire.services.faces.family import Family
from gradwire.services.series import CHUNK_BYTES, read_output, size_of_output
from gradwire.services.validation import SHARDS_LIMIT

STREAMS = ("stdout", "stderr")


class Logs(Family):
    """Output as it comes."""

    @stream
    async def ReadLogs(
        self, request: pb.ReadLogsRequest, context: Context
    ) -> AsyncIterator[pb.ReadLogsResponse]:
        _check(request)
        rank, name, offset = request.rank, request.stream or "stdout", request.offset
        by = caller(context)
        # Where the job stands before its output is read: what is printed later comes by events after this one.
        seen = (await self._readers.run(self._store.get, request.job_id, by)).last_event
        job = await self._readers.run(self._store.check_visible, request.job_id, by)
        engine = self._store.engine
        if offset > (size := await self._readers.run(size_of_output, engine, job, name, rank)):
            raise CursorAheadError(
                f"worker {rank} of job {request.job_id} has printed {size} bytes to {name}, none after byte {offset}: "
                "was the offset another worker's?",
                {"job": request.job_id, "size": str(size), "offset": str(offset)},
            )
        while data := await self._readers.run(read_output, engine, job, name, rank, offset):
            offset += len(data)
            yield pb.ReadLogsResponse(data=data, next_offset=offset)
        if not request.follow:
            return
        batches = self._feed.batches(request.job_id, seen)
        async with aclosing(batches) as following:  # type: ignore[type-var]
            async for events, _ in following:
                come = b""
                for event in events:
                    message = pb.Event.FromString(event.body)
                    if not message.HasField("log_line"):
                        continue
                    line = line_of(event.body)
                    if (line.rank, line.stream) != (rank, name):
                        continue
                    # Some of it may have been read from the store.
                    new = line.written[max(0, offset + len(come) - line.offset) :]
                    if len(come) + len(new) > CHUNK_BYTES:
                        offset += len(come)
                        yield pb.ReadLogsResponse(data=come, next_offset=offset)
                        come = b""
                    come += new
                offset += len(come)
                if come or not events:
                    yield pb.ReadLogsResponse(data=come, next_offset=offset)


def _check(request: pb.ReadLogsRequest) -> None:
    wrong = []
    if not 0 <= request.rank < SHARDS_LIMIT:
        wrong.append(Violation("rank", f"expected 0 to {SHARDS_LIMIT - 1}, not {request.rank}"))
    if request.stream not in ("", *STREAMS):
        wrong.append(Violation("stream", f"expected stdout or stderr, not {request.stream[:80]!r}"))
    if request.offset < 0:
        wrong.append(Violation("offset", f"expected 0 or more, not {request.offset}"))
    if wrong:
        raise InvalidRequestError(wrong)
