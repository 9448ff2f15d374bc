"""The options that several commands share, and how their text is read."""

import os
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import URL

from gradwire.data.sources import scheme_of
from gradwire.services.cli.completion import complete_job
from gradwire.services.client import DEFAULT_ADDRESS as DEFAULT_ADDRESS
from gradwire.services.connections import StoreUrlError, parse_store
from gradwire.services.security.worker_limits import LEAST, parse_limits, parse_size
from gradwire.workers.process_limits import ProcessLimits


class DeviceKind(StrEnum):
    """Kinds of device a job can ask for."""

    cpu = "cpu"
    cuda = "cuda"


class RuntimeKind(StrEnum):
    """What runs the workers."""

    ray = "ray"
    process = "process"


JobFile = Annotated[Path, typer.Argument(metavar="FILE", help="The job file.", show_default=False)]
JobId = Annotated[
    str,
    typer.Argument(metavar="JOB", help="The job's id.", show_default=False, autocompletion=complete_job),
]
ServiceAddress = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        envvar="GRADWIRE_ADDRESS",
        help=f"Where the service is.  [default: the current context's, or {DEFAULT_ADDRESS}]",
        show_default=False,
    ),
]
ContextName = Annotated[
    str,
    typer.Option(
        "--context",
        metavar="NAME",
        envvar="GRADWIRE_CONTEXT",
        help="The service that `login` knows by this name.",
        show_default=False,
    ),
]
TlsCa = Annotated[
    str,
    typer.Option(
        "--tls-ca",
        metavar="FILE",
        envvar="GRADWIRE_TLS_CA",
        help="Speak TLS and trust these certificates ('system': the public ones).",
        show_default=False,
    ),
]
HomeFolder = Annotated[
    Path,
    typer.Option(
        "--home", metavar="DIR", envvar="GRADWIRE_HOME", help="Where jobs and checkpoints are kept."
    ),
]


def read_store(text: str) -> URL | None:
    """The URL of --store or GRADWIRE_STORE, None for a file in the home. Raises typer.BadParameter."""
    if not text:
        return None
    try:
        return parse_store(text)
    except StoreUrlError as error:
        raise typer.BadParameter(str(error), param_hint="--store") from None


