"""Where a service may listen, and behind what: loopback as it is, any other address behind tokens and TLS."""

import ssl
from dataclasses import dataclass, replace
from pathlib import Path

import grpc

from gradwire.services.address import Address, AddressError
from gradwire.services.security.secret_files import read_private


@dataclass(frozen=True, slots=True)
class ServerTls:
    """Files in PEM: the service's certificate chain and key; `client_ca` signs the certificates that clients must show."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """What gRPC listens with. Raises AddressError where the files do not fit, SecretFileError, OSError."""
        key = read_private(self.key)
        try:
            # gRPC would say so at the first handshake, in its own log.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key)
            if self.client_ca is not None:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(self.client_ca)
        except ssl.SSLError as error:
            raise AddressError(
                f"the TLS files can't be used ({error.reason or error}): expected a certificate chain, the key of "
                "its first certificate and certificates of --tls-client-ca, in PEM"
            ) from None
        roots = None if self.client_ca is None else self.client_ca.read_bytes()
        return grpc.ssl_server_credentials(
            [(key, self.certificate.read_bytes())],
            root_certificates=roots,
            require_client_auth=roots is not None,
        )


@dataclass(frozen=True, slots=True)
class Protection:
    """What stands before a service. `insecure` lets it listen without where others can reach it."""

    require_token: bool = False
    tls: ServerTls | None = None
    insecure: bool = False

    def at(self, address: Address) -> "Protection":
        """The protection as it is at this address. Raises AddressError where it is too little."""
        if address.loopback or self.insecure:
            return self
        if self.tls is None:
            raise AddressError(
                f"{address} can be reached from other machines, and whoever reaches it runs code here as this user: "
                "give --tls-cert and --tls-key (then every call needs a token as well), listen on 127.0.0.1 "
                "(with an ssh tunnel), or say --insecure where the network itself is safe"
            )
        return replace(self, require_token=True)

    def credentials(self) -> grpc.ServerCredentials | None:
        """See ServerTls.credentials; None without TLS."""
        return None if self.tls is None else self.tls.credentials()

    def in_words(self, address: Address) -> str:
        """What is protected, in a line."""
        tls = "no TLS"
        if self.tls is not None:
            tls = "TLS" if self.tls.client_ca is None else "TLS with certificates of clients"
        token = "every call needs a token" if self.require_token else "no token is asked for"
        reach = "this machine alone" if address.loopback else "other machines"
        return f"{tls}, {token}; reached from {reach}"
