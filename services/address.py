"""Addresses of services: how they are written, and which of them other machines can reach."""

import ipaddress
from dataclasses import dataclass


class AddressError(Exception):
    """The address can't be listened on or called; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host (name or number) and a port; port 0 means a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Reads HOST:PORT or [IPV6]:PORT. Raises AddressError."""
        host, colon, port = text.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        if not colon or not bare or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise AddressError(f"expected HOST:PORT, like 127.0.0.1:7411 or [::1]:7411, not {text!r}")
        if ":" in bare and not host.startswith("["):
            raise AddressError(f"expected [{bare}]:{port} for an IPv6 address, not {text!r}")
        return cls(bare, int(port))

    @property
    def loopback(self) -> bool:
        """True where only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
