"""What a checkpoint holds, and what is said of one that lies on storage. Used by everything in this package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Arrays", "Checkpoint", "CheckpointDamagedError", "Saved", "evaluated"]

Arrays = Mapping[str, np.ndarray[Any, Any]]


class CheckpointDamagedError(Exception):
    """A checkpoint can't be used; the message names it and says why."""


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a checkpoint. `step`: steps finished; `epoch`: epochs finished."""

    step: int
    epoch: int
    total_steps: int
    model: Arrays
    optimizer: Arrays
    buffers: Arrays = field(default_factory=dict)
    step_counts: Mapping[str, int] = field(default_factory=dict)
    """Updates made so far, by parameter."""
    scheduler: Mapping[str, Any] | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)
    """What was trained, as JSON values."""
    recent: Sequence[Any] = ()
    """What the last steps reported, as JSON values."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Those of the evaluation after this very step, where there was one; retention compares them."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What else a run needs to go on, as JSON values."""


@dataclass(frozen=True)
class Saved:
    """A checkpoint on storage. `location`: its path, or its URL on storage that is no file system."""

    location: str
    step: int
    parameters_sha256: str

    @property
    def path(self) -> Path:
        """The folder. Raises ValueError on storage that has none."""
        if "://" in self.location:
            raise ValueError(f"{self.location} is no folder of a file system; read it through its location")
        return Path(self.location)


def evaluated(checkpoint: Checkpoint) -> dict[str, float]:
    """The metrics of the evaluation after the checkpoint's step: its own, else those among its recent reports."""
    if checkpoint.metrics:
        return dict(checkpoint.metrics)
    for report in reversed(checkpoint.recent):
        if (
            isinstance(report, Mapping)
            and report.get("kind") == "EvaluationFinished"
            and report.get("step") == checkpoint.step
        ):
            return dict(report["metrics"])
    return {}
