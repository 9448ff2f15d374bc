"""The end of a job that was followed: its table, or why it failed, or one line of JSON."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from rich.text import Text

from gradwire.services.cli.output import job_fields, print_json, say, say_error, stdout
from gradwire.services.cli.progress import metrics_text
from gradwire.services.records import DEFAULT_SHARDS, Job
from gradwire.services.states import JobState


def print_end(job: Job, file: Path | None, as_json: bool) -> None:
    """Prints how `job` ended; `file` is the job file on this machine, where it is known."""
    if job.state == JobState.FAILED and job.error is not None:
        if job.error.traceback:
            say(own_paths(job.error.traceback, job.id, file).rstrip())
        say_error(f"job {job.id} failed: {own_paths(job.error.message, job.id, file)}")
        if job.checkpoint:
            say(f"its newest checkpoint is kept: {job.checkpoint}")
    elif job.state == JobState.CANCELLED:
        say(f"job {job.id} was cancelled after {job.step} steps")
    if as_json:
        print_json(job_fields(job))
    elif job.state == JobState.SUCCEEDED:
        _print_table(job, file)


def own_paths(text: str, job_id: str, file: Path | None) -> str:
    """`text` with the folder of the job's code on the service replaced by the user's own."""
    if file is None:
        return text
    folder = str(file.absolute().parent) + "/"
    return re.sub(rf"(?<![\w.-])/[^\s\"']*/jobs/{re.escape(job_id)}/code/", lambda match: folder, text)


def command(job: Job, file: Path | None) -> str:
    """The command that makes the same bits again."""
    spec = job.spec
    words = ["gradwire", "train", str(file or spec.code.entrypoint), "--workers", str(spec.workers)]
    if spec.shards != DEFAULT_SHARDS:
        words += ["--shards", str(spec.shards)]
    if spec.device != "cpu":
        words += ["--device", spec.device]
    if spec.threads_per_worker != 1:
        words += ["--threads", str(spec.threads_per_worker)]
    for name, value in sorted(spec.overrides.items()):
        words += ["--set", f"{name}={value}"]
    return shlex.join(words)


def _percent(metrics: Mapping[str, float]) -> str:
    return f"{100 * metrics['accuracy']:.2f} %"


def _rows(job: Job, file: Path | None) -> list[tuple[str, str]]:
    """The lines of the table: what, and its value."""
    rows = []
    if "accuracy" in job.evaluation_metrics:
        rows.append(("held-out accuracy", _percent(job.evaluation_metrics)))
    if job.evaluation_metrics:
        rows.append(("held-out data", metrics_text(job.evaluation_metrics)))
    rows += [
        ("last step", metrics_text(job.metrics)),
        ("steps", f"{job.step} in {job.epochs} epochs" if job.epochs else str(job.step)),
        ("time", f"{job.seconds:.1f} s, first step after {job.first_step_seconds:.2f} s"),
        ("parameters sha256", job.parameters_sha256),
        ("checkpoint", job.checkpoint),
        ("again", command(job, file)),
    ]
    return rows


def _print_table(job: Job, file: Path | None) -> None:
    """Values are not wrapped: a hash or a path that is broken over lines can't be copied."""
    stdout.print(Text(f"job {job.id}", style="bold"), soft_wrap=True)
    for name, value in _rows(job, file):
        stdout.print(Text.assemble((f"  {name:<19}", "bold"), value), soft_wrap=True)
