"""The command line: `gradwire train, serve, submit, jobs, show, watch, logs, cancel, pause, resume, resize, …`."""

import os
import sys


def main() -> None:
    """Runs the command that sys.argv names and exits with its code (endings.py has the list)."""
    # Before gRPC is loaded: its notes on forks and reconnects are no news for a user.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from gradwire.services.cli.app import app

    try:
        app(prog_name="gradwire")
    except BrokenPipeError:
        # Whoever read our output has gone (`gradwire jobs | head`); Python would complain about it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
