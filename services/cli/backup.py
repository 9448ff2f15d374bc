"""`gradwire backup` and `gradwire restore`: a copy of all that a service keeps, made while it runs, and its way back."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gradwire.services.backup import Backup, back_up
from gradwire.services.backup import restore as put_back
from gradwire.services.cli import options as o
from gradwire.services.cli.endings import endings
from gradwire.services.cli.output import print_json, say


def backup(
    target: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder that is not there yet.", show_default=False)
    ],
    home: o.HomeFolder = o.DEFAULT_HOME,
    store: o.StoreUrl = "",
    store_only: Annotated[
        bool, typer.Option("--store-only", help="Leave checkpoints, code and uploaded bytes out.")
    ] = False,
    as_json: o.AsJson = False,
) -> None:
    """Copy the job store, checkpoints and uploads of the service of this home, whether it runs or not."""
    with endings():
        made = back_up(home, o.read_store(store), target, complete=not store_only)
    _tell(made, target, "backed up", as_json)


def restore(
    source: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `backup` made.", show_default=False)],
    home: o.HomeFolder = o.DEFAULT_HOME,
    store: o.StoreUrl = "",
    as_json: o.AsJson = False,
) -> None:
    """Check a backup and put it into a home that holds nothing yet."""
    with endings():
        found = put_back(source, home, o.read_store(store))
    _tell(found, home, "restored", as_json)


def _tell(found: Backup, where: Path, what: str, as_json: bool) -> None:
    path = str(where.expanduser().absolute())
    if as_json:
        fields = {name: value for name, value in asdict(found).items() if name != "files"}
        print_json({**fields, "path": path, "files": len(found.files), "bytes": found.size})
    else:
        amount = f"{found.jobs} jobs, {found.events} events, {len(found.files)} files, {found.size / 2**20:,.1f} MiB"
        say(f"{what}: {path} ({amount}{'' if found.complete else '; the store alone'})")
