"""Whole jobs whose checkpoints lie on storage behind fsspec, are chosen by their metrics, and are damaged."""

from __future__ import annotations

import uuid
from pathlib import Path

from fsspec.implementations.memory import MemoryFileSystem

from gradwire.workers import checkpoint as c
from gradwire.workers.reports import CheckpointWritten, EvaluationFinished, Finished
from tests.workers.checkpoints import Files
from tests.workers.crews import run_job


def test_a_job_on_object_storage_goes_on_from_the_newest_that_is_whole(tmp_path: Path) -> None:
    where = f"memory://{uuid.uuid4().hex}"
    files = Files(MemoryFileSystem(), where)
    first = run_job("mlp", tmp_path, 2, checkpoints=where)
    first.is_the_oracle_s("mlp")
    (finished,) = first.of(Finished)
    assert finished.checkpoint.startswith(where + "/step-")
    assert c.read(finished.checkpoint).step == first.of(CheckpointWritten)[-1].step
    newest = finished.checkpoint.rpartition("/")[2]
    body = bytearray(files.get(f"{newest}/{c.OPTIMIZER}"))
    body[-1] ^= 1
    files.put(f"{newest}/{c.OPTIMIZER}", bytes(body))

    again = run_job("mlp", tmp_path, 3, checkpoints=where)
    assert again.sha256 == finished.parameters_sha256
    assert [message for message in again.warnings if f"{newest} is damaged" in message]
    assert c.read(again.of(Finished)[0].checkpoint).step == c.summary(finished.checkpoint)[0].step


def test_a_job_keeps_the_checkpoint_whose_evaluation_was_best(tmp_path: Path) -> None:
    ran = run_job("mlp", tmp_path, 1, overrides={"epochs": "4", "keep_last": "1", "keep_best": "max loss"})
    losses = {report.step: report.metrics["loss"] for report in ran.of(EvaluationFinished)}
    written = [report.step for report in ran.of(CheckpointWritten)]
    worst = max((step for step in losses if step in written), key=lambda step: losses[step])
    left = [int(path.name.removeprefix("step-")) for path in c.checkpoints(tmp_path / "checkpoints")]
    assert left == sorted({worst, written[-1]}, reverse=True)
    assert c.read(tmp_path / "checkpoints" / f"step-{worst:08d}").metrics["loss"] == losses[worst]
