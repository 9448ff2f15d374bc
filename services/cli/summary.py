"""A job in a table: as it stands, or how it ended (or why it failed, or one line of JSON)."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from rich.text import Text

from gradwire.data.sources import masked
from gradwire.services.cli.output import duration, job_fields, print_json, say, say_error, stdout
from gradwire.services.cli.progress import metrics_text, pairs_text, workers_text
from gradwire.services.records import DEFAULT_SHARDS, Job
from gradwire.services.states import JobState


def print_end(job: Job, file: Path | None, as_json: bool, by_reference: bool = False) -> None:
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
        _print_table(job, file, by_reference)


def own_paths(text: str, job_id: str, file: Path | None) -> str:
    """`text` with the folder of the job's code on the service replaced by the user's own."""
    if file is None:
        return text
    folder = str(file.absolute().parent) + "/"
    return re.sub(rf"(?<![\w.-])/[^\s\"']*/jobs/{re.escape(job_id)}/code/", lambda match: folder, text)


def command(job: Job, file: Path | None, by_reference: bool = False) -> str:
    """The command that makes the same bits again."""
    spec = job.spec
    words = ["gradwire", "train", str(file or spec.code.entrypoint)]
    words += ["--reference"] if by_reference else ["--workers", str(spec.workers)]
    if spec.min_workers or spec.max_workers:
        words += ["--min-workers", str(spec.min_workers), "--max-workers", str(spec.max_workers)]
    if spec.shards != DEFAULT_SHARDS:
        words += ["--shards", str(spec.shards)]
    if spec.device != "cpu":
        words += ["--device", spec.device]
    if spec.threads_per_worker != 1:
        words += ["--threads", str(spec.threads_per_worker)]
    for name, value in sorted(spec.overrides.items()):
        words += ["--set", f"{name}={value}"]
    for name, url in sorted(spec.data.items()):
        words += ["--data", f"{name}={masked(url)}"]
    return shlex.join(words)


def _percent(metrics: Mapping[str, float]) -> str:
    return f"{100 * metrics['accuracy']:.2f} %"


def _rows(job: Job, file: Path | None, by_reference: bool) -> list[tuple[str, str]]:
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
        ("again", command(job, file, by_reference)),
    ]
    if job.checkpoint:
        rows.insert(-1, ("checkpoint", job.checkpoint))
    if job.options_history:
        # They are no part of the command, so it alone does not make these bits.
        rows.insert(-1, ("changed on the way", options_text(job)))
    return rows


def options_text(job: Job) -> str:
    """The options that were changed, and after which steps."""
    return "; ".join(f"{pairs_text(each.options)} after step {each.step}" for each in job.options_history)


def _print_table(job: Job, file: Path | None, by_reference: bool) -> None:
    _print_rows(job.id, _rows(job, file, by_reference))


def _print_rows(job_id: str, rows: list[tuple[str, str]]) -> None:
    """Values are not wrapped: a hash or a path that is broken over lines can't be copied."""
    stdout.print(Text(f"job {job_id}", style="bold"), soft_wrap=True)
    for name, value in rows:
        stdout.print(Text.assemble((f"  {name:<19}", "bold"), value), soft_wrap=True)


def note(job: Job) -> str:
    """What is to be said beside a job's state, '' where there is nothing."""
    if not job.state.terminal and job.cancel_requested:
        return "stopping"
    if job.delete_time is not None:
        return "deleted"
    if job.pause_requested:
        return "pausing"
    return job.waiting_reason or (job.error.message if job.error else "")


def _gone(job: Job) -> str:
    if job.delete_time is None or job.expire_time is None:
        return ""
    return (
        f"{job.delete_time:%Y-%m-%d %H:%M:%S} UTC, gone for good on {job.expire_time:%Y-%m-%d %H:%M:%S} UTC"
    )


def print_job(job: Job) -> None:
    """Prints a job as it stands on standard output."""
    spec = job.spec
    state = job.state.name.lower()
    if said := note(job):
        state += f" ({said})"
    workers = workers_text(job.wanted_workers)
    if job.state.holds_workers and job.workers != job.wanted_workers:
        workers += f" wanted, {job.workers} now"
    if spec.min_workers or spec.max_workers:
        workers += f", from {spec.min_workers} to {spec.max_workers}"
    took = duration(job.seconds)
    since = f"{took} ago" if job.end_time is None else f"ended after {took}"
    rows = [
        ("name", spec.name),
        ("state", state),
        ("workers", workers),
        ("shards", f"{spec.shards} on {spec.device}, threads per worker {spec.threads_per_worker}"),
        ("steps", f"{job.step} of {job.total_steps}" if job.total_steps else str(job.step)),
        ("last step", metrics_text(job.metrics)),
        ("held-out data", metrics_text(job.evaluation_metrics)),
        ("settings", pairs_text(spec.overrides)),
        ("data", ", ".join(f"{name}={masked(url)}" for name, url in spec.data.items())),
        ("priority", str(spec.priority)),
        ("labels", pairs_text(spec.labels)),
        ("changed on the way", options_text(job)),
        ("still to change", pairs_text(job.wanted_options)),
        ("attempt", str(job.attempt)),
        ("submitted", f"{job.create_time:%Y-%m-%d %H:%M:%S} UTC, {since}"),
        ("repeats", job.replay_of),
        ("deleted", _gone(job)),
        ("chain", job.chain),
        ("parameters sha256", job.parameters_sha256),
        ("checkpoint", job.checkpoint),
    ]
    _print_rows(job.id, [(name, value) for name, value in rows if value])
