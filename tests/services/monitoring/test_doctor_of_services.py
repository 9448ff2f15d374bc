"""What `gradwire doctor` says of the services of a home."""

import json
from pathlib import Path
from typing import Any

import pytest
from serving_harness import run_cli, scripted

from gradwire.services.home import HomeInUseError
from gradwire.services.security.exposure import Protection
from gradwire.services.service import Address, Service
from gradwire.workers.process_limits import ProcessLimits

ANY = Address("127.0.0.1", 0)


def doctor(home: Path, *more: str) -> dict[str, Any]:
    done = run_cli("doctor", "--json", "--home", str(home), *more)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_it_tells_the_store_the_limits_and_whether_metrics_answer(tmp_path: Path) -> None:
    home = tmp_path / "home"
    nothing = doctor(home)
    assert (nothing["store"]["kind"], nothing["worker_limits"]["of_service"]) == (None, None)
    service = Service(home, scripted, ANY, most=ProcessLimits(memory_bytes=2**30), metrics=ANY)
    service.start()
    with pytest.raises(HomeInUseError):
        Service(home, scripted, ANY).start()  # and takes nothing away from the one that runs
    told = doctor(home)
    assert told["store"]["message"] == "SQLite, in use by a service"
    assert told["worker_limits"]["of_service"]["memory_bytes"] == 2**30
    assert told["worker_limits"]["message"].startswith("memory 1,073,741,824 bytes")
    assert told["metrics"] == {
        "address": str(service.metrics_address),
        "answers": True,
        "message": f"{service.metrics_address} answers",
    }
    assert (home / "serving.json").stat().st_mode & 0o077 == 0
    service.stop()
    after = doctor(home)
    assert after["store"]["kind"] == "SQLite"
    assert str(home / "jobs.db") in after["store"]["message"]
    assert (after["metrics"]["answers"], after["worker_limits"]["of_service"]) == (None, None)


def test_metrics_that_ask_for_a_token_answer_as_well(tmp_path: Path) -> None:
    service = Service(
        tmp_path / "home", scripted, ANY, protection=Protection(require_token=True), metrics=ANY
    )
    service.start()
    told = doctor(tmp_path / "home")["metrics"]
    service.stop()
    assert told["answers"] is True
    assert "asks for a token" in told["message"]
