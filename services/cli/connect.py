"""Which service a command means, and the client of it. See security/access.py for its token and TLS files."""

from dataclasses import replace

from gradwire.services.client import DEFAULT_ADDRESS, Client
from gradwire.services.security.access import find_access
from gradwire.services.security.contexts import Contexts

RETRY_S = 2.0
"""How long commands try to reach a service at first; a watch that was under way tries for much longer."""


def connect(address: str, context: str, tls_ca: str, retry_for_s: float = RETRY_S) -> Client:
    """A client of the service that --context names, else --address, else the current context, else the default one.

    Raises ContextError, AccessError, SecretFileError.
    """
    contexts = Contexts.read()
    chosen = None
    if context:
        chosen = contexts.named(context)
    elif not address:
        chosen = contexts.chosen()
    at = chosen.address if chosen is not None else address or DEFAULT_ADDRESS
    access = find_access(at, chosen)
    return Client(at, retry_for_s, replace(access, tls_ca=tls_ca) if tls_ca else access)
