"""A short random history of kill -9, SIGSTOP, resizes, pauses and a killed supervisor; `make chaos` makes long ones."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.processes import Run


def test_a_job_under_random_kills_stops_and_resizes_ends_with_the_same_bits(tmp_path: Path) -> None:
    Run(seed=11, folder=tmp_path, steps=150, every_s=1.5, harms=8).suffer(within_s=120)
