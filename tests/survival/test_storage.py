"""Damaged checkpoints and a full disk under running jobs: said in an event, and no bit changes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gradwire.workers.crew import Crew
from gradwire.workers.faults import Fault
from gradwire.workers.reports import CheckpointWritten, Formed, Paused, Report, StepFinished, Warned
from gradwire.workers.supervisor import Supervisor
from tests.workers.crews import JOBS, Ran, run_job


def paused_run(folder: Path) -> Ran:
    """A run that leaves checkpoints of several steps: every second one, and that of the pause."""
    job = folder / "slow.py"
    text = (JOBS / "mlp.py").read_text()
    slower = "        import time\n        time.sleep(0.01)\n        x, y = batch\n"
    job.write_text(text.replace("        x, y = batch\n", slower))

    def on_report(supervisor: Supervisor, crew: Crew, report: Report) -> None:
        if isinstance(report, StepFinished) and report.step == 6:
            supervisor.pause()

    ran = run_job(job, folder, 2, on_report=on_report)
    assert ran.of(Paused)
    return ran


def damage(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 4
    path.write_bytes(body)


def newest(folder: Path) -> list[Path]:
    return sorted((folder / "checkpoints").glob("step-*"))


def test_a_damaged_file_of_the_newest_checkpoint_is_told_and_the_one_before_is_used(tmp_path: Path) -> None:
    (tmp_path / "pattern").mkdir()
    paused_run(tmp_path / "pattern")
    names = sorted(path.name for path in newest(tmp_path / "pattern")[-1].iterdir())
    assert len(names) > 1
    for name in names:
        folder = tmp_path / name
        subprocess.run(["cp", "-r", str(tmp_path / "pattern"), str(folder)], check=True)
        *_, before, last = newest(folder)
        damage(last / name)
        ran = run_job("mlp", folder, 3)
        ran.is_the_oracle_s("mlp")
        (warned,) = [r for r in ran.of(Warned) if r.reason == "CHECKPOINT_DAMAGED"]
        assert last.name in warned.message
        assert ran.of(Formed)[0].step == int(before.name.removeprefix("step-"))


def test_where_every_checkpoint_is_damaged_the_job_begins_anew(tmp_path: Path) -> None:
    paused_run(tmp_path)
    for checkpoint in newest(tmp_path):
        for path in checkpoint.iterdir():
            damage(path)
    ran = run_job("mlp", tmp_path, 2)
    ran.is_the_oracle_s("mlp")
    assert ran.of(Formed)[0].step == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    at = tmp_path / "disk"
    at.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(at)], capture_output=True, text=True
    )
    if made.returncode != 0:
        pytest.skip(f"this machine does not permit mounting a tmpfs: {made.stderr.strip()}")
    yield at
    subprocess.run(["umount", str(at)], check=True)


@pytest.mark.parametrize("faults", [(), (Fault(1, "reduced", 7),)])
def test_a_full_disk_fails_the_checkpoints_and_not_the_job(
    faults: tuple[Fault, ...], small_disk: Path
) -> None:
    """A worker that dies meanwhile costs nothing either: what the others have in memory is enough."""
    ran = run_job("mlp", small_disk, 3, faults=faults)
    ran.is_the_oracle_s("mlp")
    assert ran.of(CheckpointWritten) == []
    failed = [r.message for r in ran.of(Warned) if r.reason == "CHECKPOINT_FAILED"]
    assert len(failed) >= 6
    assert "No space left" in failed[0]
    assert {f.step for f in ran.of(Formed)[1:]} <= set(range(1, 13))
