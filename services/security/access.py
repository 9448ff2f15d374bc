"""What a client needs to reach a service: its token and the TLS files. Read from the environment or a context."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc

from gradwire.services.address import Address, AddressError
from gradwire.services.security.contexts import Context, Contexts
from gradwire.services.security.secret_files import read_private, read_secret
from gradwire.services.security.tokens import looks_like_a_token

SYSTEM = "system"
"""In the place of a file of certificates: those that gRPC brings."""


class AccessError(Exception):
    """A service can't be called so; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Access:
    """`tls_ca`: a PEM file of certificates to trust, 'system', or '' for no TLS. The token is never shown."""

    token: str = field(default="", repr=False)
    tls_ca: str = ""
    tls_certificate: str = ""
    tls_key: str = ""

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with each call."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def channel(self, address: str, options: Sequence[tuple[str, Any]]) -> grpc.Channel:
        """A channel to the service. Raises AccessError, SecretFileError, OSError."""
        credentials = self._credentials(address)
        if credentials is None:
            return grpc.insecure_channel(address, options=options)
        return grpc.secure_channel(address, credentials, options=options)

    def channel_of_loop(self, address: str, options: Sequence[tuple[str, Any]]) -> grpc.aio.Channel:
        """The same for the event loop that runs."""
        credentials = self._credentials(address)
        if credentials is None:
            return grpc.aio.insecure_channel(address, options=options)
        return grpc.aio.secure_channel(address, credentials, options=options)

    def _credentials(self, address: str) -> grpc.ChannelCredentials | None:
        if not self.tls_ca:
            if self.tls_certificate:
                raise AccessError("a client's certificate needs TLS: name --tls-ca as well")
            if self.token and not _loopback(address):
                raise AccessError(
                    f"a token is not sent to {address} without TLS, where others could read it: name --tls-ca "
                    "(or GRADWIRE_TLS_CA; 'system' for public certificates), or use an ssh tunnel"
                )
            return None
        roots = None if self.tls_ca == SYSTEM else Path(self.tls_ca).expanduser().read_bytes()
        key = certificate = None
        if self.tls_certificate:
            certificate = Path(self.tls_certificate).expanduser().read_bytes()
            key = read_private(Path(self.tls_key).expanduser())
        return grpc.ssl_channel_credentials(roots, key, certificate)


def find_access(
    address: str, context: Context | None = None, environment: Mapping[str, str] | None = None
) -> Access:
    """The access to an address: of the environment first, then of `context`, then of the context of that address.

    Raises AccessError, SecretFileError, OSError.
    """
    if environment is None:
        environment = os.environ
    found = context or Contexts.read(environment).of_address(address) or Context(address)
    access = Access("", found.tls_ca, found.tls_certificate, found.tls_key)
    if ca := environment.get("GRADWIRE_TLS_CA"):
        access = replace(access, tls_ca=ca)
    if certificate := environment.get("GRADWIRE_TLS_CERT"):
        access = replace(access, tls_certificate=certificate, tls_key=environment.get("GRADWIRE_TLS_KEY", ""))
    token = environment.get("GRADWIRE_TOKEN", "").strip()
    if not token and (file := environment.get("GRADWIRE_TOKEN_FILE") or found.token_file):
        token = read_secret(Path(file).expanduser())
    return replace(access, token=checked_token(token)) if token else access


def checked_token(text: str) -> str:
    """The token. Raises AccessError, which does not show it."""
    if not looks_like_a_token(text):
        raise AccessError("what was given as a token is none: expected gw_ and 43 letters, digits, '-', '_'")
    return text


def _loopback(address: str) -> bool:
    try:
        return Address.parse(address).loopback
    except AddressError:
        return False
