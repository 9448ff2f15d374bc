"""Members with limits, in real processes: who reaches one ends with the clear error, at once and without a retry."""

import errno
import os
import time
from pathlib import Path

import pytest

from gradwire.services.optimizer import SliceOptimizer
from gradwire.workers.member import MemberSpec
from gradwire.workers.process_crew import ProcessCrew
from gradwire.workers.process_limits import NO_LIMITS, ProcessLimits, broken_by
from gradwire.workers.reports import Failed, Finished, Report, Warned
from gradwire.workers.supervisor import Supervisor

MIB = 2**20
WITHIN_S = 60
GREEDY = Path(__file__).parent / "jobs" / "greedy.py"
ROOMY = ProcessLimits(2048 * MIB, 64 * MIB, 512, 256)


def trained(folder: Path, limits: ProcessLimits, harm: str = "", workers: int = 1) -> list[Report]:
    """What was reported of a job with these limits."""
    spec = MemberSpec(str(GREEDY), {"harm": harm}, 2, "cpu", 1, str(folder), limits=limits)
    reports: list[Report] = []
    Supervisor(spec, workers, ProcessCrew(spec, SliceOptimizer), reports.append).run()
    return reports


def named(folder: Path) -> list[int]:
    """Processes with this folder in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


MEMORY = "worker 0 wanted more than 128 MiB of memory (process_limits.memory_bytes)"


@pytest.mark.parametrize(
    ("harm", "limits", "message"),
    [
        ("memory", ProcessLimits(memory_bytes=128 * MIB), MEMORY),
        ("many_small", ProcessLimits(memory_bytes=128 * MIB), MEMORY),
        ("shared_memory", ProcessLimits(memory_bytes=128 * MIB), MEMORY),
        ("memory_of_children", ProcessLimits(memory_bytes=128 * MIB), MEMORY),
        ("memory_in_a_thread", ProcessLimits(memory_bytes=128 * MIB), MEMORY),
        ("memory_in_c", ProcessLimits(memory_bytes=128 * MIB), f"{MEMORY} and ended by signal 6"),
        (
            "file",
            ProcessLimits(file_bytes=4 * MIB),
            "worker 0 wanted a file of more than 4 MiB (process_limits.file_bytes)",
        ),
        (
            "open_files",
            ProcessLimits(open_files=100),
            "worker 0 wanted more than 100 open files (process_limits.open_files)",
        ),
        *(
            pytest.param(
                harm,
                ProcessLimits(processes=60),
                "worker 0 wanted more than 60 processes and threads (process_limits.processes)",
                # As root nothing but the watch stops it, which is hard on whoever else works on the machine.
                marks=[pytest.mark.long] * (harm == "fork_bomb"),
            )
            for harm in ("fork_bomb", "detached", "threads")
        ),
    ],
)
def test_whoever_wants_more_than_it_may_fails_with_the_clear_error(
    harm: str, limits: ProcessLimits, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARK_OF_THIS_TEST", str(tmp_path))
    began = time.monotonic()
    reports = trained(tmp_path / "checkpoints", limits, harm)
    assert time.monotonic() - began < WITHIN_S
    last = reports[-1]
    assert isinstance(last, Failed)
    assert last.reason == "PROCESS_LIMIT"
    # A file's name may come along.
    assert last.message.replace(last.message.partition(" (/")[2].partition(")")[0], "").startswith(message)
    assert not [report for report in reports if isinstance(report, Warned)]
    deadline = time.monotonic() + 10
    while (left := named(tmp_path)) and left != [os.getpid()] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(left) <= {os.getpid()}


def test_a_checkpoint_beyond_the_limit_of_files_fails_the_job(tmp_path: Path) -> None:
    last = trained(tmp_path, ProcessLimits(file_bytes=300))[-1]
    assert isinstance(last, Failed)
    assert last.reason == "PROCESS_LIMIT"
    assert last.message.startswith("worker 0 wanted a file of more than 300 bytes")
    assert last.message.endswith(", for the checkpoint of step 4")


def test_limits_that_are_not_reached_change_no_bit(tmp_path: Path) -> None:
    ends = [
        trained(tmp_path / str(number), limits, workers=workers)[-1]
        for number, (limits, workers) in enumerate([(NO_LIMITS, 1), (ROOMY, 1), (ROOMY, 2)])
    ]
    assert all(isinstance(end, Finished) for end in ends)
    assert len({end.parameters_sha256 for end in ends if isinstance(end, Finished)}) == 1


def test_an_error_is_a_limit_s_only_where_that_limit_was_set() -> None:
    full = OSError(errno.EFBIG, "File too large", "/x/y")
    assert broken_by(ProcessLimits(file_bytes=3 * 2**19), full) == (
        "wanted a file of more than 1.5 MiB (/x/y) (process_limits.file_bytes)"
    )
    wrapped = ValueError("of mine")
    wrapped.__cause__ = MemoryError()
    assert broken_by(ProcessLimits(memory_bytes=2**30), wrapped).startswith("wanted more than 1 GiB")
    every = ProcessLimits(1, 1, 1, 10**6)
    for error in (full, wrapped, OSError(errno.EMFILE, ""), RuntimeError("can't start new thread")):
        assert broken_by(NO_LIMITS, error) == ""
    for error in (ValueError("no"), BlockingIOError(errno.EAGAIN, ""), OSError(errno.ENOSPC, "")):
        assert broken_by(every, error) == ""


def test_the_smaller_limit_holds_and_none_is_no_limit() -> None:
    assert ProcessLimits(5, 0, 9, 0).within(ProcessLimits(3, 7, 0, 0)) == ProcessLimits(3, 7, 9, 0)
