"""Checkpoints beside the training: storage that is slow or hangs holds up nothing but checkpoints."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from gradwire.workers import snapshots
from gradwire.workers.reports import CheckpointWritten, Finished, StepFinished, Warned
from tests.workers.crews import run_job


class HangingFileSystem(MemoryFileSystem):
    """Memory, to which nothing can be written before `go_on` is set."""

    protocol = "hanging"
    store: dict[str, Any] = {}
    go_on = threading.Event()

    def open(self, path: str, mode: str = "rb", *args: Any, **kwargs: Any) -> Any:
        if "w" in mode:
            self.go_on.wait(30.0)
        return super().open(path, mode, *args, **kwargs)


fsspec.register_implementation("hanging", HangingFileSystem, clobber=True)


def test_storage_that_hangs_holds_up_checkpoints_and_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PATIENCE_S", 0.05)
    HangingFileSystem.go_on.clear()
    finished_at: list[float] = []

    def on_report(supervisor: object, crew: object, report: object) -> None:
        if isinstance(report, StepFinished) and report.step == 12:
            finished_at.append(time.monotonic())
            HangingFileSystem.go_on.set()

    start = time.monotonic()
    ran = run_job("mlp", tmp_path, 2, checkpoints="hanging://x", on_report=on_report)
    ran.is_the_oracle_s("mlp")
    assert finished_at[0] - start < 20.0  # no step waited for the storage
    assert "CHECKPOINT_SKIPPED" in [report.reason for report in ran.of(Warned)]
    (finished,) = ran.of(Finished)
    assert finished.checkpoint.startswith("hanging://")  # the last one was waited for
    assert [report.step for report in ran.of(CheckpointWritten)][-1] == 12
