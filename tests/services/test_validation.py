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


def test_a_range_of_workers_is_filled_where_one_end_is_given_and_stays_0_where_none_is() -> None:
    job = replace(spec(), workers=3)
    for low, high, expected in ((0, 0, (0, 0)), (2, 0, (2, 3)), (0, 5, (3, 5)), (1, 8, (1, 8))):
        filled = checked_spec(replace(job, min_workers=low, max_workers=high), "", CAPACITY)
        assert (filled.min_workers, filled.max_workers) == expected


def test_workers_must_lie_in_their_range_and_the_range_within_the_shards() -> None:
    job = replace(spec(), workers=3)
    assert (
        "1 to the 3 workers it starts with, not 4" in wrong(replace(job, min_workers=4))["spec.min_workers"]
    )
    assert "at least the 3 workers" in wrong(replace(job, max_workers=2))["spec.max_workers"]
    assert "at most its 8 shards" in wrong(replace(job, max_workers=9))["spec.max_workers"]
    both = wrong(replace(job, min_workers=-1, max_workers=-1))
    assert both.keys() == {"spec.min_workers", "spec.max_workers"}
