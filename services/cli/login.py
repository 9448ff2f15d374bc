"""`gradwire login` and `gradwire contexts`: services by name, with their tokens."""

import getpass
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from gradwire.services.address import Address
from gradwire.services.cli import options as o
from gradwire.services.cli.connect import RETRY_S
from gradwire.services.cli.endings import endings
from gradwire.services.cli.output import print_json, say, stdout
from gradwire.services.client import Client
from gradwire.services.security.access import SYSTEM, Access, checked_token
from gradwire.services.security.contexts import Context, Contexts
from gradwire.services.security.secret_files import read_secret


def login(
    address: Annotated[
        str, typer.Argument(metavar="HOST:PORT", help="Where the service is.", show_default=False)
    ],
    context: Annotated[
        str, typer.Option("--context", metavar="NAME", help="Its name from now on.  [default: the host's]")
    ] = "",
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            envvar="GRADWIRE_TOKEN_FILE",
            help="The token's file, read at every command.",
        ),
    ] = None,
    tls_ca: o.TlsCa = "",
    tls_cert: Annotated[
        Path | None,
        typer.Option("--tls-cert", metavar="FILE", help="Your own certificate, where the service wants one."),
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key.")] = None,
) -> None:
    """Try a token (of GRADWIRE_TOKEN, --token-file, or asked for) at a service, and use both from now on."""
    if (tls_cert is None) != (tls_key is None):
        raise typer.BadParameter("--tls-cert and --tls-key belong together")
    with endings():
        at = Address.parse(address)
        name = context or at.host
        kept = Context(
            address,
            "" if token_file is None else str(token_file.expanduser().absolute()),
            tls_ca if tls_ca in ("", SYSTEM) else str(Path(tls_ca).expanduser().absolute()),
            "" if tls_cert is None else str(tls_cert.expanduser().absolute()),
            "" if tls_key is None else str(tls_key.expanduser().absolute()),
        )
        token = _token(token_file)
        access = Access(token, kept.tls_ca, kept.tls_certificate, kept.tls_key)
        with Client(address, RETRY_S, access) as client:
            list(client.jobs(limit=1))
        Contexts.read().with_context(name, kept, "" if token_file is not None else token)
    say(f"commands use {address} from now on; --context {name} names it")


def contexts(
    use: Annotated[str, typer.Option("--use", metavar="NAME", help="Use this one from now on.")] = "",
    as_json: o.AsJson = False,
) -> None:
    """List the services that `login` knows, or change which one commands use."""
    with endings():
        known = Contexts.read()
        if use:
            known = known.using(use)
    if as_json:
        print_json({"current": known.current, "contexts": known.known})
    elif not known.known:
        say("no contexts: `gradwire login ADDRESS` makes one")
    else:
        table = Table(box=None, pad_edge=False)
        for title in ("", "CONTEXT", "ADDRESS", "TLS"):
            table.add_column(title, no_wrap=True)
        for name, each in sorted(known.known.items()):
            cells = ("*" if name == known.current else "", name, each.address, "yes" if each.tls_ca else "no")
            table.add_row(*(Text(cell) for cell in cells))
        stdout.print(table)


def _token(file: Path | None) -> str:
    """The token, '' where none is given."""
    if file is not None:
        return checked_token(read_secret(file.expanduser()))
    text = os.environ.get("GRADWIRE_TOKEN", "")
    if not text:
        text = getpass.getpass("token (none: Enter): ") if sys.stdin.isatty() else sys.stdin.readline()
    return checked_token(text.strip()) if text.strip() else ""
