"""What editors and type checkers follow is what is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_tree_of_links_shows_every_part_of_the_package():
    check = subprocess.run(
        [ROOT / "typings/refresh.sh", "--check"], capture_output=True, text=True, timeout=30
    )
    assert check.returncode == 0, check.stderr


def test_the_links_lead_to_the_files_that_are_imported():
    import gradwire
    import gradwire.training.plan
    import gradwire.workers

    shown = ROOT / "typings/gradwire"
    assert (shown / "__init__.py").resolve() == Path(gradwire.__file__).resolve()
    assert (shown / "training/plan.py").resolve() == Path(gradwire.training.plan.__file__).resolve()
    assert (shown / "workers/__init__.py").resolve() == Path(gradwire.workers.__file__).resolve()
