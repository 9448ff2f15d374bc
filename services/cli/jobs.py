"""Commands that list, show and download what a service has: `jobs`, `show`, `checkpoints`, `download`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from gradwire.services.cli import options as o
from gradwire.services.cli.connect import connect
from gradwire.services.cli.endings import endings
from gradwire.services.cli.output import duration, job_fields, print_json, say, stderr, stdout
from gradwire.services.cli.summary import note, print_job
from gradwire.services.records import Job
from gradwire.services.states import JobState


def jobs(
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    state: Annotated[
        list[str] | None, typer.Option("--state", help="Only jobs in this state; may be repeated.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="NAME=VALUE", help="Only jobs with this label; may be repeated."),
    ] = None,
    filter_: Annotated[
        str,
        typer.Option(
            "--filter",
            metavar="TEXT",
            help='Only jobs for which this holds, like: step > 100 AND owner = "ann" (docs/grpc.md).',
            show_default=False,
        ),
    ] = "",
    deleted: Annotated[bool, typer.Option("--all", "-a", help="Deleted jobs as well.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, newest first.")] = 50,
    as_json: o.AsJson = False,
) -> None:
    """List the jobs of a service, newest first."""
    states = [_state(name) for name in state or []]
    labels = o.parse_pairs(label, "--label", "team=vision")
    # AND binds least, so what is added needs no parentheses, and places in the text stay what they are.
    terms = [f"labels.{_quoted(key)} = {_quoted(value)}" for key, value in labels.items()]
    text = " AND ".join([*filter(None, [filter_.strip() and filter_]), *terms])
    with endings(), connect(address, context, tls_ca) as client:
        found = list(client.jobs(states, limit, filter=text, show_deleted=deleted))
    if as_json:
        print_json([job_fields(job) for job in found])
    elif found:
        stdout.print(_table(found))
    else:
        say("no jobs")


def show(
    job: o.JobId,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Show a job as it stands."""
    with endings(), connect(address, context, tls_ca) as client:
        now = client.job(job).get()
    if as_json:
        print_json(job_fields(now))
    else:
        print_job(now)


def download(
    job: o.JobId,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="The new folder.  [default: JOB-step-N]")
    ] = None,
    step: Annotated[
        int | None, typer.Option("--step", help="The checkpoint of this step.  [default: the newest]")
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Bring a checkpoint of a job here, checked against its sha256 sums."""
    with endings(), connect(address, context, tls_ca) as client:
        remote = client.job(job)
        target = to
        if target is None:
            newest = step if step is not None else max((c.step for c in remote.checkpoints()), default=0)
            target = Path(f"{job}-step-{newest}")
        with Progress(
            BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=stderr, transient=True
        ) as progress:
            task = progress.add_task("", total=None)
            checkpoint = remote.download(
                target, step, lambda got, of: progress.update(task, completed=got, total=of)
            )
    if as_json:
        print_json(
            {
                "job": job,
                "step": checkpoint.step,
                "path": str(target.absolute()),
                "parameters_sha256": checkpoint.parameters_sha256,
                "files": checkpoint.files,
            }
        )
    else:
        size = sum(file.size for file in checkpoint.files)
        say(f"checkpoint of step {checkpoint.step}, {decimal(size)}, in {target}")


def checkpoints(
    job: o.JobId,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """List the checkpoints of a job that are whole on the service's storage, newest first."""
    with endings(), connect(address, context, tls_ca) as client:
        found = client.job(job).checkpoints()
    if as_json:
        print_json(found)
    elif not found:
        say("no checkpoints")
    else:
        table = Table(box=None, pad_edge=False)
        for name in ("STEP", "SIZE"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("WRITTEN", no_wrap=True)
        table.add_column("PARAMETERS", no_wrap=True)
        for each in found:
            size = decimal(sum(file.size for file in each.files))
            written = f"{each.create_time:%Y-%m-%d %H:%M:%S} UTC"
            table.add_row(*map(Text, (str(each.step), size, written, each.parameters_sha256[:16])))
        stdout.print(table)


def _quoted(text: str) -> str:
    """A text as filters have it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _state(name: str) -> JobState:
    try:
        return JobState[name.upper()]
    except KeyError:
        known = ", ".join(state.name.lower() for state in JobState)
        raise typer.BadParameter(f"expected one of {known}, not {name!r}", param_hint="--state") from None


def _table(found: list[Job]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("JOB", "STATE"):
        table.add_column(name, no_wrap=True)
    for name in ("STEP", "WORKERS", "TIME"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("NOTE", overflow="ellipsis", no_wrap=True)
    for job in found:
        step = f"{job.step}/{job.total_steps}" if job.total_steps else str(job.step)
        workers = str(job.wanted_workers)
        if job.state.holds_workers and job.workers != job.wanted_workers:
            workers = f"{job.workers} of {workers}"
        cells = (job.id, job.state.name.lower(), step, workers, duration(job.seconds), note(job))
        table.add_row(*(Text(cell) for cell in cells))
    return table
