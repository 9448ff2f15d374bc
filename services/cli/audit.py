"""`gradwire audit`: who changed what, from the store of a home."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from gradwire.services.cli import options as o
from gradwire.services.cli.endings import endings
from gradwire.services.cli.output import print_json, say, stdout
from gradwire.services.security.token_store import TokenStore


def audit(
    subject: Annotated[
        str,
        typer.Argument(metavar="[JOB]", help="A job's or a token's id.  [default: all]", show_default=False),
    ] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many, newest first.")] = 50,
    home: o.HomeFolder = o.DEFAULT_HOME,
    store: o.StoreUrl = "",
    as_json: o.AsJson = False,
) -> None:
    """List who changed what on the service of this home, newest first."""
    with endings():
        tokens = TokenStore.of_home(home, o.read_store(store))
        try:
            rows = tokens.audit(limit, subject)
        finally:
            tokens.close()
    if as_json:
        print_json(rows)
    elif not rows:
        say("no changes")
    else:
        table = Table(box=None, pad_edge=False)
        for name in ("TIME (UTC)", "OWNER", "DID", "TO", "TOKEN", "FROM"):
            table.add_column(name, overflow="fold")
        for row in rows:
            cells = (f"{row.time:%Y-%m-%d %H:%M:%S}", row.owner, row.action, row.subject, row.token, row.peer)
            table.add_row(*(Text(cell) for cell in cells))
        stdout.print(table)
