"""Limits of workers that are Ray actors, which watch themselves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gradwire.services.client import Client
from gradwire.services.records import Code, SourceFile, Warned
from gradwire.services.security.access import Access
from gradwire.services.states import JobState

GREEDY = Path(__file__).parents[2] / "workers" / "jobs" / "greedy.py"


@pytest.mark.ray
def test_a_worker_on_ray_that_reaches_a_limit_fails_its_job_and_others_go_on(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "gradwire",
        "serve",
        "--runtime",
        "ray",
        "--address",
        "127.0.0.1:0",
        "--json",
    ]
    limits = ["--max-memory", "256MiB", "--max-open-files", "2000", "--max-processes", "100"]
    with subprocess.Popen(
        [*command, "--home", str(tmp_path / "home"), *limits], stdout=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None
        try:
            with Client(json.loads(service.stdout.readline())["address"], access=Access()) as client:
                code = Code("job.py", (SourceFile("job.py", GREEDY.read_bytes()),))
                for harm, message in (
                    ("memory", "worker 0 wanted more than 256 MiB of memory"),
                    ("shared_memory", "worker 0 wanted more than 256 MiB of memory"),
                    ("open_files", "worker 0 wanted more than 2000 open files"),
                    ("threads", "worker 0 wanted more than 100 processes and threads"),
                    ("fork_bomb", "worker 0 wanted more than 100 processes and threads"),
                ):
                    job = client.submit(code, shards=2, overrides={"harm": harm})
                    ended = job.wait()
                    assert ended.error is not None, harm
                    assert (ended.error.reason, ended.attempt) == ("PROCESS_LIMIT", 1), list(job.watch())
                    assert ended.error.message.startswith(message)
                    assert not [event for event in job.watch() if isinstance(event.kind, Warned)]
                assert client.submit(code, shards=2, workers=2).wait().state == JobState.SUCCEEDED
        finally:
            service.terminate()
