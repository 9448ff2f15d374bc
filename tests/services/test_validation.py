"""What the service accepts as a job."""

from dataclasses import replace

import pytest
from serving_harness import code, spec

from gradwire.services import records as r
from gradwire.services.errors import InvalidRequestError
from gradwire.services.launcher import Capacity
from gradwire.services.validation import CODE_BYTES_LIMIT, checked_spec

CAPACITY = Capacity(cpu=8, cuda=0)


def wrong(job: r.JobSpec, request_id: str = "") -> dict[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        checked_spec(job, request_id, CAPACITY)
    return {violation.field: violation.description for violation in caught.value.violations}


def test_zeros_and_empty_texts_become_the_defaults() -> None:
    job = r.JobSpec("", code("pass", "digits.py"), workers=0, shards=0, device="", threads_per_worker=0)
    filled = checked_spec(job, "", CAPACITY)
    assert (filled.name, filled.workers, filled.shards) == ("digits", 1, 8)
    assert (filled.device, filled.threads_per_worker) == ("cpu", 1)


def test_every_wrong_field_is_named_at_once() -> None:
    job = replace(
        spec(**{"a b": "1"}), workers=9, shards=8, device="tpu", threads_per_worker=-1, labels={"": "x"}
    )
    found = wrong(job, request_id="no spaces")
    assert found.keys() == {
        "spec.workers",
        "spec.device",
        "spec.threads_per_worker",
        "spec.overrides",
        "spec.labels",
        "request_id",
    }
    assert "9 workers can't share 8 shards" in found["spec.workers"]


def test_more_workers_than_the_service_can_ever_give_are_refused() -> None:
    assert "can give at most 8" in wrong(replace(spec(), workers=9, shards=16))["spec.workers"]
    assert "has no cuda device" in wrong(replace(spec(), device="cuda"))["spec.workers"]


@pytest.mark.parametrize(
    "path",
    ["../x.py", "/x.py", "a//b.py", "a/./b.py", "", "a\\b.py", "a\0.py", "C:/x.py", "x" * 300, "a\nb.py"],
)
def test_paths_that_leave_the_folder_are_refused(path: str) -> None:
    files = (r.SourceFile("job.py", b""), r.SourceFile(path, b""))
    assert any(field.endswith("].path") for field in wrong(replace(spec(), code=r.Code("job.py", files))))


@pytest.mark.parametrize("other", ["job.py", "JOB.py", "job.py/x.py"])
def test_paths_that_clash_are_refused(other: str) -> None:
    files = (r.SourceFile("job.py", b""), r.SourceFile(other, b""))
    assert wrong(replace(spec(), code=r.Code("job.py", files)))


def test_too_much_code_none_and_a_missing_entrypoint_are_refused() -> None:
    big = r.Code("job.py", (r.SourceFile("job.py", b"x" * (CODE_BYTES_LIMIT + 1)),))
    assert "at most" in wrong(replace(spec(), code=big))["spec.code.files"]
    assert "got no files" in wrong(replace(spec(), code=r.Code("job.py")))["spec.code.files"]
    other = r.Code("other.py", (r.SourceFile("job.py", b""),))
    assert "'other.py'" in wrong(replace(spec(), code=other))["spec.code.entrypoint"]
