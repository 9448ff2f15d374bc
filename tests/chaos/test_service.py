"""A short random history of the real service on Ray; `make chaos` makes long ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.service import HARMS, ServiceRun

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def test_a_job_of_the_service_survives_kills_of_workers_controller_and_server(tmp_path: Path) -> None:
    quick = {what: often for what, often in HARMS.items() if what != "stop worker"}
    ServiceRun(3, tmp_path, steps=180, every_s=3.0, harms=4, weights=quick).suffer(within_s=240)
