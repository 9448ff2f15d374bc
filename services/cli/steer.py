"""Commands that steer a job of a service: `cancel`, `pause`, `resume`, `resize`, `update`, `delete`, `undelete`."""

from typing import Annotated

import typer

from gradwire.services.cli import options as o
from gradwire.services.cli.connect import connect
from gradwire.services.cli.endings import endings
from gradwire.services.cli.output import job_fields, print_json, say
from gradwire.services.cli.progress import pairs_text, workers_text
from gradwire.services.records import Job
from gradwire.services.states import JobState


def cancel(
    job: o.JobId,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Ask a job to stop; one that has ended is left as it is."""
    with endings(), connect(address, context, tls_ca) as client:
        now = client.job(job).cancel()
    _tell(now, _state(now) if now.state.terminal else f"job {job} is asked to stop", as_json)


def pause(
    job: o.JobId,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Ask a job to write a checkpoint and give its workers back; `resume` goes on from there."""
    with endings(), connect(address, context, tls_ca) as client:
        now = client.job(job).pause()
    paused = now.state == JobState.PAUSED
    _tell(now, _state(now) if paused else f"job {job} is asked to pause at its next step boundary", as_json)


def resume(
    job: o.JobId,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Put a paused job in the queue again."""
    with endings(), connect(address, context, tls_ca) as client:
        now = client.job(job).resume()
    _tell(now, _state(now), as_json)


def resize(
    job: o.JobId,
    workers: Annotated[
        int, typer.Option("--workers", "-w", metavar="N", help="Workers it is to have.", show_default=False)
    ],
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Change a job's number of workers, at a step boundary where it runs; its bits stay the same."""
    with endings(), connect(address, context, tls_ca) as client:
        now = client.job(job).resize(workers)
    if not now.state.holds_workers:
        text = f"job {job} is {now.state.name.lower()} and will start with {workers_text(workers)}"
    elif now.workers == workers:
        text = f"job {job} has {workers_text(workers)}"
    else:
        text = f"job {job} is to go from {now.workers} to {workers_text(workers)}"
    _tell(now, text, as_json)


def update(
    job: o.JobId,
    lr: Annotated[
        float | None, typer.Option("--lr", metavar="X", help="Learning rate, from the next step boundary on.")
    ] = None,
    priority: Annotated[int | None, typer.Option("--priority", help="Larger runs earlier.")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="NAME=VALUE", help="Sets a label; may be repeated.")
    ] = None,
    remove_label: Annotated[
        list[str] | None,
        typer.Option("--remove-label", metavar="NAME", help="Removes a label; may be repeated."),
    ] = None,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    etag: Annotated[
        str,
        typer.Option(
            "--etag", metavar="ETAG", help="Only if the job is still as `show --json` said with this etag."
        ),
    ] = "",
    as_json: o.AsJson = False,
) -> None:
    """Change a job's learning rate, priority or labels."""
    labels = o.parse_pairs(label, "--label", "team=vision")
    if lr is None and priority is None and not labels and not remove_label:
        raise typer.BadParameter("expected at least one of --lr, --priority, --label, --remove-label")
    with endings(), connect(address, context, tls_ca) as client:
        now = client.job(job).update(
            lr=lr, priority=priority, labels=labels, remove_labels=remove_label or (), etag=etag
        )
    text = f"job {job} is updated"
    if now.wanted_options:
        when = "at its next step boundary" if now.state.holds_workers else "when it starts"
        text = f"job {job} will have {pairs_text(now.wanted_options)} {when}"
    _tell(now, text, as_json)


def delete(
    job: o.JobId,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Delete a job that has ended: its folder and history go when the service's retention is over."""
    with endings(), connect(address, context, tls_ca) as client:
        now = client.job(job).delete()
    until = "" if now.expire_time is None else f" until {now.expire_time:%Y-%m-%d %H:%M} UTC"
    _tell(now, f"job {job} is deleted; `gradwire undelete {job}` takes that back{until}", as_json)


def undelete(
    job: o.JobId,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Take the deletion of a job back."""
    with endings(), connect(address, context, tls_ca) as client:
        now = client.job(job).undelete()
    _tell(now, f"job {job} is kept", as_json)


def _state(job: Job) -> str:
    return f"job {job.id} is {job.state.name.lower()}"


def _tell(job: Job, text: str, as_json: bool) -> None:
    if as_json:
        print_json(job_fields(job))
    else:
        say(text)
