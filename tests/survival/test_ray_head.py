"""Ray is killed as a whole under a running job: the service ends with it, and started again it goes on from the checkpoint."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from gradwire.services.states import JobState
from tests.services.test_ray import Served, code, oracle, ray_processes, wait_for_step

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def test_jobs_go_on_from_their_checkpoints_when_ray_is_back(tmp_path: Path) -> None:
    home = tmp_path / "home"
    served = Served(home, RAY_gcs_rpc_server_reconnect_timeout_s="5")
    job_id = served.client.submit(code(), workers=2, overrides={"epochs": "20", "pause_s": "0.01"}).id
    wait_for_step(served.client.job(job_id), 20)
    for pid in ray_processes(home, ""):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert served.process.wait(120) != 0  # for whoever watches over it, such as systemd
    served.client.close()
    assert served.process.stdout is not None
    served.process.stdout.close()
    served = Served(home)
    try:
        job = served.client.job(job_id)
        ended = job.wait()
        assert ended.state == JobState.SUCCEEDED
        assert ended.attempt > 1
        assert ended.parameters_sha256 == oracle(epochs="20")
        events = list(job.watch())
        assert [e.number for e in events] == list(range(1, len(events) + 1))
        steps = [e.kind.step for e in events if type(e.kind).__name__ == "StepFinished"]
        assert steps == list(range(1, ended.total_steps + 1))
    finally:
        assert served.stop() == 0
