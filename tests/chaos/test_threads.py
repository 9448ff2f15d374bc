"""Hundreds of random histories of failures on members that are threads; `make chaos` runs thousands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.threads import sequence, suffer


@pytest.mark.parametrize("block", range(5))
def test_random_failures_cost_no_step_and_no_bit(block: int, tmp_path: Path) -> None:
    for seed in range(block * 20, block * 20 + 20):
        what = sequence(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            suffer(what, folder)
        except AssertionError as error:
            raise AssertionError(
                f"{error}\nmake chaos ARGS='threads --seed {seed}' repeats it: {what}"
            ) from error
