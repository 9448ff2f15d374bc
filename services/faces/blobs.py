"""gradwire.v1.Blobs. Wired by service.py."""

import asyncio
import base64
import functools
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from gradwire.proto.v1 import blobs_pb2 as pb
from gradwire.proto.v1 import blobs_pb2_grpc
from gradwire.services import messages
from gradwire.services import records as r
from gradwire.services.blobs.keeping import Blobs, Upload
from gradwire.services.checkpoints import find_file
from gradwire.services.errors import (
    DrainingError,
    FileNotFoundInJobError,
    InvalidRequestError,
    TooManyError,
    UploadStalledError,
    Violation,
)
from gradwire.services.faces.calls import Context, Readers, caller, stream, unary
from gradwire.services.home import Home
from gradwire.services.plain_files import open_plain
from gradwire.services.store import Store

T = TypeVar("T")
CHUNK_BYTES = 1024 * 1024
UPLOAD_CHUNK_BYTES = 3 * 1024 * 1024
UPLOADERS = 4
UPLOADS_OF_OWNER = 16
STALLED_S = 30.0
PAGE_SIZE = 50
PAGE_LIMIT = 1000
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_NEWEST = 2**62


class BlobsFace(blobs_pb2_grpc.BlobsServicer):
    """gradwire.v1.Blobs."""

    def __init__(
        self, store: Store, home: Home, readers: Readers, blobs: Blobs, stalled_s: float = STALLED_S
    ) -> None:
        self._store, self._home, self._readers, self._blobs = store, home, readers, blobs
        self._uploaders = ThreadPoolExecutor(UPLOADERS, thread_name_prefix="uploader")
        self._uploads: Counter[str] = Counter()
        self._stalled_s = stalled_s
        self._draining = False

    def drain(self) -> None:
        """Takes no new uploads from now on."""
        self._draining = True

    def close(self) -> None:
        """Ends the threads, when what they do is done."""
        self._uploaders.shutdown(wait=True)

    @unary
    async def UploadBlob(self, requests: AsyncIterator[pb.UploadBlobRequest], context: Context) -> Any:
        by = caller(context)
        if self._draining:
            raise DrainingError("the service is stopping and takes no uploads: go on when it is back")
        first = await self._following(requests)
        if first is None:
            raise InvalidRequestError([Violation("sha256", "expected a first message, got none")])
        _check_first(first)
        if self._uploads[by.owner] >= UPLOADS_OF_OWNER:
            raise TooManyError(
                f"{by.owner} has {UPLOADS_OF_OWNER} uploads under way: go on when one has ended",
                {"limit": "uploads"},
            )
        self._uploads[by.owner] += 1
        try:
            begun = self._aside(self._blobs.begin, by, first.sha256, first.size, first.offset)
            upload = await _not_cut(begun, self._let_go)
            if isinstance(upload, r.Blob):
                blob = upload
            else:
                blob = await self._take(upload, first, requests)
        finally:
            self._uploads[by.owner] -= 1
            if not self._uploads[by.owner]:
                del self._uploads[by.owner]
        return pb.UploadBlobResponse(blob=messages.blob_to_message(blob))

    async def _take(
        self, upload: Upload, first: pb.UploadBlobRequest, requests: AsyncIterator[pb.UploadBlobRequest]
    ) -> r.Blob:
        """Takes the chunks: one is hashed and written while the next one comes, no more wait."""
        came = first.offset
        request: pb.UploadBlobRequest | None = first
        working: asyncio.Future[Any] = self._aside(upload.write, b"")
        try:
            while request is not None:
                came += len(request.data)
                _check_chunk(request, first, came)
                # Shielded: a caller that goes away neither cuts a commit nor frees a file that a thread still writes.
                await asyncio.shield(working)
                working = self._aside(upload.write, request.data)
                if came == first.size:
                    break
                request = await self._following(requests)
            await asyncio.shield(working)
            working = self._aside(upload.finish)
            return await asyncio.shield(working)
        finally:
            if working.done():
                self._let_go(upload)
            else:
                working.add_done_callback(lambda _: self._let_go(upload))

    async def _following(self, requests: AsyncIterator[pb.UploadBlobRequest]) -> pb.UploadBlobRequest | None:
        try:
            async with asyncio.timeout(self._stalled_s):
                return await anext(requests, None)
        except TimeoutError:
            raise UploadStalledError(
                f"nothing came for {self._stalled_s:g} s: what came before stays, GetBlob says from where to go on"
            ) from None

    def _let_go(self, upload: "Upload | r.Blob") -> None:
        if isinstance(upload, Upload):
            self._aside(upload.close)

    def _aside(self, work: Callable[..., T], *args: Any) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._uploaders, functools.partial(work, *args))

    @unary
    async def GetBlob(self, request: pb.GetBlobRequest, context: Context) -> pb.GetBlobResponse:
        _check_sha256(request.sha256)
        blob = await self._readers.run(self._blobs.find, caller(context), request.sha256)
        return pb.GetBlobResponse(blob=messages.blob_to_message(blob))

    @unary
    async def ListBlobs(self, request: pb.ListBlobsRequest, context: Context) -> pb.ListBlobsResponse:
        if request.page_size < 0:
            raise InvalidRequestError(
                [Violation("page_size", f"expected 0 or more, not {request.page_size}")]
            )
        size = min(request.page_size or PAGE_SIZE, PAGE_LIMIT)
        before = _read_token(request.page_token)
        found, following = await self._readers.run(self._blobs.page, caller(context), size, before)
        return pb.ListBlobsResponse(
            blobs=[messages.blob_to_message(blob) for blob in found],
            next_page_token=_write_token(following) if following else "",
        )

    @unary
    async def DeleteBlob(self, request: pb.DeleteBlobRequest, context: Context) -> pb.DeleteBlobResponse:
        _check_sha256(request.sha256)
        # Aside, and not ended by a caller that goes away.
        await asyncio.shield(self._aside(self._blobs.delete, caller(context), request.sha256))
        return pb.DeleteBlobResponse()

    @stream
    async def ReadBlob(
        self, request: pb.ReadBlobRequest, context: Context
    ) -> AsyncIterator[pb.ReadBlobResponse]:
        by = caller(context)
        if request.job_id:
            await self._readers.run(self._store.get, request.job_id, by)
            path, size = await self._readers.run(self._file_of_job, request.job_id, request.sha256)
        else:
            _check_sha256(request.sha256)
            path, size = await self._readers.run(self._blobs.file, by, request.sha256)
        if not 0 <= request.offset <= size:
            raise InvalidRequestError([Violation("offset", f"expected 0 to {size}, not {request.offset}")])
        async for chunk in self._chunks(path, size, request.offset):
            yield pb.ReadBlobResponse(data=chunk, total_size=size)

    def _file_of_job(self, job_id: str, sha256: str) -> tuple[Path, int]:
        found = find_file(self._home.checkpoints(job_id), sha256)
        if found is not None:
            return found.path, found.size
        kept = self._blobs.file_of_job(job_id, sha256)
        if kept is not None:
            return kept
        raise FileNotFoundInJobError(
            f"no checkpoint of job {job_id} has a file with sha256 {sha256[:64]!r}: "
            "older checkpoints are removed as newer ones are written; list them again",
            {"job": job_id, "sha256": sha256[:64]},
        )

    async def _chunks(self, path: Path, size: int, offset: int) -> AsyncIterator[bytes]:
        """The file's bytes from `offset`; one empty chunk where there are none, so that the size is always told."""
        # Opened once: a file that is removed meanwhile can still be read to its end.
        source = await self._readers.run(open_plain, path)
        try:
            await self._readers.run(source.seek, offset)
            left = size - offset
            first = True
            while left > 0 or first:
                chunk: bytes = await self._readers.run(source.read, min(CHUNK_BYTES, left))
                if left > 0 and not chunk:
                    raise FileNotFoundInJobError(f"{path.name} became shorter while it was read")
                left -= len(chunk)
                first = False
                yield chunk
        finally:
            source.close()


