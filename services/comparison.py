"""Two jobs beside each other: what their bits depend on, their hash chains step by step, their ends. Used by faces/repeating.py.

Pure but for receipts, which lie beside the checkpoints.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gradwire.data.sources import masked
from gradwire.services.records import Comparison, Job
from gradwire.services.states import JobState
from gradwire.workers.receipt import RECEIPT, Receipt, differences, read_receipt


@dataclass(frozen=True, slots=True)
class Run:
    """A job, the sha256 of its code, and its receipt where it was finished."""

    job: Job
    code_sha256: str
    receipt: Receipt | None


def receipt_in(checkpoints: Path) -> Receipt | None:
    """The receipt beside these checkpoints; None where there is none that can be read."""
    try:
        return read_receipt(checkpoints / RECEIPT)
    except (OSError, ValueError):
        return None


@dataclass(slots=True)
class Chains:
    """Hash chains of two jobs after each step, compared as they come, in order of steps."""

    compared: int = 0
    different: int = 0
    lines: list[str] = field(default_factory=list)

    def take(self, one: Mapping[int, str], other: Mapping[int, str]) -> None:
        """Compares steps that both have. The first that differs ends it: all after it differ too."""
        for step in sorted(one.keys() & other.keys()):
            if self.different:
                return
            self.compared += 1
            if one[step] != other[step]:
                self.different = step
                self.lines.append(f"step {step}, the hash chain after it: {one[step]} and {other[step]}")


def compare(one: Run, other: Run, chains: Chains) -> Comparison | None:
    """What was found; None where neither steps nor ends can be compared."""
    ended = [run.job for run in (one, other) if run.job.state == JobState.SUCCEEDED]
    ends = len(ended) == 2 and one.job.step == other.job.step
    if not chains.compared and not ends:
        return None
    other_end = ends and one.job.parameters_sha256 != other.job.parameters_sha256
    if one.receipt is not None and other.receipt is not None:
        lines = differences(one.receipt, other.receipt)
    else:
        lines = _inputs(one, other)
        if other_end:
            lines.append(
                f"the parameters at the end: {one.job.parameters_sha256} and {other.job.parameters_sha256}"
            )
    # What the bits depend on, then the first bits that differ, then the ends.
    at = next((k for k, line in enumerate(lines) if line.startswith("the parameters at the end")), len(lines))
    lines[at:at] = chains.lines
    return Comparison(
        other.job.id,
        not chains.different and not other_end,
        chains.compared,
        chains.different or (one.job.step if other_end else 0),
        tuple(lines),
    )


def _inputs(one: Run, other: Run) -> list[str]:
    """What the specs have otherwise of that which bits depend on."""
    a, b = one.job, other.job
    pairs = [
        ("the job file", a.spec.code.entrypoint, b.spec.code.entrypoint),
        ("code", one.code_sha256, other.code_sha256),
        ("settings", dict(sorted(a.spec.overrides.items())), dict(sorted(b.spec.overrides.items()))),
        ("data", _data(a), _data(b)),
        ("shards", a.spec.shards, b.spec.shards),
        ("threads within an operation", a.spec.threads_per_worker, b.spec.threads_per_worker),
        ("the kind of device", a.spec.device, b.spec.device),
        ("options changed on the way", _changes(a), _changes(b)),
    ]
    return [f"{what}: {x} and {y}" for what, x, y in pairs if x != y]


def _data(job: Job) -> dict[str, str]:
    """Its data sets without secrets: another signature of a URL is no other data."""
    return {name: masked(url) for name, url in sorted(job.spec.data.items())}


def _changes(job: Job) -> list[list[object]]:
    return [[each.step, dict(each.options)] for each in job.options_history]
