"""Which checkpoints stay: the newest, every n-th, the best by a metric. A pure rule; storage.py carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Retention"]


@dataclass(frozen=True)
class Retention:
    """Keeps the `last` newest, those of steps that `every` divides (0: none) and the one that is `best`.

    best: "min loss" or "max accuracy", say: of the checkpoints right after an evaluation, the one whose metric is least or
    largest; the earliest where several are. Raises ValueError.
    """

    last: int = 3
    every: int = 0
    best: str | None = None

    def __post_init__(self) -> None:
        if self.last < 1:
            raise ValueError(f"Retention.last: expected at least 1, got {self.last}")
        if self.every < 0:
            raise ValueError(f"Retention.every: expected at least 0, got {self.every}")
        if self.best is not None:
            direction, _, metric = self.best.partition(" ")
            if direction not in ("min", "max") or not metric:
                raise ValueError(
                    f"Retention.best: expected 'min METRIC' or 'max METRIC', such as 'min loss', got {self.best!r}"
                )

    @classmethod
    def of(cls, job: Any) -> Retention:
        """The settings of a `gradwire.Job`."""
        return cls(job.keep_last, job.keep_every, job.keep_best)

    def kept(self, found: Mapping[int, Mapping[str, float]]) -> set[int]:
        """Which of the steps in `found`, each with its metrics, stay."""
        kept = set(sorted(found)[-self.last :])
        if self.every:
            kept |= {step for step in found if step % self.every == 0}
        if self.best is not None:
            direction, _, metric = self.best.partition(" ")
            sign = 1.0 if direction == "min" else -1.0
            scores = {step: sign * told[metric] for step, told in found.items() if metric in told}
            if scores:
                kept.add(min(scores, key=lambda step: (scores[step], step)))
        return kept
