"""`gradwire token create, list, revoke, rotate`: the tokens of the service on a home, running or not."""

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from gradwire.services.cli import options as o
from gradwire.services.cli.endings import endings
from gradwire.services.cli.output import print_json, say, stdout
from gradwire.services.security.callers import Caller, Scope
from gradwire.services.security.secret_files import check_new, write_secret
from gradwire.services.security.token_store import TokenStore
from gradwire.services.security.tokens import LIFE, OVERLAP, Token, read_span

token = typer.Typer(
    help="Make, list, revoke and rotate the tokens of the service on this home.", no_args_is_help=True
)


class ScopeName(StrEnum):
    """What a token allows; each includes those before it."""

    read = "read"
    submit = "submit"
    admin = "admin"


TokenId = Annotated[
    str, typer.Argument(metavar="TOKEN", help="The token's id, as `list` shows it.", show_default=False)
]
To = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="FILE",
        help="Write the token into this new file, for your eyes alone, and don't print it.",
    ),
]
Expires = Annotated[
    str, typer.Option("--expires", metavar="TIME", help="How long it holds: 90d, 12h, never.")
]


@token.command()
def create(
    owner: Annotated[
        str,
        typer.Option("--owner", metavar="NAME", help="Whose jobs it submits and sees.", show_default=False),
    ],
    scope: Annotated[
        ScopeName,
        typer.Option("--scope", help="read: see; submit: also submit and steer; admin: everyone's jobs."),
    ] = ScopeName.submit,
    expires: Expires = f"{LIFE.days}d",
    to: To = None,
    home: o.HomeFolder = o.DEFAULT_HOME,
    store: o.StoreUrl = "",
    as_json: o.AsJson = False,
) -> None:
    """Make a token and print it, once: the service keeps its hash alone."""
    with _tokens(home, store) as tokens:
        check_new(to)
        made, secret = tokens.create(owner, Scope[scope.name.upper()], read_span(expires), administrator())
    _hand_over(made, secret, to, as_json, f"{made.id} of {owner}, scope {scope.value}, {_until(made)}")


@token.command("list")
def list_(home: o.HomeFolder = o.DEFAULT_HOME, store: o.StoreUrl = "", as_json: o.AsJson = False) -> None:
    """List the tokens that were made, without what they are."""
    with _tokens(home, store) as tokens:
        found = tokens.tokens()
    if as_json:
        print_json([_fields(each) for each in found])
        return
    if not found:
        say("no tokens")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("TOKEN", "ENDS IN", "OWNER", "SCOPE", "CREATED", "STATE"):
        table.add_column(name, no_wrap=True)
    for each in found:
        cells = (
            each.id,
            f"…{each.last4}",
            each.owner,
            each.scope.name.lower(),
            f"{each.created:%Y-%m-%d}",
            _until(each),
        )
        table.add_row(*(Text(cell) for cell in cells))
    stdout.print(table)


@token.command()
def revoke(
    token_id: TokenId, home: o.HomeFolder = o.DEFAULT_HOME, store: o.StoreUrl = "", as_json: o.AsJson = False
) -> None:
    """End a token for good, within a second also on a service that runs."""
    with _tokens(home, store) as tokens:
        ended = tokens.revoke(token_id, administrator())
    if as_json:
        print_json(_fields(ended))
    else:
        say(f"{token_id} of {ended.owner} is revoked")


@token.command()
def rotate(
    token_id: TokenId,
    overlap: Annotated[
        str, typer.Option("--overlap", metavar="TIME", help="How long the old one still holds.")
    ] = f"{OVERLAP.days}d",
    to: To = None,
    home: o.HomeFolder = o.DEFAULT_HOME,
    store: o.StoreUrl = "",
    as_json: o.AsJson = False,
) -> None:
    """Make a token's successor, with the same owner, scope and length of life, and print it, once."""
    with endings():
        span = read_span(overlap)
        if span is None:
            raise typer.BadParameter(
                "expected a time like 1d or 0s: a token that is to stay needs no successor"
            )
    with _tokens(home, store) as tokens:
        check_new(to)
        old, new, secret = tokens.rotate(token_id, span, administrator())
    _hand_over(
        new,
        secret,
        to,
        as_json,
        f"{new.id} follows {old.id}, which holds {_until(old)}; the new one, {_until(new)}",
    )


@contextmanager
def _tokens(home: Path, store: str) -> Iterator[TokenStore]:
    with endings():
        tokens = TokenStore.of_home(home, o.read_store(store))
        try:
            yield tokens
        finally:
            tokens.close()


def administrator() -> Caller:
    """Who works on the home itself."""
    return Caller(f"unix:{getpass.getuser()}"[:64], Scope.ADMIN, peer=f"pid:{os.getpid()}")


def _hand_over(made: Token, secret: str, to: Path | None, as_json: bool, text: str) -> None:
    if to is not None:
        with endings():
            write_secret(to, secret)
    if as_json:
        shown = {"token": secret} if to is None else {"file": str(to.absolute())}
        print_json({**_fields(made), **shown})
        return
    if to is None:
        sys.stdout.write(f"{secret}\n")
        sys.stdout.flush()
    say(f"{text}{f', is in {to}' if to is not None else '. It is shown this once'}")


def _until(each: Token) -> str:
    if trouble := each.trouble(datetime.now(UTC)):
        return trouble
    return "until it is revoked" if each.expires is None else f"until {each.expires:%Y-%m-%d %H:%M} UTC"


def _fields(each: Token) -> dict[str, Any]:
    return {
        "id": each.id,
        "owner": each.owner,
        "scope": each.scope.name.lower(),
        "last4": each.last4,
        "created": each.created,
        "expires": each.expires,
        "revoked": each.revoked,
    }
