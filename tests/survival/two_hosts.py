"""Two hosts on one machine: network namespaces whose cables end in a bridge of a third, and can be pulled."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator

from gradwire.workers.sockets import SocketListener

__all__ = ["TwoHosts", "listen", "two_hosts", "why_not"]

NETWORK = "10.213.77"


def listen() -> SocketListener:
    """A listener on the address of the host that this process lives on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((f"{NETWORK}.200", 9))  # sends nothing; says which address would be used
        return SocketListener(probe.getsockname()[0])


class TwoHosts:
    """The hosts "a" and "b"; `name` tells those of one test from others."""

    def __init__(self, name: str) -> None:
        self._name = name

    def of(self, host: str) -> str:
        """The namespace of a host."""
        return f"{self._name}-{host}"

    def command(self, host: str) -> tuple[str, ...]:
        """What a command begins with that runs on a host."""
        return ("ip", "netns", "exec", self.of(host))

    @staticmethod
    def address(host: str) -> str:
        """The address of a host."""
        return f"{NETWORK}.{1 if host == 'a' else 2}"

    def build(self) -> None:
        switch = self.of("switch")
        run("netns", "add", switch)
        run("-n", switch, "link", "add", "bridge", "type", "bridge")
        run("-n", switch, "link", "set", "bridge", "up")
        for host in "ab":
            space = self.of(host)
            run("netns", "add", space)
            run(
                "-n",
                space,
                "link",
                "add",
                "cable",
                "type",
                "veth",
                "peer",
                "name",
                f"to-{host}",
                "netns",
                switch,
            )
            run("-n", switch, "link", "set", f"to-{host}", "master", "bridge", "up")
            run("-n", space, "address", "add", f"{self.address(host)}/24", "dev", "cable")
            run("-n", space, "link", "set", "cable", "up")
            run("-n", space, "link", "set", "lo", "up")

    def cut(self, host: str = "b") -> None:
        """Pulls a host's cable at the other end."""
        run("-n", self.of("switch"), "link", "set", f"to-{host}", "down")

    def mend(self, host: str = "b") -> None:
        """Puts it back."""
        run("-n", self.of("switch"), "link", "set", f"to-{host}", "up")

    def remove(self) -> None:
        for part in ("a", "b", "switch"):
            with contextlib.suppress(subprocess.CalledProcessError):
                run("netns", "delete", self.of(part))


def run(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextlib.contextmanager
def two_hosts() -> Iterator[TwoHosts]:
    hosts = TwoHosts(f"gw{os.getpid() % 100_000}")
    try:
        hosts.build()
        yield hosts
    finally:
        hosts.remove()


def why_not() -> str:
    """Why there can be no such hosts on this machine; '' where they can be."""
    if shutil.which("ip") is None:
        return "there is no `ip` command (iproute2)"
    try:
        with two_hosts():
            return ""
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not permitted: {error.stderr.decode().strip()}"
