"""GET /metrics over HTTP, behind the same tokens and TLS as the RPCs. Started by service.py, in threads of its own."""

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6

from prometheus_client.exposition import choose_encoder

from gradwire.services.address import Address, AddressError
from gradwire.services.errors import ForbiddenError, RateLimitedError, ServiceError, UnauthenticatedError
from gradwire.services.monitoring.figures import Figures
from gradwire.services.security.exposure import Protection

READ_S = 10.0
ADMIT_S = 10.0
Admit = Callable[[str | None], Awaitable[object]]
_STATUS: dict[type[ServiceError], int] = {
    UnauthenticatedError: 401,
    ForbiddenError: 403,
    RateLimitedError: 429,
}


class Endpoint:
    """Answers until it is closed. `admit` takes the value of the header `authorization`, on `loop`, and raises who may not pass."""

    def __init__(
        self,
        address: Address,
        protection: Protection,
        figures: Figures,
        admit: Admit,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Raises AddressError where it can't listen there, or the address has not the protection that it needs."""
        protection = protection.at(address)
        open_to_all = not protection.require_token

        class Request(BaseHTTPRequestHandler):
            timeout = READ_S
            protocol_version = "HTTP/1.1"
            server_version, sys_version = "gradwire", ""

            def do_GET(self) -> None:
                # A page in a browser reaches loopback under a name of its own.
                if open_to_all and not _local(self.headers.get("host", "")):
                    self._answer(403, "text/plain", b"ask by the service's own address\n")
                elif self.path.partition("?")[0] != "/metrics":
                    self._answer(404, "text/plain", b"the metrics are at /metrics\n")
                elif (refusal := self._refusal()) is not None:
                    self._answer(refusal[0], "text/plain", f"{refusal[1]}\n".encode())
                else:
                    encode, kind = choose_encoder(self.headers.get("accept", ""))
                    self._answer(200, kind, encode(figures.registry))

            def _refusal(self) -> tuple[int, str] | None:
                header = self.headers.get("authorization")
                try:
                    asyncio.run_coroutine_threadsafe(_admitted(admit, header), loop).result(ADMIT_S)
                except ServiceError as error:
                    figures.scrapes_refused.inc()
                    return _STATUS.get(type(error), 503), str(error)
                except FutureTimeoutError:
                    return 503, "the service is too busy to look the token up"
                return None

            def _answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                if status == 401:
                    self.send_header("www-authenticate", "Bearer")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: refusals are counted."""

        host = address.host.strip("[]")

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            if ":" in host:
                address_family = AF_INET6

            def handle_error(self, request: object, client_address: object) -> None:
                """Nothing: who asks and goes away harms nobody."""

        try:
            self._server = Server((host, address.port), Request)
        except OSError as error:
            raise AddressError(
                f"can't listen for metrics at {address} ({error.strerror}): name another with --metrics-address"
            ) from None
        if protection.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(protection.tls.certificate, protection.tls.key)
            if protection.tls.client_ca is not None:
                context.load_verify_locations(protection.tls.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
            # Each connection shakes hands in its own thread: one that does not must not hold up the others.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.address = Address(address.host, int(self._server.server_address[1]))
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answers no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


async def _admitted(admit: Admit, header: str | None) -> None:
    await admit(header)


def _local(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name in ("localhost", "127.0.0.1", "[::1]") or name.startswith("127.")
