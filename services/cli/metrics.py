"""`gradwire metrics`: what a job's steps or evaluations have measured, as a table, CSV or JSON."""

import csv
import sys
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from gradwire.services.cli import options as o
from gradwire.services.cli.connect import connect
from gradwire.services.cli.endings import endings
from gradwire.services.cli.output import print_json, say, stdout
from gradwire.services.records import MetricSeries

POINTS_SHOWN = 20


def metrics(
    job: o.JobId,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Which metrics.  [default: all]", show_default=False),
    ] = None,
    first: Annotated[int, typer.Option("--first", metavar="STEP", min=0, help="From this step on.")] = 0,
    last: Annotated[
        int, typer.Option("--last", metavar="STEP", min=0, help="Up to this step; 0 is the newest.")
    ] = 0,
    points: Annotated[
        int,
        typer.Option(
            "--points",
            metavar="N",
            min=0,
            help="At most so many rows: more steps are put together.  [default: 20, 1000 with --csv and --json]",
            show_default=False,
        ),
    ] = 0,
    evaluation: Annotated[
        bool, typer.Option("--evaluation", help="Those over the held-out data instead.")
    ] = False,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on standard output, nothing else.")] = False,
    as_json: o.AsJson = False,
) -> None:
    """Show a job's metrics over its steps; with several steps in a row, their mean."""
    if as_csv and as_json:
        raise typer.BadParameter("expected --csv or --json, not both")
    with endings(), connect(address, context, tls_ca) as client:
        remote = client.job(job)
        many = points or (0 if as_csv or as_json else POINTS_SHOWN)
        found = remote.metrics(
            names or (), first_step=first, last_step=last, max_points=many, evaluation=evaluation
        )
        missing = [series.name for series in found if not series.points]
        told = sorted(remote.get().metrics) if missing else []
    if missing:
        there = f"; its last step told of {', '.join(told)}" if told else ""
        say(f"job {job} has told of no {', '.join(missing)} there{there}", "yellow")
    if as_json:
        print_json(found)
    elif as_csv:
        _write_csv(found)
    elif any(series.points for series in found):
        stdout.print(_table([series for series in found if series.points]))
    elif not missing:
        say("no metrics yet")


def _write_csv(found: list[MetricSeries]) -> None:
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(("name", "step", "time", "mean", "min", "max", "count"))
    for series in found:
        for p in series.points:
            out.writerow((series.name, p.step, p.time.isoformat(), p.mean, p.min, p.max, p.count))
    sys.stdout.flush()


def _table(found: list[MetricSeries]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("STEP", justify="right", no_wrap=True)
    for series in found:
        table.add_column(Text(series.name.upper()), justify="right", no_wrap=True)
    rows: dict[int, list[str]] = {}
    for k, series in enumerate(found):
        for point in series.points:
            rows.setdefault(point.step, [""] * len(found))[k] = f"{point.mean:.6g}"
    for step, cells in sorted(rows.items()):
        table.add_row(*map(Text, (str(step), *cells)))
    return table