def _check_store(context: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    url = read_store(value)
    source = context.get_parameter_source(parameter.name or "")
    if url is not None and url.password is not None and source is not None and source.name == "COMMANDLINE":
        raise typer.BadParameter(
            "a password on the command line is seen by everyone on this machine: put the URL into GRADWIRE_STORE, or the "
            "password into ~/.pgpass",
            param_hint="--store",
        )
    return value


StoreUrl = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="URL",
        envvar="GRADWIRE_STORE",
        show_envvar=True,
        callback=_check_store,
        help="The job store: postgresql://USER@HOST/DATABASE.  [default: a file in the home]",
        show_default=False,
    ),
]
Workers = Annotated[int, typer.Option("--workers", "-w", metavar="N", help="Workers to train with.")]
MinWorkers = Annotated[
    int,
    typer.Option(
        "--min-workers",
        metavar="N",
        help="The fewest it may be given.  [default: as --workers]",
        show_default=False,
    ),
]
MaxWorkers = Annotated[
    int,
    typer.Option(
        "--max-workers",
        metavar="N",
        help="The most it may be given.  [default: as --workers]",
        show_default=False,
    ),
]
Shards = Annotated[
    int, typer.Option("--shards", metavar="V", help="Fixed parts of each batch; part of the bits.")
]
Device = Annotated[DeviceKind, typer.Option("--device", help="What a worker computes on.")]
Threads = Annotated[
    int, typer.Option("--threads", metavar="N", help="Threads within an operation; part of the bits.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Changes a setting of the job; may be repeated."),
]
Data = Annotated[
    list[str] | None,
    typer.Option(
        "--data",
        metavar="NAME=URL",
        help="Data in the place of the job's own, such as train_data=s3://bucket/train-*.parquet; may be repeated.",
    ),
]
WorkerLimits = Annotated[
    list[str] | None,
    typer.Option(
        "--limit",
        metavar="KIND=AMOUNT",
        help="What each worker's process may use: memory=8GiB, file-size, open-files, processes; may be repeated.",
    ),
]
Priority = Annotated[int, typer.Option("--priority", help="Larger runs earlier.")]
TimeLimit = Annotated[
    float,
    typer.Option(
        "--time-limit",
        metavar="SECONDS",
        help="How long it may have workers in all; 0 is no limit. With one it may go in front of jobs that wait for room.",
    ),
]
AttemptTimeLimit = Annotated[
    float,
    typer.Option(
        "--attempt-time-limit",
        metavar="SECONDS",
        help="How long one attempt may have workers; 0 is no limit.",
    ),
]
Retries = Annotated[
    list[str] | None,
    typer.Option(
        "--retries",
        metavar="CAUSE=N",
        help="How often it is tried again: user_error, worker_loss, gang_deadline, preemption, wall_time; may be repeated.",
    ),
]
OneHost = Annotated[bool, typer.Option("--one-host", help="All its workers on one host.")]
StorageBytes = Annotated[
    int,
    typer.Option("--storage-bytes", metavar="N", help="Bytes it is going to store, for its owner's quota."),
]
Name = Annotated[str, typer.Option("--name", help="A name for people.  [default: the job file's]")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output, nothing else.")]
Runtime = Annotated[
    RuntimeKind,
    typer.Option(
        "--runtime",
        envvar="GRADWIRE_RUNTIME",
        help="What runs workers: Ray, or one plain process a job, for debugging.",
    ),
]

DEFAULT_HOME = Path("~/.gradwire")
DEFAULT_RUNTIME = RuntimeKind.ray


def parse_overrides(items: list[str] | None) -> dict[str, str]:
    """Reads NAME=VALUE items. Raises typer.BadParameter naming every wrong one."""
    return parse_pairs(items, "--set", "lr=0.01")


def parse_data(items: list[str] | None) -> dict[str, str]:
    """Reads NAME=URL items. Raises typer.BadParameter naming every wrong one."""
    return parse_pairs(items, "--data", "train_data=s3://bucket/train.npz")


def parse_retries(items: list[str] | None) -> dict[str, int]:
    """Reads CAUSE=N items. Raises typer.BadParameter."""
    retries = {}
    for cause, text in parse_pairs(items, "--retries", "worker_loss=3").items():
        try:
            retries[cause.upper().replace("-", "_")] = int(text)
        except ValueError:
            raise typer.BadParameter(f"expected a number, not {text!r}", param_hint="--retries") from None
    return retries


def of_this_machine(url: str) -> str:
    """A plain path as a URL that holds in every folder; a URL as it is."""
    return url if scheme_of(url) else "file://" + os.path.abspath(os.path.expanduser(url))


def parse_pairs(items: list[str] | None, option: str, example: str) -> dict[str, str]:
    """Reads the NAME=VALUE items of an option. Raises typer.BadParameter naming every wrong one."""
    overrides = {}
    wrong = []
    for item in items or []:
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            wrong.append(repr(item))
        overrides[name.strip()] = value
    if wrong:
        raise typer.BadParameter(
            f"expected NAME=VALUE, like {example}, not {', '.join(wrong)}", param_hint=option
        )
    return overrides


def parse_worker_limits(items: list[str] | None) -> ProcessLimits:
    """Reads the items of --limit. Raises typer.BadParameter."""
    try:
        return parse_limits(items or [])
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--limit") from None


def size(text: str, option: str) -> int:
    """Bytes of an option's value like 8GiB. Raises typer.BadParameter."""
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def process_limits(memory: str, file_size: str, open_files: int, processes: int) -> ProcessLimits:
    """The limits of `serve`, 0 where nothing was said. Raises typer.BadParameter."""
    sizes = [
        size(text, option) if text else 0
        for option, text in (("--max-memory", memory), ("--max-file-size", file_size))
    ]
    limits = ProcessLimits(sizes[0], sizes[1], open_files, processes)
    for name, option in (
        ("memory_bytes", "--max-memory"),
        ("file_bytes", "--max-file-size"),
        ("open_files", "--max-open-files"),
        ("processes", "--max-processes"),
    ):
        if 0 < getattr(limits, name) < getattr(LEAST, name):
            raise typer.BadParameter(f"expected at least {getattr(LEAST, name)}", param_hint=option)
    return limits


def span(text: str, option: str) -> timedelta:
    """A time like 30d, 12h, 15m or 20s. Raises typer.BadParameter."""
    unit = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}.get(text[-1:])
    try:
        if unit is not None and (number := float(text[:-1])) >= 0:
            return timedelta(**{unit: number})
    except (ValueError, OverflowError):
        pass
    raise typer.BadParameter(f"expected a time like 30d, 12h, 15m or 20s, not {text!r}", param_hint=option)
