"""`gradwire account list, show, set`: owners' parts of the whole, quotas and use.

`set` goes to a service, whose token must have the scope admin, or with --home to the store of the service on this machine,
running or not, as `gradwire token` does.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from gradwire.services.accounts import AccountChange, Accounts
from gradwire.services.accounts_and_reasons import QUOTA_FIELDS, OwnerAccount
from gradwire.services.cli import options as o
from gradwire.services.cli.connect import connect
from gradwire.services.cli.endings import endings
from gradwire.services.cli.output import print_json, say, stdout
from gradwire.services.cli.token import administrator
from gradwire.services.scheduling import Quota
from gradwire.services.security.token_store import open_store_of_home
from gradwire.services.security.tokens import checked_owner

account = typer.Typer(
    help="Show owners' accounts, and change their parts of the whole and their quotas.", no_args_is_help=True
)
Limit = Annotated[
    str | None,
    typer.Option(metavar="N", help="At most so many at one time; 'none' lifts it.", show_default=False),
]


@account.command("list")
def list_(
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """List the accounts of all owners; one's own without the scope admin."""
    with endings(), connect(address, context, tls_ca) as client:
        found = list(client.accounts())
    if as_json:
        print_json([_fields(each) for each in found])
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("OWNER", no_wrap=True)
    for name in ("WEIGHT", "GPUS", "CPUS", "JOBS", "STORED", "RECENT SHARE"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found:
        quota = each.quota
        cells = (
            each.owner,
            f"{each.weight:g}",
            _of(each.gpus, quota.gpus),
            _of(each.cpus, quota.cpus),
            _of(each.jobs, quota.jobs),
            _of(each.stored_bytes, quota.storage_bytes),
            f"{100 * each.recent_share:.1f} %",
        )
        table.add_row(*(Text(cell) for cell in cells))
    stdout.print(table)


@account.command()
def show(
    owner: Annotated[str, typer.Argument(metavar="[OWNER]", help="Whose; left out, one's own.")] = "",
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Show an owner's account."""
    with endings(), connect(address, context, tls_ca) as client:
        _show(client.account(owner), as_json)


@account.command("set")
def set_(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="Whose account.", show_default=False)],
    weight: Annotated[
        float | None,
        typer.Option(
            "--weight", metavar="W", help="Its part of the whole beside others'.", show_default=False
        ),
    ] = None,
    gpus: Limit = None,
    cpus: Limit = None,
    jobs: Limit = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage", metavar="SIZE", help="Bytes, or 20G, 500M; 'none' lifts it.", show_default=False
        ),
    ] = None,
    home: Annotated[
        Path | None,
        typer.Option("--home", metavar="DIR", help="Change the store in this home, not over a service."),
    ] = None,
    store: o.StoreUrl = "",
    address: o.ServiceAddress = "",
    context: o.ContextName = "",
    tls_ca: o.TlsCa = "",
    as_json: o.AsJson = False,
) -> None:
    """Change an owner's account; what is not named stays."""
    limits = {"gpus": gpus, "cpus": cpus, "jobs": jobs}
    changes = {name: _count(text, f"--{name}") for name, text in limits.items() if text is not None}
    if storage is not None:
        changes["storage_bytes"] = _size(storage)
    if weight is None and not changes:
        raise typer.BadParameter(
            "expected something to change: --weight, --gpus, --cpus, --jobs or --storage"
        )
    if weight is not None and not (math.isfinite(weight) and weight > 0):
        raise typer.BadParameter(f"expected a number above 0, not {weight}", param_hint="--weight")
    with endings():
        if home is not None or store:
            checked_owner(owner)
            engine = open_store_of_home(home or o.DEFAULT_HOME, o.read_store(store))
            try:
                accounts = Accounts(engine)
                before = accounts.rows().get(owner)
                quota = replace(Quota() if before is None else before.quota, **changes)
                accounts.change(owner, AccountChange(weight, quota if changes else None), administrator())
            finally:
                engine.dispose()
            if as_json:
                print_json({"owner": owner})
            else:
                say(f"the account of {owner} is changed; a service that runs heeds it within a few seconds")
            return
        with connect(address, context, tls_ca) as client:
            quota = replace(client.account(owner).quota, **changes)
            _show(client.update_account(owner, weight=weight, quota=quota if changes else None), as_json)


def _count(text: str, option: str) -> int | None:
    if text.lower() == "none":
        return None
    try:
        count = int(text)
    except ValueError:
        count = -1
    if not 0 <= count <= 2**31 - 1:
        raise typer.BadParameter(f"expected a number, 0 or more, or none, not {text!r}", param_hint=option)
    return count


def _size(text: str) -> int | None:
    if text.lower() == "none":
        return None
    units = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    try:
        size = float(number) * units[unit]
    except (ValueError, KeyError):
        size = -1.0
    if not 0 <= size < 2**62:
        raise typer.BadParameter(f"expected a size like 20G, or none, not {text!r}", param_hint="--storage")
    return int(size)


def _of(held: int, limit: int | None) -> str:
    return str(held) if limit is None else f"{held} of {limit}"


def _show(found: OwnerAccount, as_json: bool) -> None:
    if as_json:
        print_json(_fields(found))
        return
    quota = found.quota
    rows = [
        ("weight", f"{found.weight:g}"),
        ("GPUs", _of(found.gpus, quota.gpus)),
        ("CPU workers", _of(found.cpus, quota.cpus)),
        ("running jobs", _of(found.jobs, quota.jobs)),
        ("stored bytes", _of(found.stored_bytes, quota.storage_bytes)),
        ("recent share", f"{100 * found.recent_share:.1f} %"),
    ]
    stdout.print(Text(f"account {found.owner}", style="bold"), soft_wrap=True)
    for name, value in rows:
        stdout.print(Text.assemble((f"  {name:<14}", "bold"), value), soft_wrap=True)


def _fields(found: OwnerAccount) -> dict[str, object]:
    return {
        "owner": found.owner,
        "weight": found.weight,
        "quota": {name: getattr(found.quota, name) for name in QUOTA_FIELDS},
        "gpus": found.gpus,
        "cpus": found.cpus,
        "jobs": found.jobs,
        "stored_bytes": found.stored_bytes,
        "recent_share": found.recent_share,
    }
