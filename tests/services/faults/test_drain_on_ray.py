"""SIGTERM of `gradwire serve` with a Ray cluster of its own: Ray's signal handler does not get in the way of the drain."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from waiting import wait_until

from gradwire.services import records as r
from gradwire.services.client import Client
from gradwire.services.errors import DrainingError, ServiceError, UnreachableError

JOB = Path(__file__).parents[1] / "ray_job.py"


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_service_on_ray_drains_at_the_first_sigterm(tmp_path: Path) -> None:
    home, log = tmp_path / "home", tmp_path / "serve.log"
    command = [
        sys.executable,
        "-m",
        "gradwire",
        "serve",
        "--address",
        "127.0.0.1:0",
        "--home",
        str(home),
        "--json",
    ]
    with open(log, "wb") as errors:
        serving = subprocess.Popen(
            [*command, "--runtime", "ray"], stdout=subprocess.PIPE, stderr=errors, env={**os.environ}
        )
    try:
        assert serving.stdout is not None
        line = serving.stdout.readline()
        assert line, log.read_text()[-3000:]
        told: list[ServiceError] = []
        seen: list[int] = []
        with Client(json.loads(line)["address"], retry_for_s=0) as client:
            job = client.submit(
                r.Code(JOB.name, (r.SourceFile(JOB.name, JOB.read_bytes()),)),
                workers=2,
                overrides={"epochs": "4000", "pause_s": "0.02"},
            )
            wait_until(lambda: job.get().step >= 2, 120)

            def watch() -> None:
                with pytest.raises((UnreachableError, DrainingError)):
                    for event in job.watch(reconnect_for_s=1.0, interrupted=told.append):
                        seen.append(event.number)

            thread = threading.Thread(target=watch)
            thread.start()
            wait_until(lambda: len(seen) > 3)
            serving.send_signal(signal.SIGTERM)
            assert serving.wait(60) == 0
            thread.join(30)
        assert isinstance(told[0], DrainingError)
        assert told[0].metadata["cursor"] == str(seen[-1])
        assert b"Traceback" not in log.read_bytes()
        assert b"stopping" in log.read_bytes()
    finally:
        if serving.poll() is None:
            serving.kill()
            serving.wait()
        serving.stdout.close()
