"""The Typer application: which function is which command."""

from typing import Annotated

import typer

import gradwire
from gradwire.services.cli import (
    audit,
    backup,
    doctor,
    explain,
    follow,
    jobs,
    login,
    metrics,
    repeating,
    serve,
    steer,
    train,
    verify,
)
from gradwire.services.cli.account import account
from gradwire.services.cli.blob import blob
from gradwire.services.cli.output import stdout
from gradwire.services.cli.token import token

app = typer.Typer(
    name="gradwire",
    help="Reproducible, elastic training: the same job ends with the same bits on any number of workers.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        stdout.print(f"gradwire {gradwire.__version__}")
        raise typer.Exit


@app.callback()
def _global(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


for command in (
    train.train,
    serve.serve,
    follow.submit,
    jobs.jobs,
    follow.watch,
    follow.logs,
    jobs.show,
    explain.explain,
    steer.cancel,
    steer.pause,
    steer.resume,
    steer.resize,
    steer.update,
    steer.delete,
    steer.undelete,
    metrics.metrics,
    jobs.checkpoints,
    jobs.download,
    repeating.repeat,
    repeating.compare,
    login.login,
    login.contexts,
    audit.audit,
    backup.backup,
    backup.restore,
    doctor.doctor,
):
    app.command()(command)
app.command("verify")(verify.verify_run)
app.command("replay")(verify.replay_step)
app.add_typer(token, name="token")
app.add_typer(blob, name="blob")
app.add_typer(account, name="account")
