"""What can go wrong between a client and the service, as one tree and one table to gRPC status codes.

    ServiceError
    ├── InvalidRequestError     every wrong field at once
    ├── RequestReusedError      a request_id was used before, for another job
    ├── JobNotFoundError
    ├── FileNotFoundInJobError  no checkpoint file of that sha256
    ├── BlobNotFoundError       the caller has no blob of that sha256
    ├── BlobDamagedError        bytes that came are not those that their sha256 says
    ├── UploadOffsetError       an upload goes on where the service has not come to
    ├── UploadStalledError      an upload from which nothing came for long
    ├── CursorAheadError        a watch from an event that does not exist yet
    ├── JobStateError           the job's state does not allow it (resuming a finished job, …)
    ├── EtagError               the job was changed by someone else since the caller read it
    ├── ResizeLimitError        a number of workers that the job or the service can never have
    ├── UnauthenticatedError    no token where one is asked for, or one that does not hold
    ├── ForbiddenError          the token's scope does not allow it
    ├── RateLimitedError        an owner's calls of a kind come too fast
    ├── TooManyError            a limit of the service is reached
    ├── StorageQuotaError       an owner stores as much as it may
    ├── MessageTooLargeError    raised by the client alone: more than one message may have
    ├── QuotaError              what its owner may hold or store does not allow it
    ├── DrainingError           the service is stopping; come back soon
    ├── StorageError            the store could not write (disk full, …)
    ├── UnreachableError        raised by the client alone: nobody answered
    │   └── NoAnswerError       … within the call's time; what it asked for may have been done
    ├── ClosedError             raised by the client alone: it was closed
    └── UnexpectedError         anything else the service answered

The front end turns them into google.rpc.Status with details, the client turns that back into the same classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "gradwire"
# gRPC allows about 8 KiB of trailing metadata; beyond that the client sees RESOURCE_EXHAUSTED and not the error.
MESSAGE_LIMIT = 1500
VIOLATIONS_LIMIT = 16
DESCRIPTION_LIMIT = 240
# What gRPC says of a call whose stream was reset with the code CANCEL, without a status of the service.
_RESET = ("CANCELLED", "Received RST_STREAM with error code 8")


class ServiceError(Exception):
    """One clear sentence, a stable reason for programs, and every value of the sentence as metadata."""

    reason: ClassVar[str] = "UNEXPECTED"

    def __init__(self, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = dict(metadata or {})


@dataclass(frozen=True, slots=True)
class Violation:
    """One wrong field: its path in the request, and what was expected, what came, what to do."""

    field: str
    description: str


class InvalidRequestError(ServiceError):
    """A request with wrong fields; names all of them."""

    reason = "INVALID_REQUEST"

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in violations))
        self.violations = tuple(violations)


class RequestReusedError(ServiceError):
    """A request_id that was already used for a job with another spec."""

    reason = "REQUEST_ID_REUSED"


class JobNotFoundError(ServiceError):
    """No job has that id."""

    reason = "JOB_NOT_FOUND"

    @classmethod
    def of(cls, job_id: str) -> "JobNotFoundError":
        """The error for one id."""
        message = f"no job {job_id!r} on this service: `gradwire jobs` lists those it has"
        return cls(message, {"job": job_id})


class FileNotFoundInJobError(ServiceError):
    """The job's checkpoints hold no file with that sha256."""

    reason = "FILE_NOT_FOUND"


class BlobNotFoundError(ServiceError):
    """The caller has no blob of that sha256."""

    reason = "BLOB_NOT_FOUND"

    @classmethod
    def of(cls, sha256: str, why: str = "`gradwire blob list` lists those you have") -> "BlobNotFoundError":
        """The error for one sha256."""
        return cls(f"no blob {sha256[:64]!r} of yours on this service: {why}", {"sha256": sha256[:64]})


class BlobDamagedError(ServiceError):
    """The bytes that came are not those that their sha256 says; nothing of them was kept."""

    reason = "BLOB_DAMAGED"


class UploadOffsetError(ServiceError):
    """An upload goes on where the service has not come to; `received` says from where it can."""

    reason = "UPLOAD_OFFSET"

    @classmethod
    def of(cls, sha256: str, offset: int, received: int) -> "UploadOffsetError":
        """The error for one upload."""
        return cls(
            f"the upload of {sha256} can't go on at {offset}: the service has {received} bytes, go on at {received}",
            {"sha256": sha256, "offset": str(offset), "received": str(received)},
        )

    @property
    def received(self) -> int:
        """Bytes that the service has of it."""
        text = self.metadata.get("received", "0")
        return int(text) if text.isdecimal() else 0


class UploadStalledError(ServiceError):
    """Nothing came for long; what came before stays."""

    reason = "UPLOAD_STALLED"


class CursorAheadError(ServiceError):
    """A watch was asked to go on after an event that does not exist."""

    reason = "CURSOR_AHEAD"


