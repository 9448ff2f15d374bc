"""Where Ray comes from: in this process (`train`), in processes of its own (`serve`), or a running cluster.

All three connect the calling process as a Ray driver. The environment was prepared before (ray_environment.py).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import ray

from gradwire.services.scheduling import Node
from gradwire.services.security.user_environment import clean_environment
from gradwire.workers.ray_crew import Slots

__all__ = ["Cluster", "ClusterError", "EmbeddedRay", "ExistingRay", "LocalRay"]

log = logging.getLogger(__name__)
START_S = 60.0
STOP_S = 10.0
LOOPBACK = "127.0.0.1"
LOCAL_SLOTS = 8
"""Workers a machine of few cores gives at least: results do not depend on how fast they are."""


class ClusterError(Exception):
    """Ray can't be started or reached; the message says what to do."""


class Cluster(Protocol):
    """A connected Ray cluster."""

    outlives_service: bool
    slots: Slots
    namespace: str

    def nodes(self) -> Sequence[Node]:
        """Its hosts now, with the workers that each can have in all."""

    def close(self) -> None:
        """Disconnects, and stops what was started."""


def local_slots() -> tuple[int, Slots]:
    """How many CPU workers this machine gives, and the share of a CPU that each takes in Ray's books."""
    cores = os.cpu_count() or 1
    count = max(LOCAL_SLOTS, cores)
    return count, Slots(cpus_per_worker=int(cores / count * 10_000) / 10_000, host=LOOPBACK)


def local_gpus() -> int:
    """GPUs of this machine, counted by CuPy."""
    from gradwire.backends import cuda_device_count

    return cuda_device_count()[0]


def _connect(**options: Any) -> None:
    ray.init(
        include_dashboard=None if "address" in options and options["address"] != "local" else False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        **options,
    )


class EmbeddedRay:
    """A Ray cluster that lives and ends with this process."""

    outlives_service = False
    namespace = "gradwire"

    def __init__(self, home: Path) -> None:
        self._count, self.slots = local_slots()
        self._gpus = local_gpus()
        try:
            _connect(
                address="local", num_cpus=os.cpu_count(), namespace=self.namespace, _node_ip_address=LOOPBACK
            )
        except Exception as error:
            raise ClusterError(
                f"Ray could not be started here: {str(error).strip().splitlines()[0]}"
            ) from error

    def nodes(self) -> Sequence[Node]:
        return (Node("local", self._gpus, self._count),)

    def close(self) -> None:
        ray.shutdown()


class LocalRay:
    """A Ray cluster on this machine in processes of its own: it outlives a service that is killed, and is found again."""

    outlives_service = True
    namespace = "gradwire"

    def __init__(self, home: Path, passed: Sequence[str] = ()) -> None:
        """`passed`: variables of this process's environment that jobs get beside those they need."""
        self._home, self._passed = home, passed
        self._count, self.slots = local_slots()
        self._gpus = local_gpus()
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = self._found() or self._start()
        address = json.loads((home / "ray.json").read_text())["address"]
        try:
            self._reach(address)
        except BaseException:
            self.close()
            raise

    def _found(self) -> int | None:
        """The process of the cluster that an earlier service left, where it still runs."""
        try:
            left = json.loads((self._home / "ray.json").read_text())
            if _started(left["pid"]) == left["started"]:
                log.info("found the Ray cluster of the service before, at %s", left["address"])
                return int(left["pid"])
        except (OSError, ValueError, KeyError):
            pass
        return None

    def _start(self) -> int:
        port = _free_port()
        command = [
            sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats",
            "--node-ip-address", LOOPBACK, "--port", str(port), "--num-cpus", str(os.cpu_count() or 1),
            "--include-dashboard", "false", "--ray-client-server-port", str(_free_port()),
        ]  # fmt: skip
        with open(self._home / "ray.log", "ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._home,
                env=clean_environment(os.environ, self._passed, for_ray=True),
                start_new_session=True,
            )
        self._process = process
        fields = {"pid": process.pid, "started": _started(process.pid), "address": f"{LOOPBACK}:{port}"}
        (self._home / "ray.json").write_text(json.dumps(fields))
        return process.pid

    def _reach(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        deadline = time.monotonic() + START_S
        while True:
            if _started(self._pid) is None:
                raise ClusterError(
                    f"Ray ended while it was starting; its output is in {self._home / 'ray.log'}"
                )
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"Ray did not start within {START_S:.0f} s; its output is in {self._home / 'ray.log'}"
                )
            with contextlib.suppress(OSError):
                socket.create_connection((host, int(port)), timeout=1).close()
                try:
                    _connect(address=address, namespace=self.namespace)
                    return
                except (ConnectionError, RuntimeError, ValueError) as error:
                    log.debug("Ray at %s is not there yet: %s", address, error)
                    ray.shutdown()
            time.sleep(0.05)

    def nodes(self) -> Sequence[Node]:
        return (Node("local", self._gpus, self._count),)

    def close(self) -> None:
        ray.shutdown()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        while _started(self._pid) is not None and time.monotonic() < deadline:
            if self._process is not None:
                self._process.poll()
            time.sleep(0.02)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)  # what is left of its session
        (self._home / "ray.json").unlink(missing_ok=True)


class ExistingRay:
    """A running cluster, such as deploy/ray/head.sh starts. It is left as it is."""

    outlives_service = True

    def __init__(self, home: Path, address: str) -> None:
        # Services that share a cluster must not meet each other's jobs.
        self.namespace = f"gradwire-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except (OSError, ValueError) as error:
            raise ClusterError(
                f"no Ray cluster answers at {address} ({error}): start one with deploy/ray/head.sh, or leave --ray out"
            ) from None
        try:
            _connect(address=address, namespace=self.namespace)
        except Exception as error:
            raise ClusterError(
                f"the Ray cluster at {address} refused this service ({str(error).strip().splitlines()[0]}): "
                "set RAY_AUTH_MODE and RAY_AUTH_TOKEN_PATH as deploy/ray/head.sh printed them, and use the same Ray version"
            ) from error
        # deploy/ray marks the nodes that it starts.
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        self.slots = Slots(cpus_per_worker=1.0, prepared=all("gradwire_node" in have for have in nodes))

    def nodes(self) -> Sequence[Node]:
        alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        return [
            Node(node["NodeID"], int(node["Resources"].get("GPU", 0)), int(node["Resources"].get("CPU", 0)))
            for node in alive
        ]

    def close(self) -> None:
        ray.shutdown()


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _started(pid: int) -> str | None:
    """When the process began (with its pid that names it for good), or None where it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
