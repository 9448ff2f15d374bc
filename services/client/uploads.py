"""A file on its way to the service: hashed first, sent in chunks, gone on with where it broke. Carried out by the clients."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from gradwire.proto.v1 import blobs_pb2 as pb
from gradwire.services import messages
from gradwire.services import records as r
from gradwire.services.client.connection import Call, Inflow
from gradwire.services.errors import BlobDamagedError, ServiceError, UploadOffsetError

CHUNK_BYTES = 3 * 1024 * 1024
PAGE_SIZE = 200
RECONNECT_S = 60.0
_DAMAGED_TRIES = 2


class UploadError(Exception):
    """A file can't be sent; the message says why."""


class Outgoing:
    """One file, open: what is asked and sent next, and what the answers mean."""

    def __init__(self, path: Path, sent: Callable[[int, int], None]) -> None:
        self._path, self._sent = path, sent
        self._offset = 0
        self._furthest = -1
        self._tries = _DAMAGED_TRIES
        self._trouble = ""

    def open(self) -> None:
        """Opens it and reads it once, for its sum. Raises UploadError."""
        if not self._path.is_file():
            raise UploadError(f"{self._path} {'is no file' if self._path.exists() else 'does not exist'}")
        try:
            self._file = self._path.open("rb")
            self.sha256, self.size = self._sum()
        except OSError as error:
            raise UploadError(f"can't read {self._path}: {error.strerror}") from error

    def close(self) -> None:
        """Closes it."""
        self._file.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def look(self) -> Call[r.Blob]:
        """Asks what the service has of it."""
        return get_blob(self.sha256)

    def take(self, blob: r.Blob | None) -> None:
        """Takes what the service has of it, None for nothing. Raises UploadError where sending it came to nothing."""
        if self._trouble:
            raise UploadError(self._trouble)
        self._offset = 0 if blob is None else min(blob.received, self.size)

    @property
    def whole(self) -> bool:
        """Whether the service has it; of no bytes that is seen only when they are sent."""
        return self._offset == self.size > 0

    @property
    def came_further(self) -> bool:
        """Whether the service has more than when this was asked last."""
        before, self._furthest = self._furthest, max(self._furthest, self._offset)
        return self._furthest > before

    def requests(self) -> Iterator[pb.UploadBlobRequest]:
        """What is sent now, up to the end of the file."""
        at = self._offset
        try:
            self._file.seek(at)
            head = pb.UploadBlobRequest(sha256=self.sha256, size=self.size, offset=at)
            while True:
                head.data = self._file.read(min(CHUNK_BYTES, self.size - at))
                if not head.data and at < self.size:
                    self._trouble = f"{self._path} became shorter while it was sent"
                    return
                at += len(head.data)
                yield head
                self._sent(at, self.size)
                if at == self.size:
                    return
                head = pb.UploadBlobRequest()
        except OSError as error:
            # Raised where the answer is awaited: this runs in a thread of gRPC's own.
            self._trouble = f"can't read {self._path}: {error.strerror}"

    def fails(self, error: ServiceError) -> bool:
        """Takes an error of the upload; True where it can go on at once, from where the service says."""
        if isinstance(error, UploadOffsetError):
            self._offset = min(error.received, self.size)
            return True
        if isinstance(error, BlobDamagedError):
            if self._sum() != (self.sha256, self.size):
                raise UploadError(f"{self._path} was changed while it was sent: send it again") from None
            self._tries -= 1
            self._offset = 0
            return self._tries > 0
        return False

    def _sum(self) -> tuple[str, int]:
        digest, size = hashlib.sha256(), 0
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
        return digest.hexdigest(), size


UPLOAD = Inflow("blobs", "UploadBlob", lambda answer: messages.blob_from_message(answer.blob))
"""Takes the requests of an `Outgoing`."""


def get_blob(sha256: str) -> Call[r.Blob]:
    """A blob as it stands."""
    request = pb.GetBlobRequest(sha256=sha256)
    return Call("blobs", "GetBlob", request, lambda answer: messages.blob_from_message(answer.blob))


def list_blobs(token: str) -> Call[tuple[list[r.Blob], str]]:
    """A page of the caller's blobs, newest first, and the token of the next one."""
    request = pb.ListBlobsRequest(page_size=PAGE_SIZE, page_token=token)
    return Call(
        "blobs",
        "ListBlobs",
        request,
        lambda answer: ([messages.blob_from_message(each) for each in answer.blobs], answer.next_page_token),
    )


def delete_blob(sha256: str) -> Call[None]:
    """Removes a blob."""
    return Call("blobs", "DeleteBlob", pb.DeleteBlobRequest(sha256=sha256), lambda answer: None)