class JobStateError(ServiceError):
    """The job's state does not allow what was asked for."""

    reason = "JOB_STATE"


class EtagError(ServiceError):
    """The job was changed since the caller read it; nothing was done."""

    reason = "ETAG_MISMATCH"


class ResizeLimitError(ServiceError):
    """A number of workers that the job or the service can never have."""

    reason = "RESIZE_LIMIT"


class UnauthenticatedError(ServiceError):
    """No token where one is asked for, or one that does not hold; `metadata["cause"]` says which."""

    reason = "UNAUTHENTICATED"


class ForbiddenError(ServiceError):
    """The token's scope does not allow it."""

    reason = "SCOPE_MISSING"


class RateLimitedError(ServiceError):
    """An owner's calls of a kind come too fast; `metadata["retry_s"]` says when to come back."""

    reason = "RATE_LIMITED"

    @property
    def retry_s(self) -> float:
        """Seconds after which a call is taken again."""
        try:
            return max(0.0, float(self.metadata.get("retry_s", "1")))
        except ValueError:
            return 1.0


class TooManyError(ServiceError):
    """A limit of the service is reached."""

    reason = "TOO_MANY"


class StorageQuotaError(ServiceError):
    """An owner stores as much as it may; waiting does not help."""

    reason = "STORAGE_QUOTA"


class MessageTooLargeError(ServiceError):
    """One message would have had more bytes than the service takes."""

    reason = "MESSAGE_TOO_LARGE"


class QuotaError(ServiceError):
    """What its owner may hold or store does not allow it; waiting does not help."""

    reason = "QUOTA_EXCEEDED"


class DrainingError(ServiceError):
    """The service is stopping. `metadata["cursor"]` is where a watch can go on."""

    reason = "DRAINING"


class StorageError(ServiceError):
    """The store could not write; nothing of the request was kept."""

    reason = "STORAGE_FAILED"


class UnreachableError(ServiceError):
    """Nobody answered at the address."""

    reason = "UNREACHABLE"


class NoAnswerError(UnreachableError):
    """The call ran out of its time: whether it was carried out is not known."""

    reason = "NO_ANSWER"


class ClosedError(ServiceError):
    """The client was closed before the call had its answer."""

    reason = "CLIENT_CLOSED"

    @classmethod
    def of(cls, address: str) -> "ClosedError":
        """The error of a client of that address."""
        return cls(f"the client of {address} is closed: make another one", {"address": address})


class UnexpectedError(ServiceError):
    """An answer that has no class of its own here."""


