"""Commands that follow a job on a service: `submit`, `watch`, `logs`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gradwire.services import records as r
from gradwire.services.cli import options as o
from gradwire.services.cli.blob import upload_with_bar
from gradwire.services.cli.connect import connect
from gradwire.services.cli.endings import INTERRUPTED, endings, exit_code, interrupt_on_signals
from gradwire.services.cli.output import event_fields, print_json, say
from gradwire.services.cli.progress import Display
from gradwire.services.cli.summary import print_end
from gradwire.services.client import Client, RemoteJob
from gradwire.services.client.attachments import attached, with_blobs
from gradwire.services.client.calls import SubmitOptions
from gradwire.services.errors import ServiceError


def follow(job: RemoteJob, display: Display) -> r.Job:
    """Shows a job's events until its end, and returns it."""
    lost = False

    def interrupted(error: ServiceError) -> None:
        nonlocal lost
        if not lost:
            display.line(f"the connection was lost, going on when it is back: {error}", "yellow")
        lost = True

    for event in job.watch(interrupted=interrupted):
        lost = False
        display.show(event)
    return job.get()


def submit(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The job file.", show_default=False)
    ] = None,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    archive: Annotated[
        Path | None,
        typer.Option(
            "--archive",
            metavar="FILE",
            help="A .tar, .tar.gz or .zip with the whole program, in the place of FILE.",
            show_default=False,
        ),
    ] = None,
    entry: Annotated[
        str,
        typer.Option(
            "--entry", metavar="PATH", help="The job file's path in the archive.", show_default=False
        ),
    ] = "",
    workers: o.Workers = 1,
    min_workers: o.MinWorkers = 0,
    max_workers: o.MaxWorkers = 0,
    shards: o.Shards = 8,
    device: o.Device = o.DeviceKind.cpu,
    threads: o.Threads = 1,
    set_: o.Overrides = None,
    data: o.Data = None,
    limit: o.WorkerLimits = None,
    name: o.Name = "",
    priority: o.Priority = 0,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="A label; may be repeated.")
    ] = None,
    time_limit: o.TimeLimit = 0.0,
    attempt_time_limit: o.AttemptTimeLimit = 0.0,
    retries: o.Retries = None,
    one_host: o.OneHost = False,
    storage_bytes: o.StorageBytes = 0,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Print the job's id and don't follow it.")
    ] = False,
    as_json: o.AsJson = False,
) -> None:
    """Send FILE to a service and follow the job; Ctrl-C leaves the job alone.

    Data that is a file of this machine is uploaded first.
    """
    program = _program(file, archive, entry)
    overrides = o.parse_overrides(set_)
    labels = o.parse_pairs(label, "--label", "team=vision")
    urls = o.parse_data(data)
    worker_limits = o.parse_worker_limits(limit)
    limits = r.JobLimits(attempt_time_limit, time_limit, o.parse_retries(retries))
    with endings(), connect(address, context, tls_ca) as client:
        interrupt_on_signals()
        options = SubmitOptions(
            archive=archive,
            name=name,
            overrides=overrides,
            workers=workers,
            min_workers=min_workers,
            max_workers=max_workers,
            shards=shards,
            device=device.value,
            threads_per_worker=threads,
            priority=priority,
            labels=labels,
            data=urls,
            process_limits=worker_limits,
            limits=limits,
            one_host=one_host,
            storage_bytes=storage_bytes,
        )
        files, options = attached(options)
        if files:
            options = with_blobs(options, {each: upload_with_bar(client, each) for each in files})
        job = client.submit(program, **options)
        if detach:
            if as_json:
                print_json({"job": job.id})
            else:
                sys.stdout.write(f"{job.id}\n")
                say(f"follow it with: gradwire watch {job.id} --address {client.address}")
            return
        _follow_or_detach(job, client, file, as_json)


def _program(file: Path | None, archive: Path | None, entry: str) -> Path | str:
    """The job file, or its path in the archive. Raises typer.BadParameter where it is not one of them."""
    if archive is None:
        if file is None:
            raise typer.BadParameter("expected a job file, or --archive with --entry", param_hint="FILE")
        if entry:
            raise typer.BadParameter("expected it with --archive alone", param_hint="--entry")
        return file
    if file is not None:
        raise typer.BadParameter(f"expected it or FILE ({file}), not both", param_hint="--archive")
    if not entry:
        raise typer.BadParameter(
            "expected the job file's path in the archive, such as --entry job.py", param_hint="--entry"
        )
    return entry


def watch(
    job: o.JobId,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    after: Annotated[int, typer.Option("--after", help="Number of the last event seen already.")] = 0,
    as_json: o.AsJson = False,
) -> None:
    """Show a job's events until it ends; with --json one event a line."""
    with endings(), connect(address, context, tls_ca) as client:
        interrupt_on_signals()
        followed = client.job(job)
        if not as_json:
            _follow_or_detach(followed, client, None, False)
            return
        cursor = after
        try:
            for event in followed.watch(after):
                print_json(event_fields(event))
                cursor = event.number
        except KeyboardInterrupt:
            say(f"go on with: gradwire watch {job} --after {cursor} --json --address {client.address}")
            raise
        code = exit_code(followed.get())
    raise typer.Exit(code)


def logs(
    job: o.JobId,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    following: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the job ends; may be asked before it starts.")
    ] = False,
    rank: Annotated[
        int | None,
        typer.Option(
            "--rank",
            metavar="R",
            min=0,
            help="This worker's alone, byte for byte.  [default: all workers' lines, or 0 with --stderr and --offset]",
            show_default=False,
        ),
    ] = None,
    stderr: Annotated[
        bool, typer.Option("--stderr", help="Its standard error alone, byte for byte.")
    ] = False,
    offset: Annotated[
        int | None,
        typer.Option("--offset", metavar="BYTE", min=0, help="From this byte on.", show_default=False),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Print what a job's code printed."""
    raw = rank is not None or stderr or offset is not None
    if raw and as_json:
        raise typer.BadParameter("expected lines for --json, not --rank, --stderr or --offset")
    with endings(), connect(address, context, tls_ca) as client:
        interrupt_on_signals()
        remote = client.job(job)
        if raw:
            _copy_output(remote, rank or 0, "stderr" if stderr else "stdout", offset or 0, following)
            return
        for line in remote.logs(following):
            if as_json:
                print_json(line)
            else:
                out = sys.stderr if line.stream == "stderr" else sys.stdout
                out.write(line.text + "\n")
                out.flush()


def _copy_output(job: RemoteJob, rank: int, stream: str, offset: int, following: bool) -> None:
    try:
        for data in job.read_logs(rank, stream, offset, following):
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            offset += len(data)
    except KeyboardInterrupt:
        say(
            f"go on with: gradwire logs {job.id} -f --rank {rank} --offset {offset}"
            + " --stderr" * (stream == "stderr")
        )
        raise


def _follow_or_detach(job: RemoteJob, client: Client, file: Path | None, as_json: bool) -> None:
    try:
        with Display() as display:
            display.line(f"job {job.id}")
            ended = follow(job, display)
    except KeyboardInterrupt:
        say(f"the job goes on. Come back with: gradwire watch {job.id} --address {client.address}")
        say(f"Stop it with: gradwire cancel {job.id} --address {client.address}")
        raise typer.Exit(INTERRUPTED) from None
    print_end(ended, file, as_json)
    raise typer.Exit(exit_code(ended))
