"""`gradwire blob upload, list, show, download, delete`: one's own uploaded bytes on a service, by their sha256."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from gradwire.services.cli import options as o
from gradwire.services.cli.connect import connect
from gradwire.services.cli.endings import endings, interrupt_on_signals
from gradwire.services.cli.output import print_json, say, stderr, stdout
from gradwire.services.client import Client
from gradwire.services.errors import BlobNotFoundError
from gradwire.services.records import Blob

blob = typer.Typer(
    help="Upload, list, show, download and delete bytes that jobs can name.", no_args_is_help=True
)
_DIGITS = 64
_FEWEST_DIGITS = 6
_SHOWN_DIGITS = 16

BlobName = Annotated[
    str,
    typer.Argument(
        metavar="SHA256", help="The blob's sha256, or its first digits, six at least.", show_default=False
    ),
]


def upload_with_bar(client: Client, path: Path) -> str:
    """Uploads a file, showing how far it is, and returns its sha256. Raises UploadError."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task(Text(path.name).markup, total=None)
        return client.upload(path, lambda got, of: progress.update(task, completed=got, total=of))


@blob.command()
def upload(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file.", show_default=False)],
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Send a file and print its sha256. An upload that was interrupted goes on where it stopped."""
    with endings(), connect(address, context, tls_ca) as client:
        interrupt_on_signals()
        found = client.blob(upload_with_bar(client, file))
    if as_json:
        print_json(_fields(found))
    else:
        sys.stdout.write(f"{found.sha256}\n")
        sys.stdout.flush()
        say(f"{file}: {decimal(found.size)}, whole and on the service's disk")


@blob.command("list")
def list_(
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """List your blobs, newest first."""
    with endings(), connect(address, context, tls_ca) as client:
        found = list(client.blobs())
    if as_json:
        print_json([_fields(each) for each in found])
    elif found:
        stdout.print(_table(found))
    else:
        say("no blobs")


@blob.command()
def show(
    sha256: BlobName,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Show what the service has of a blob."""
    with endings(), connect(address, context, tls_ca) as client:
        found = client.blob(_whole_name(client, sha256))
    if as_json:
        print_json(_fields(found))
    else:
        table = Table(box=None, pad_edge=False, show_header=False)
        for name, text in (
            ("sha256", found.sha256),
            ("size", f"{decimal(found.size)} ({found.size:,} bytes)"),
            ("received", _share(found)),
            ("created", f"{found.create_time:%Y-%m-%d %H:%M} UTC"),
        ):
            table.add_row(name, Text(text))
        stdout.print(table)


@blob.command()
def download(
    sha256: BlobName,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The new file.", show_default=False)],
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Bring a blob here, checked against its sha256."""
    with endings(), connect(address, context, tls_ca) as client:
        interrupt_on_signals()
        name = _whole_name(client, sha256)
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
            task = progress.add_task("", total=None)
            client.download_blob(name, to, lambda got, of: progress.update(task, completed=got, total=of))
    size = to.stat().st_size
    if as_json:
        print_json({"sha256": name, "size": size, "path": str(to.absolute())})
    else:
        say(f"{decimal(size)} in {to}")


@blob.command()
def delete(
    sha256: BlobName,
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Delete a blob; jobs that were submitted with it keep it until they are gone."""
    with endings(), connect(address, context, tls_ca) as client:
        name = _whole_name(client, sha256)
        client.delete_blob(name)
    if as_json:
        print_json({"sha256": name, "deleted": True})
    else:
        say(f"{name} is deleted")


def _whole_name(client: Client, text: str) -> str:
    """The sha256 that these first digits stand for. Raises BlobNotFoundError, typer.BadParameter where it is not one alone."""
    if len(text) == _DIGITS:
        return text
    if len(text) < _FEWEST_DIGITS:
        raise typer.BadParameter(
            f"expected {_FEWEST_DIGITS} digits at least, not {text!r}", param_hint="SHA256"
        )
    found = [each.sha256 for each in client.blobs() if each.sha256.startswith(text.lower())]
    if not found:
        raise BlobNotFoundError.of(text)
    if len(found) > 1:
        raise typer.BadParameter(
            f"{text!r} begins {len(found)} of your blobs: give more digits", param_hint="SHA256"
        )
    return found[0]


def _fields(each: Blob) -> dict[str, Any]:
    return {
        "sha256": each.sha256,
        "size": each.size,
        "received": each.received,
        "created": each.create_time,
    }


def _share(each: Blob) -> str:
    return "all" if each.received == each.size else f"{100 * each.received // max(1, each.size)} %"


def _table(found: list[Blob]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("SHA256", "CREATED"):
        table.add_column(name, no_wrap=True)
    for name in ("SIZE", "RECEIVED"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found:
        created = f"{each.create_time:%Y-%m-%d %H:%M}"
        cells = (each.sha256[:_SHOWN_DIGITS], created, decimal(each.size), _share(each))
        table.add_row(*(Text(cell) for cell in cells))
    return table
