"""Steps left out, scales and accumulation: the reference's bits at every size and through deaths; one message for all."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from gradwire.training import SoloResult, load_job, train_solo
from gradwire.workers.faults import Fault
from gradwire.workers.reports import Failed, StepFinished
from tests.workers.crews import JOBS, Ran, run_job

JOB = "overflow"


@cache
def expected(*overrides: str) -> SoloResult:
    return train_solo(load_job(JOBS / f"{JOB}.py", dict(o.split("=") for o in overrides)), 8)


def same(ran: Ran, solo: SoloResult) -> None:
    assert ran.sha256 == solo.parameters_sha256
    assert ran.chains == [value.hex() for value in solo.chains]
    assert repr(ran.history) == repr(solo.history)  # NaN equals nothing


def test_the_job_has_steps_of_both_kinds() -> None:
    history = expected().history
    skipped = [h["skipped"] for h in history]
    assert len(history) == 12 and 4 <= sum(skipped) <= 8
    nan = [h["loss"] != h["loss"] for h in history]
    assert sum(nan) == 3  # the bad row, once an epoch
    assert any(s and not n for s, n in zip(skipped, nan, strict=True))  # the scale
    assert len({h["loss_scale"] for h in history}) >= 4


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 8])
def test_the_bits_are_the_reference_s_at_every_size(workers: int, tmp_path: Path) -> None:
    same(run_job(JOB, tmp_path, workers), expected())


@pytest.mark.parametrize(
    "setting", ["loss_scale=1024", "accumulate=1", "accumulate=3", "bad_row=-1", "overlap_exchange=false"]
)
def test_and_with_other_settings(setting: str, tmp_path: Path) -> None:
    name, _, value = setting.partition("=")
    same(run_job(JOB, tmp_path, 3, overrides={name: value}, bucket_bytes=1024), expected(setting))


@pytest.mark.parametrize("step", [1, 5, 7])
@pytest.mark.parametrize("point", ["computed", "prepared", "passed", "applied", "gathered", "committed"])
def test_deaths_in_steps_that_are_left_out_and_in_others_change_nothing(
    point: str, step: int, tmp_path: Path
) -> None:
    ran = run_job(JOB, tmp_path, 3, faults=[Fault(1, point, step)])
    same(ran, expected())


def test_the_scale_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    ran = run_job(JOB, tmp_path, 2, faults=[Fault(0, "computing", 7), Fault(1, "computing", 7)])
    same(ran, expected())
    assert any("newest checkpoint" in text for text in ran.warnings)


def test_real_processes_too(tmp_path: Path) -> None:
    same(run_job(JOB, tmp_path, 3, "processes", faults=[Fault(2, "passed", 5)]), expected())


@pytest.mark.parametrize("workers", [1, 3, 8])
@pytest.mark.parametrize(
    ("scale", "row", "reason"),
    [("none", "17", "NON_FINITE_LOSS"), ("65536.0", "-1", "NON_FINITE_GRADIENT")],
)
def test_all_ranks_end_the_job_with_the_reference_s_message(
    scale: str, row: str, reason: str, workers: int, tmp_path: Path
) -> None:
    with pytest.raises(ArithmeticError) as caught:
        expected("on_non_finite=fail", f"loss_scale={scale}", f"bad_row={row}")
    overrides = {"on_non_finite": "fail", "loss_scale": scale, "bad_row": row}
    ran = run_job(JOB, tmp_path, workers, overrides=overrides)
    failed = ran.reports[-1]
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.message) == (reason, str(caught.value))
    assert "in shard " in failed.message


def test_a_death_while_the_culprit_is_looked_for_changes_no_word(tmp_path: Path) -> None:
    overrides = {"on_non_finite": "fail", "loss_scale": "8.0"}
    whole = run_job(JOB, tmp_path / "a", 3, overrides=overrides)
    failed = whole.reports[-1]
    assert isinstance(failed, Failed) and failed.reason == "NON_FINITE_LOSS"
    step = len(whole.of(StepFinished)) + 1
    harmed = run_job(JOB, tmp_path / "b", 3, overrides=overrides, faults=[Fault(1, "reduced", step)])
    assert harmed.reports[-1] == failed
