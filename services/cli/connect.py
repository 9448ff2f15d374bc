"""Which service a command means, and the client of it. See security/access.py for its token and TLS files."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches

from gradwire.services.client import DEFAULT_ADDRESS, Client
from gradwire.services.client.connection import CALL_TIMEOUT_S
from gradwire.services.errors import JobNotFoundError, ServiceError
from gradwire.services.security.access import find_access
from gradwire.services.security.contexts import Contexts

RETRY_S = 2.0
"""How long commands try to reach a service at first; a watch that was under way tries for much longer."""


NEAR = 3
LOOKED_AT = 500
"""Jobs among which the one is looked for that was meant."""


@contextmanager
def connect(address: str, context: str, tls_ca: str, retry_for_s: float = RETRY_S) -> Iterator[Client]:
    """A client of the service that --context names, else --address, else the current context, else the default one.

    Raises ContextError, AccessError, SecretFileError. Where there is no such job, it says which may have been meant.
    """
    with open_client(address, context, tls_ca, retry_for_s) as client:
        try:
            yield client
        except JobNotFoundError as error:
            near = near_jobs(client, error.metadata.get("job", ""))
            if not near:
                raise
            raise JobNotFoundError(
                f"{error.message}. Did you mean {' or '.join(near)}?", error.metadata
            ) from None


def near_jobs(client: Client, wrong: str) -> list[str]:
    """The ids of jobs that may have been meant by one that there is not, the likeliest first."""
    try:
        ids = [job.id for job in client.jobs(limit=LOOKED_AT, show_deleted=True)]
    except ServiceError:
        return []
    begun = [each for each in ids if wrong and each.startswith(wrong)]
    alike = get_close_matches(wrong, ids, NEAR)
    return list(dict.fromkeys([*begun, *alike]))[:NEAR]


def open_client(
    address: str,
    context: str,
    tls_ca: str,
    retry_for_s: float = RETRY_S,
    timeout_s: float = CALL_TIMEOUT_S,
) -> Client:
    """See connect."""
    contexts = Contexts.read()
    chosen = None
    if context:
        chosen = contexts.named(context)
    elif not address:
        chosen = contexts.chosen()
    at = chosen.address if chosen is not None else address or DEFAULT_ADDRESS
    access = find_access(at, chosen)
    return Client(at, retry_for_s, replace(access, tls_ca=tls_ca) if tls_ca else access, timeout_s)
