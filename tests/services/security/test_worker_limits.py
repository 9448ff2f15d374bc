"""Limits of worker processes, on a real service that trains in real processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving_harness import run_cli

from gradwire.services.client import Client
from gradwire.services.errors import InvalidRequestError
from gradwire.services.launcher import Capacity
from gradwire.services.local_launcher import LocalLauncher
from gradwire.services.records import Code, SourceFile, Warned
from gradwire.services.security.worker_limits import parse_limits, parse_size
from gradwire.services.service import Address, Service
from gradwire.services.states import JobState
from gradwire.workers.process_limits import ProcessLimits

GREEDY = Path(__file__).parents[2] / "workers" / "jobs" / "greedy.py"
MIB = 2**20
MOST = ProcessLimits(memory_bytes=256 * MIB, file_bytes=16 * MIB, open_files=256, processes=100)


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Client]:
    """A client of a service whose workers have these limits."""
    service = Service(
        tmp_path / "home",
        lambda home: LocalLauncher(Capacity(cpu=4, cuda=0), most=MOST),
        Address("127.0.0.1", 0),
        most=MOST,
    )
    with Client(str(service.start())) as client:
        yield client
        for job in client.jobs():
            client.job(job.id).cancel()
    service.stop()


def test_a_job_that_reaches_a_limit_fails_at_once_and_others_go_on(limited: Client) -> None:
    code = Code("job.py", (SourceFile("job.py", GREEDY.read_bytes()),))
    well = limited.submit(code, shards=2, overrides={"epochs": "4"})
    greedy = [
        limited.submit(code, shards=2, overrides={"harm": "memory"}),
        limited.submit(code, shards=2, overrides={"harm": "open_files"}),
        limited.submit(
            code,
            shards=2,
            workers=2,
            overrides={"harm": "memory"},
            process_limits=ProcessLimits(memory_bytes=128 * MIB),
        ),
    ]
    messages = []
    for job in greedy:
        ended = job.wait()
        assert (ended.state, ended.attempt) == (JobState.FAILED, 1)
        assert ended.error is not None
        assert ended.error.reason == "PROCESS_LIMIT", [e.kind for e in job.watch()]
        assert "greedy" not in ended.error.message
        assert not [event for event in job.watch() if isinstance(event.kind, Warned)]
        messages.append(ended.error.message)
    assert messages[0] == "worker 0 wanted more than 256 MiB of memory (process_limits.memory_bytes)"
    assert messages[1] == "worker 0 wanted more than 256 open files (process_limits.open_files)"
    assert messages[2][8:].startswith(" wanted more than 128 MiB of memory")
    assert well.wait().state == JobState.SUCCEEDED
    assert well.get().spec.process_limits == ProcessLimits()
    assert greedy[2].get().spec.process_limits == ProcessLimits(memory_bytes=128 * MIB)


def test_limits_beyond_those_of_the_service_or_too_small_are_all_named(limited: Client) -> None:
    code = Code("job.py", (SourceFile("job.py", b"pass"),))
    with pytest.raises(InvalidRequestError) as wrong:
        limited.submit(code, process_limits=ProcessLimits(257 * MIB, 5, -1, 101))
    assert {each.field.removeprefix("spec.process_limits."): each.description for each in wrong.value.violations} == {
        "memory_bytes": "this service gives at most 268435456, not 269484032",
        "file_bytes": "expected 0 (the service's default) or at least 1048576, not 5",
        "open_files": "expected 0 (the service's default) or at least 64, not -1",
        "processes": "this service gives at most 100, not 101",
    }  # fmt: skip


def test_amounts_are_read_as_people_write_them() -> None:
    sizes = {"1000000": 10**6, "512MiB": 512 * MIB, "2G": 2**31, "1.5 kb": 1536, "3b": 3}
    assert {text: parse_size(text) for text in sizes} == sizes
    for text in ("", "much", "-1M", "1 MM", "1e9"):
        with pytest.raises(ValueError, match="expected a size like 512MiB or 2G"):
            parse_size(text)
    items = ["memory=1GiB", "file-size=5M", "open-files=100", "processes=50"]
    assert parse_limits(items) == ProcessLimits(2**30, 5 * MIB, 100, 50)
    for item in ("memory", "memory=", "cpu=5", "processes=1.5", "processes=-1"):
        with pytest.raises(ValueError, match="expected"):
            parse_limits([item])


def test_limits_are_given_on_the_command_line(limited: Client, tmp_path: Path) -> None:
    job = tmp_path / "job.py"
    job.write_bytes(GREEDY.read_bytes())
    told = run_cli(
        "submit", str(job), "--address", limited.address, "--shards", "2", "--json",
        "--set", "harm=open_files", "--limit", "open-files=100", "--limit", "memory=200MiB",
    )  # fmt: skip
    assert told.returncode == 1
    assert "wanted more than 100 open files" in told.stdout
    for item, message in (
        ("memory=1GiB", "--limit memory: this service gives at most"),
        ("memory=much", "expected a size like 512MiB"),
        ("cpu=5", "expected KIND=AMOUNT"),
    ):
        refused = run_cli("submit", str(job), "--address", limited.address, "--limit", item)
        assert refused.returncode == 2
        assert message in " ".join(refused.stderr.replace("│", " ").split())
    refused = run_cli("serve", "--max-memory", "5MiB", "--home", str(tmp_path / "other"))
    assert refused.returncode == 2
    assert "expected at least 67108864" in " ".join(refused.stderr.replace("│", " ").split())
