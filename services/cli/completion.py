"""What the shell is offered for a job's id: the newest jobs of the service that the environment or the line names."""

import os

import typer

from gradwire.services.cli.connect import open_client

OFFERED = 100
WAIT_S = 2.0


def complete_job(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids that begin so, with their states. Nothing where no service answers: a shell has no place for errors."""
    given = context.params
    address = given.get("address") or os.environ.get("GRADWIRE_ADDRESS", "")
    named = given.get("context") or os.environ.get("GRADWIRE_CONTEXT", "")
    tls_ca = given.get("tls_ca") or os.environ.get("GRADWIRE_TLS_CA", "")
    try:
        with open_client(address, named, tls_ca, 0.0, WAIT_S) as client:
            found = list(client.jobs(limit=OFFERED))
    except Exception:
        return []
    return [(job.id, job.state.name.lower()) for job in found if job.id.startswith(incomplete)]
