"""Every error reaches the client as the same class, with the google.rpc details that its code asks for."""

import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as d
from google.rpc import status_pb2

from gradwire.services import errors
from gradwire.services.errors import STATUS, InvalidRequestError, ServiceError, Violation, to_status

VALUES = {"job": "a", "owner": "ann", "kind": "submit", "limit": "watchers", "retry_s": "2.5", "sha256": "ab"}
# What whoever has such an answer looks for.
DETAILS: dict[str, tuple[type[Message], ...]] = {
    "NOT_FOUND": (d.ResourceInfo,),
    "FAILED_PRECONDITION": (d.PreconditionFailure,),
    "RESOURCE_EXHAUSTED": (d.QuotaFailure,),
}


def made(kind: type[ServiceError]) -> ServiceError:
    if kind is InvalidRequestError:
        return InvalidRequestError([Violation("a.b", "expected x"), Violation("c", "expected y")])
    return kind("one [clear] sentence", VALUES)


def status_of(error: ServiceError) -> status_pb2.Status:
    metadata = dict(to_status(error).trailing_metadata)
    return status_pb2.Status.FromString(metadata["grpc-status-details-bin"])


def unpacked(status: status_pb2.Status, kind: type[Message]) -> Message | None:
    for detail in status.details:
        if detail.Is(kind.DESCRIPTOR):
            message = kind()
            detail.Unpack(message)
            return message
    return None


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_an_error_has_the_details_of_its_code_and_comes_back_as_itself(kind: type[ServiceError]) -> None:
    error = made(kind)
    status = status_of(error)
    info = unpacked(status, d.ErrorInfo)
    assert isinstance(info, d.ErrorInfo)
    assert (info.reason, info.domain) == (kind.reason, "gradwire")
    # What a client finds out by itself has no details from a service.
    alone = kind is errors.MessageTooLargeError
    for expected in () if alone else DETAILS.get(STATUS[kind].name, ()):
        assert unpacked(status, expected) is not None, expected
    back = errors._unpack(status)
    assert type(back) is kind
    assert str(back) == str(error)


def test_every_class_has_a_status_and_a_reason_of_its_own() -> None:
    def below(kind: type[ServiceError]) -> set[type[ServiceError]]:
        return {kind}.union(*(below(each) for each in kind.__subclasses__()))

    assert below(ServiceError) - {ServiceError} == set(STATUS)
    assert len({kind.reason for kind in STATUS}) == len(STATUS)


def test_what_is_tried_again_says_when() -> None:
    for kind in (errors.RateLimitedError, errors.TooManyError, errors.DrainingError, errors.StorageError):
        retry = unpacked(status_of(made(kind)), d.RetryInfo)
        assert isinstance(retry, d.RetryInfo)
        assert retry.retry_delay.ToTimedelta().total_seconds() == (
            2.5 if kind is errors.RateLimitedError else 1
        )


def test_all_wrong_fields_are_named_and_long_texts_still_fit_the_trailers() -> None:
    many = InvalidRequestError([Violation(f"field{k}", "x" * 5000) for k in range(100)])
    request = unpacked(status_of(many), d.BadRequest)
    assert isinstance(request, d.BadRequest)
    assert [v.field for v in request.field_violations] == [f"field{k}" for k in range(16)]
    assert len(status_of(many).SerializeToString()) < 8192
    two = unpacked(status_of(made(InvalidRequestError)), d.BadRequest)
    assert isinstance(two, d.BadRequest)
    assert [(v.field, v.description) for v in two.field_violations] == [
        ("a.b", "expected x"),
        ("c", "expected y"),
    ]
