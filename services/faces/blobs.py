"""gradwire.v1.Blobs. Wired by service.py."""

from collections.abc import AsyncIterator
from pathlib import Path

from gradwire.proto.v1 import blobs_pb2, blobs_pb2_grpc
from gradwire.services.checkpoints import FoundFile, find_file
from gradwire.services.errors import FileNotFoundInJobError, InvalidRequestError, Violation
from gradwire.services.faces.calls import Context, Readers, caller, stream
from gradwire.services.home import Home
from gradwire.services.store import Store

CHUNK_BYTES = 1024 * 1024


class BlobsFace(blobs_pb2_grpc.BlobsServicer):
    """gradwire.v1.Blobs."""

    def __init__(self, store: Store, home: Home, readers: Readers) -> None:
        self._store, self._home, self._readers = store, home, readers

    @stream
    async def ReadBlob(
        self, request: blobs_pb2.ReadBlobRequest, context: Context
    ) -> AsyncIterator[blobs_pb2.ReadBlobResponse]:
        await self._readers.run(self._store.get, request.job_id, caller(context))
        found = await self._readers.run(find_file, self._home.checkpoints(request.job_id), request.sha256)
        if found is None:
            raise FileNotFoundInJobError(
                f"no checkpoint of job {request.job_id} has a file with sha256 {request.sha256[:64]!r}: "
                "older checkpoints are removed as newer ones are written; list them again",
                {"job": request.job_id, "sha256": request.sha256[:64]},
            )
        if not 0 <= request.offset <= found.size:
            raise InvalidRequestError(
                [Violation("offset", f"expected 0 to {found.size}, not {request.offset}")]
            )
        async for chunk in self._chunks(found, request.offset):
            yield blobs_pb2.ReadBlobResponse(data=chunk, total_size=found.size)

    async def _chunks(self, found: FoundFile, offset: int) -> AsyncIterator[bytes]:
        """The file's bytes from `offset`; one empty chunk where there are none, so that the size is always told."""
        # Opened once: a checkpoint that is removed meanwhile can still be read to its end.
        source = await self._readers.run(open, found.path, "rb")
        try:
            await self._readers.run(source.seek, offset)
            left = found.size - offset
            first = True
            while left > 0 or first:
                chunk: bytes = await self._readers.run(source.read, min(CHUNK_BYTES, left))
                if left > 0 and not chunk:
                    raise FileNotFoundInJobError(f"{Path(found.path).name} became shorter while it was read")
                left -= len(chunk)
                first = False
                yield chunk
        finally:
            source.close()
