"""`gradwire serve`: the service in the foreground, until a signal."""

import logging
import re
import signal
import socket
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from gradwire.services.cli import options as o
from gradwire.services.cli.endings import endings
from gradwire.services.cli.output import print_json, say
from gradwire.services.connections import shown
from gradwire.services.data_rules import DataRules
from gradwire.services.policy_file import PolicyError, read_policy
from gradwire.services.runtimes import launcher
from gradwire.services.security.exposure import Protection, ServerTls
from gradwire.services.security.limits import parse_limits
from gradwire.services.security.run_as import RunAs
from gradwire.services.security.worker_limits import in_words
from gradwire.services.service import Address, Service

SIGNAL_S = 0.5
"""A signal that comes just as the main thread lies down to wait does not wake it: it looks again after so long."""


def serve(
    address: Annotated[
        str,
        typer.Option(
            "--address",
            metavar="HOST:PORT",
            envvar="GRADWIRE_ADDRESS",
            help="Where to listen; port 0 is a free one.",
        ),
    ] = o.DEFAULT_ADDRESS,
    home: o.HomeFolder = o.DEFAULT_HOME,
    store: o.StoreUrl = "",
    front_end: Annotated[
        str,
        typer.Option(
            "--front-end",
            metavar="NAME",
            envvar="GRADWIRE_FRONT_END",
            help="This one's name among those that share a store on PostgreSQL.  [default: the host's name]",
            show_default=False,
        ),
    ] = "",
    ray: Annotated[
        str | None, typer.Option("--ray", metavar="ADDRESS", help="Use this running Ray cluster.")
    ] = None,
    runtime: o.Runtime = o.DEFAULT_RUNTIME,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Listen on an address others can reach, without any protection."),
    ] = False,
    require_token: Annotated[
        bool,
        typer.Option("--require-token", help="Answer nobody without a token, on loopback either."),
    ] = False,
    tls_cert: Annotated[
        Path | None,
        typer.Option("--tls-cert", metavar="FILE", help="Speak TLS, with this certificate chain (PEM)."),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option("--tls-key", metavar="FILE", help="The certificate's key, readable by you alone."),
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            "--tls-client-ca", metavar="FILE", help="Answer clients alone that show a certificate of these."
        ),
    ] = None,
    rate_limit: Annotated[
        list[str] | None,
        typer.Option(
            "--rate-limit",
            metavar="KIND=PER_SECOND[/BURST]",
            help="How fast each owner may call: submit, change, read, stream; 'none' lifts one; may be repeated.",
        ),
    ] = None,
    pass_env: Annotated[
        list[str] | None,
        typer.Option(
            "--pass-env",
            metavar="NAME",
            help="A variable of this environment that jobs get, beside what they need; may be repeated.",
        ),
    ] = None,
    data_root: Annotated[
        list[Path] | None,
        typer.Option(
            "--data-root",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="A folder that jobs may name data in, by file:/// URLs; may be repeated.  [default: none]",
            show_default=False,
        ),
    ] = None,
    max_blob: Annotated[
        str, typer.Option("--max-blob", metavar="SIZE", help="What one upload may have.")
    ] = "64GiB",
    max_memory: Annotated[
        str,
        typer.Option("--max-memory", metavar="SIZE", help="Memory of each worker's process, like 8GiB."),
    ] = "",
    max_file_size: Annotated[
        str, typer.Option("--max-file-size", metavar="SIZE", help="Size of a file that a worker writes.")
    ] = "",
    max_open_files: Annotated[
        int, typer.Option("--max-open-files", metavar="N", min=0, help="Open files of a worker's process.")
    ] = 0,
    max_processes: Annotated[
        int,
        typer.Option(
            "--max-processes", metavar="N", min=0, help="Processes and threads of a worker, in all."
        ),
    ] = 0,
    metrics_address: Annotated[
        str,
        typer.Option(
            "--metrics-address",
            metavar="HOST:PORT",
            help="Answer GET /metrics (OpenMetrics) there, behind the same tokens and TLS.",
        ),
    ] = "",
    run_as: Annotated[
        str,
        typer.Option(
            "--run-as",
            metavar="USER|FIRST-LAST",
            help="Run jobs as another Unix user, or each as one of these ids; for root, with --runtime process.",
        ),
    ] = "",
    retention: Annotated[
        str,
        typer.Option(
            "--retention",
            metavar="TIME",
            help="How long deleted jobs can be undeleted, like 30d, 12h, 15m, 0s.",
        ),
    ] = "30d",
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="The scheduler's settings (TOML; docs/scheduling.md)."),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Run the service; SIGTERM or Ctrl-C stops it, and jobs that run go on at the next start."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    with endings():
        wanted = Address.parse(address)
        try:
            limits = parse_limits(rate_limit or [])
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--rate-limit") from None
        most = o.process_limits(max_memory, max_file_size, max_open_files, max_processes)
        tls = None
        if tls_cert is not None and tls_key is not None:
            tls = ServerTls(tls_cert, tls_key, tls_client_ca)
        elif tls_cert is not None or tls_key is not None or tls_client_ca is not None:
            raise typer.BadParameter("expected --tls-cert and --tls-key, and --tls-client-ca with both alone")
        url = o.read_store(store)
        if url is None and front_end:
            raise typer.BadParameter(
                "several front ends share a store on PostgreSQL: name it with --store",
                param_hint="--front-end",
            )
        name = "" if url is None else _front_end_name(front_end)
        protection = Protection(require_token, tls, insecure)
        chosen = "ray" if ray is not None else runtime.value
        try:
            settings = None if policy is None else read_policy(policy)
        except PolicyError as error:
            raise typer.BadParameter(str(error), param_hint="--policy") from None
        service = Service(
            home,
            launcher(
                chosen,
                embedded=False,
                ray_address=ray,
                passed=pass_env or (),
                most=most,
                run_as=RunAs.parse(run_as) if run_as else None,
            ),
            wanted,
            protection=protection,
            limits=limits,
            retention=o.span(retention, "--retention"),
            data=DataRules(data_root or ()),
            most=most,
            blob_bytes=o.size(max_blob, "--max-blob"),
            store=url,
            front_end=name,
            metrics=Address.parse(metrics_address) if metrics_address else None,
            policy=settings,
        )
        protection = service.protection
        if not wanted.loopback and not (protection.require_token and tls):
            harm = (
                "run code here as this user"
                if not protection.require_token
                else "read what is sent, tokens too"
            )
            say(f"WARNING: --insecure: anyone who reaches {wanted} can {harm}", "bold red")
        stop = threading.Event()

        def stop_on(number: int, frame: FrameType | None) -> None:
            if stop.is_set():
                raise KeyboardInterrupt
            stop.set()

        def listen_to_signals() -> None:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, stop_on)

        listen_to_signals()
        at = service.start()
        # A launcher may have put its own signal handlers in place.
        listen_to_signals()
        if as_json:
            words = protection.in_words(at)
            fields = {"address": str(at), "home": str(home.expanduser().absolute()), "protection": words}
            if url is not None:
                fields |= {"store": shown(url), "front_end": name}
            token = {"token_required": protection.require_token, "tls": tls is not None}
            folders = {"data_roots": [str(root.absolute()) for root in data_root or ()]}
            metrics = service.metrics_address and str(service.metrics_address)
            more = {"worker_limits": asdict(most), "metrics": metrics, "run_as": run_as or None}
            print_json({**fields, **token, **more, **folders})
        else:
            sys.stdout.write(f"gradwire serves at {at}\n")
            sys.stdout.flush()
            say(f"protection: {protection.in_words(at)}")
            say(f"limits of each worker: {in_words(most)}")
            if run_as:
                say(f"jobs run as {run_as}")
            if service.metrics_address is not None:
                say(f"metrics: {service.metrics_address}/metrics")
            if data_root:
                say(
                    f"folders that jobs may name data in: {', '.join(str(root.absolute()) for root in data_root)}"
                )
            if url is not None:
                say(f"store: {shown(url)}, as front end {name}")
        while not stop.wait(SIGNAL_S):
            pass
        say("stopping: jobs that run go on at the next start")
        service.stop()


def _front_end_name(wanted: str) -> str:
    name = wanted or re.sub(r"[^a-z0-9.-]+", "-", socket.gethostname().lower()).strip(".-")[:63] or "service"
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,62}", name):
        raise typer.BadParameter(
            "expected lower-case letters, digits, dots and hyphens, at most 63", param_hint="--front-end"
        )
    return name
