"""Node's own gRPC client, which has only the .proto files: it submits, watches, lists, cancels, and reads the details of errors."""

import fcntl
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gradwire.services.service import Service

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PACKAGES = ROOT / "build" / "stranger"
NOT_FOUND, INVALID_ARGUMENT = 5, 3


@pytest.fixture(scope="session")
def packages() -> Path:
    """Node's packages, fetched once into build/."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        pytest.skip("Node is not installed: its client can't be tried")
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with open(PACKAGES / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (HERE / "package.json").read_bytes()
        done = PACKAGES / "installed.json"
        if not done.exists() or done.read_bytes() != wanted:
            shutil.copy(HERE / "package.json", PACKAGES)
            install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"]
            try:
                run = subprocess.run(install, cwd=PACKAGES, capture_output=True, text=True, timeout=120)
            except subprocess.TimeoutExpired:
                pytest.skip("npm did not fetch the client's packages within 120 s")
            if run.returncode != 0:
                pytest.skip(f"npm can't fetch the client's packages: {run.stderr.strip()[-300:]}")
            done.write_bytes(wanted)
    return PACKAGES


def test_a_client_of_another_language_does_all_that_the_proto_files_promise(
    service: Service, packages: Path
) -> None:
    command = ["node", str(HERE / "stranger.js"), str(packages), str(ROOT / "proto"), str(service.address)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert run.returncode == 0, run.stderr
    saw: dict[str, Any] = json.loads(run.stdout)
    assert saw["again"] == saw["submitted"] != saw["held"]
    assert saw["numbers"] == list(range(1, len(saw["numbers"]) + 1))
    assert saw["steps"] == [1, 2, 3, 4]
    assert (saw["last"], saw["cancelled"]) == ("JOB_STATE_SUCCEEDED", "JOB_STATE_CANCELLED")
    assert saw["listed"] == [
        [saw["held"], "JOB_STATE_CANCELLED"],
        [saw["submitted"], "JOB_STATE_SUCCEEDED"],
    ]
    missing, wrong = saw["missing"], saw["wrong"]
    assert missing["code"] == NOT_FOUND
    assert missing["ErrorInfo"] == {
        "reason": "JOB_NOT_FOUND",
        "domain": "gradwire",
        "metadata": {"job": "nobody"},
    }
    assert missing["ResourceInfo"]["resource_name"] == "nobody"
    assert wrong["code"] == INVALID_ARGUMENT
    assert {each["field"] for each in wrong["BadRequest"]["field_violations"]} == {
        "spec.workers",
        "spec.device",
    }