async def _not_cut(work: "asyncio.Future[T]", undo: Callable[[T], None]) -> T:
    """What `work` gives; where the caller goes away before, that is undone."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        work.add_done_callback(
            lambda done: None if done.cancelled() or done.exception() else undo(done.result())
        )
        raise


def _check_sha256(text: str) -> None:
    if not _SHA256.match(text):
        raise InvalidRequestError([Violation("sha256", "expected 64 digits of 0-9 and a-f")])


def _check_first(first: pb.UploadBlobRequest) -> None:
    wrong = []
    if not _SHA256.match(first.sha256):
        wrong.append(Violation("sha256", "expected 64 digits of 0-9 and a-f"))
    if first.size < 0:
        wrong.append(Violation("size", f"expected 0 or more bytes, not {first.size}"))
    elif not 0 <= first.offset <= first.size:
        wrong.append(Violation("offset", f"expected 0 to the {first.size} bytes of size, not {first.offset}"))
    if wrong:
        raise InvalidRequestError(wrong)


def _check_chunk(request: pb.UploadBlobRequest, first: pb.UploadBlobRequest, came: int) -> None:
    wrong = []
    if len(request.data) > UPLOAD_CHUNK_BYTES:
        wrong.append(
            Violation("data", f"expected at most {UPLOAD_CHUNK_BYTES} bytes, not {len(request.data)}")
        )
    if came > first.size:
        wrong.append(Violation("data", f"expected {first.size} bytes in all, as size says, got {came}"))
    if request is not first and (request.sha256 not in ("", first.sha256) or request.size or request.offset):
        wrong.append(Violation("sha256", "expected it, size and offset in the first message alone"))
    if wrong:
        raise InvalidRequestError(wrong)


def _write_token(before: int) -> str:
    return base64.urlsafe_b64encode(f"blobs {before}".encode()).decode().rstrip("=")


def _read_token(token: str) -> int:
    if not token:
        return _NEWEST
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        word, _, number = text.partition(" ")
        if word == "blobs" and number.isdecimal() and len(number) < 19:
            return int(number)
    except ValueError:
        pass
    raise InvalidRequestError(
        [Violation("page_token", "not a token of a list of blobs: leave it out to begin anew")]
    )
