"""Hundreds of random histories of failures on members that are threads; `make chaos` runs thousands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.chaos.threads import sequence, suffer

ONCE_FOUND_SOMETHING = (583, 2155, 2186, 2222, 2262, 2287)
"""Beside those below a hundred: a member that left in vain, a half of the state taken for a whole, …"""


@pytest.mark.parametrize(
    "seeds", [*(range(first, first + 20) for first in range(0, 100, 20)), ONCE_FOUND_SOMETHING], ids=str
)
def test_random_failures_cost_no_step_and_no_bit(seeds: Sequence[int], tmp_path: Path) -> None:
    for seed in seeds:
        what = sequence(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            suffer(what, folder)
        except AssertionError as error:
            raise AssertionError(
                f"{error}\nmake chaos ARGS='threads --seed {seed}' repeats it: {what}"
            ) from error
