"""`gradwire serve`: the service in the foreground, until a signal."""

import logging
import signal
import sys
import threading
from types import FrameType
from typing import Annotated

import typer

from gradwire.services.cli import options as o
from gradwire.services.cli.endings import WRONG, endings
from gradwire.services.cli.output import print_json, say, say_error
from gradwire.services.runtimes import launcher
from gradwire.services.service import Address, Service


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
    as_json: o.AsJson = False,
) -> None:
    """Run the service; SIGTERM or Ctrl-C stops it, and jobs that run go on at the next start."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    with endings():
        wanted = Address.parse(address)
        if not wanted.loopback and not insecure:
            say_error(
                f"{wanted} can be reached from other machines, and whoever reaches it runs code here as this user: "
                "listen on 127.0.0.1 (with an ssh tunnel), or say --insecure where the network itself is safe"
            )
            raise typer.Exit(WRONG)
        if not wanted.loopback:
            say(
                f"WARNING: --insecure: anyone who reaches {wanted} can run code here as this user", "bold red"
            )
        chosen = "ray" if ray is not None else runtime.value
        service = Service(
            home, launcher(chosen, embedded=False, ray_address=ray), wanted, require_token=require_token
        )
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
            print_json({"address": str(at), "home": str(home.expanduser().absolute())})
        else:
            sys.stdout.write(f"gradwire serves at {at}\n")
            sys.stdout.flush()
        stop.wait()
        say("stopping: jobs that run go on at the next start")
        service.stop()