STATUS: dict[type[ServiceError], grpc.StatusCode] = {
    InvalidRequestError: grpc.StatusCode.INVALID_ARGUMENT,
    RequestReusedError: grpc.StatusCode.INVALID_ARGUMENT,
    JobNotFoundError: grpc.StatusCode.NOT_FOUND,
    FileNotFoundInJobError: grpc.StatusCode.NOT_FOUND,
    BlobNotFoundError: grpc.StatusCode.NOT_FOUND,
    BlobDamagedError: grpc.StatusCode.DATA_LOSS,
    UploadOffsetError: grpc.StatusCode.OUT_OF_RANGE,
    UploadStalledError: grpc.StatusCode.ABORTED,
    CursorAheadError: grpc.StatusCode.OUT_OF_RANGE,
    JobStateError: grpc.StatusCode.FAILED_PRECONDITION,
    EtagError: grpc.StatusCode.ABORTED,
    ResizeLimitError: grpc.StatusCode.FAILED_PRECONDITION,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    ForbiddenError: grpc.StatusCode.PERMISSION_DENIED,
    RateLimitedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    TooManyError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    StorageQuotaError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    MessageTooLargeError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    QuotaError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    DrainingError: grpc.StatusCode.UNAVAILABLE,
    StorageError: grpc.StatusCode.UNAVAILABLE,
    UnreachableError: grpc.StatusCode.UNAVAILABLE,
    NoAnswerError: grpc.StatusCode.DEADLINE_EXCEEDED,
    ClosedError: grpc.StatusCode.CANCELLED,
    UnexpectedError: grpc.StatusCode.INTERNAL,
}
_BY_REASON: dict[str, type[ServiceError]] = {kind.reason: kind for kind in STATUS}


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _details(error: ServiceError) -> list[Message]:
    metadata = {key: _shorten(value, DESCRIPTION_LIMIT) for key, value in error.metadata.items()}
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    ]
    match error:
        case InvalidRequestError(violations=violations):
            fields = [
                error_details_pb2.BadRequest.FieldViolation(
                    field=_shorten(v.field, DESCRIPTION_LIMIT),
                    description=_shorten(v.description, DESCRIPTION_LIMIT),
                )
                for v in violations[:VIOLATIONS_LIMIT]
            ]
            details.append(error_details_pb2.BadRequest(field_violations=fields))
        case JobNotFoundError():
            details.append(
                error_details_pb2.ResourceInfo(resource_type="Job", resource_name=metadata.get("job", ""))
            )
        case FileNotFoundInJobError():
            details.append(
                error_details_pb2.ResourceInfo(
                    resource_type="File",
                    resource_name=metadata.get("sha256", ""),
                    owner=f"job:{metadata.get('job', '')}",
                )
            )
        case BlobNotFoundError():
            details.append(
                error_details_pb2.ResourceInfo(resource_type="Blob", resource_name=metadata.get("sha256", ""))
            )
        case JobStateError() | ResizeLimitError():
            failed = error_details_pb2.PreconditionFailure.Violation(
                type=error.reason,
                subject=metadata.get("job", ""),
                description=_shorten(error.message, DESCRIPTION_LIMIT),
            )
            details.append(error_details_pb2.PreconditionFailure(violations=[failed]))
        case EtagError():
            details.append(
                error_details_pb2.ResourceInfo(
                    resource_type="Job",
                    resource_name=metadata.get("job", ""),
                    description=_shorten(error.message, DESCRIPTION_LIMIT),
                )
            )
        case RateLimitedError():
            subject = f"owner:{metadata.get('owner', '')}/{metadata.get('kind', '')}"
            quota = error_details_pb2.QuotaFailure.Violation(
                subject=subject, description=_shorten(error.message, DESCRIPTION_LIMIT)
            )
            details.append(error_details_pb2.QuotaFailure(violations=[quota]))
            delay = Duration()
            delay.FromNanoseconds(round(error.retry_s * 1e9))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        case StorageQuotaError():
            quota = error_details_pb2.QuotaFailure.Violation(
                subject=f"owner:{metadata.get('owner', '')}/storage_bytes",
                description=_shorten(error.message, DESCRIPTION_LIMIT),
            )
            details.append(error_details_pb2.QuotaFailure(violations=[quota]))
        case QuotaError():
            quota = error_details_pb2.QuotaFailure.Violation(
                subject=f"owner:{metadata.get('owner', '')}/{metadata.get('resource', '')}",
                description=_shorten(error.message, DESCRIPTION_LIMIT),
            )
            details.append(error_details_pb2.QuotaFailure(violations=[quota]))
        case TooManyError():
            quota = error_details_pb2.QuotaFailure.Violation(
                subject=metadata.get("limit", ""), description=_shorten(error.message, DESCRIPTION_LIMIT)
            )
            details.append(error_details_pb2.QuotaFailure(violations=[quota]))
            details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1)))
        case DrainingError() | StorageError():
            details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1)))
        case _:
            pass
    return details


def to_status(error: ServiceError) -> grpc.Status:
    """The gRPC status of an error, with its google.rpc details."""
    packed = []
    for detail in _details(error):
        holder = Any()
        holder.Pack(detail)
        packed.append(holder)
    code: int = STATUS[type(error)].value[0]
    status = status_pb2.Status(code=code, message=_shorten(error.message, MESSAGE_LIMIT), details=packed)
    return rpc_status.to_status(status)


def from_rpc_error(error: grpc.RpcError, address: str) -> ServiceError:
    """The error that the service at `address` answered; UnreachableError where none did."""
    code = error.code()
    status = rpc_status.from_call(cast(grpc.Call, error))
    if status is not None:
        found = _unpack(status)
        if found is not None:
            return found
    text = error.details() or code.name
    # A service whose process ends resets the calls that it has not come to.
    reset = code == grpc.StatusCode.CANCELLED and text in _RESET
    if code == grpc.StatusCode.UNAVAILABLE or reset:
        return UnreachableError(
            f"no gradwire service answers at {address} ({text}): start one with `gradwire serve --address {address}`, "
            "or name another with --address or GRADWIRE_ADDRESS",
            {"address": address},
        )
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return NoAnswerError(
            f"the service at {address} did not answer in time: is it overloaded?", {"address": address}
        )
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in text:
        return MessageTooLargeError(
            f"it is larger than the 4 MiB that one message may have ({text}): code has at most 2 MiB, larger programs are "
            "submitted as archives, and data is uploaded or named by URL"
        )
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return UnexpectedError(f"{address} is no gradwire service, or one of another version ({text})")
    return UnexpectedError(f"the service at {address} answered {code.name}: {text}")


def _unpack(status: status_pb2.Status) -> ServiceError | None:
    info = error_details_pb2.ErrorInfo()
    request = error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
        elif detail.Is(request.DESCRIPTOR):
            detail.Unpack(request)
    if info.domain != DOMAIN:
        return None
    kind = _BY_REASON.get(info.reason, UnexpectedError)
    if kind is InvalidRequestError:
        return InvalidRequestError([Violation(v.field, v.description) for v in request.field_violations])
    return kind(status.message, dict(info.metadata))
