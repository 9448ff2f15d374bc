"""What becomes of a step whose sums are not finite, and by what losses are scaled: one decision, from what all ranks share.

Loss scaling is that of GradScaler (Micikevicius et al., arXiv:1710.03740), in float64 and with its defaults.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from .job import Job, JobFileError
from .shard import LossError

__all__ = [
    "NonFiniteGradient",
    "NonFiniteLoss",
    "Outcome",
    "Scaling",
    "all_finite",
    "outcome_of",
    "told_metrics",
]

FIRST_SCALE, GROWTH, BACKOFF, INTERVAL = 2.0**16, 2.0, 0.5, 2000
_LARGEST = 3.4e38
_CHUNK = 1 << 16


class NonFiniteLoss(ArithmeticError):
    """The loss of a step became NaN or infinite."""


class NonFiniteGradient(NonFiniteLoss):
    """The loss of a step is finite and its gradient is not."""


class Outcome(Enum):
    """What becomes of a step. A skipped one counts, and changes nothing but the scale and the schedule."""

    MADE = "made"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True)
class Scaling:
    """The factor of losses before backward, and the good steps since it last changed."""

    scale: float = 1.0
    good_steps: int = 0

    @classmethod
    def first(cls, job: Job, dtype: Any) -> Scaling:
        """At a job's beginning; `dtype` is that of its parameters. Raises JobFileError."""
        if job.loss_scale is None:
            return cls()
        if np.dtype(dtype).itemsize < 4:
            raise JobFileError(
                f"{type(job).__name__}.loss_scale: expected None where parameters are {np.dtype(dtype).name}, whose gradients can't "
                "be unscaled; keep them in float32 and use autocast in loss()"
            )
        return cls(FIRST_SCALE if job.loss_scale == "dynamic" else float(job.loss_scale))

    def after(self, job: Job, outcome: Outcome) -> Scaling:
        """For the step after one that ended so."""
        if job.loss_scale != "dynamic":
            return self
        if outcome is Outcome.SKIPPED:
            return Scaling(self.scale * BACKOFF)
        if self.good_steps + 1 < INTERVAL:
            return Scaling(self.scale, self.good_steps + 1)
        grown = self.scale * GROWTH
        return Scaling(grown if grown < _LARGEST else self.scale)


def outcome_of(job: Job, scaling: Scaling, loss: float, gradient_finite: bool) -> Outcome:
    """What becomes of a step with this mean loss, whose reduced gradient is finite or not.

    A gradient that a scale above 1 made overflow is skipped under either policy: that is how the right scale is found.
    """
    loss_finite = math.isfinite(loss)
    if loss_finite and gradient_finite:
        return Outcome.MADE
    overflowed = job.loss_scale == "dynamic" and loss_finite and scaling.scale > 1.0
    return Outcome.SKIPPED if overflowed or job.on_non_finite == "skip" else Outcome.FAILED


def told_metrics(
    job: Job, scaling: Scaling, metrics: Mapping[str, float], outcome: Outcome
) -> dict[str, float]:
    """The metrics of a step, with "skipped" (0 or 1) where steps may be, and "loss_scale" where it changes. Raises LossError."""
    more: dict[str, float] = {}
    if job.on_non_finite == "skip" or job.loss_scale == "dynamic":
        more["skipped"] = float(outcome is Outcome.SKIPPED)
    if job.loss_scale == "dynamic":
        more["loss_scale"] = scaling.scale
    for name in more:
        if name in metrics:
            raise LossError(
                f"{type(job).__name__}.loss(): a metric can't be called {name!r}, which is told of every step"
            )
    return {**metrics, **more}


def all_finite(xp: Any, vector: Any) -> bool:
    """Whether no element is NaN or infinite; in pieces that stay in the cache."""
    if xp is not np:
        return bool(xp.isfinite(vector).all())
    return all(np.isfinite(vector[i : i + _CHUNK]).all() for i in range(0, vector.size, _CHUNK))
