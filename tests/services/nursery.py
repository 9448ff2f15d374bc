"""Services in processes of their own that start in moments: one process has everything loaded, and forks. For tests with many kills."""

import faulthandler
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from serving_harness import end_jobs, scripted

from gradwire.services import kill_points
from gradwire.services.service import Address, Service

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(["nursery"])

SIGNAL_S = 0.2
"""A signal that comes just as the main thread lies down to wait does not wake it: it looks again after so long."""

Armed = Sequence[tuple[str, int]]
"""Places of kill_points.py, and for the how many-th time there."""


def _load() -> None:
    """Starts the process that forks, where it does not run yet."""
    before = os.environ.get("PYTHONPATH")
    # Up to Python 3.12 it does not get our import path, and leaves out silently what it does not find.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *filter(None, [before])])
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def serve(home: str, port: int, armed: Armed, options: Mapping[str, Any], say: Connection) -> None:
    """What such a process does: tells its address and serves until SIGTERM."""
    stop = threading.Event()
    # Where one does not end, the test asks it what it does.
    faulthandler.register(signal.SIGUSR1)
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    service = Service(Path(home), scripted, Address("127.0.0.1", port), **options)
    address = service.start()
    for point, count in armed:
        kill_points.arm(point, count)
    say.send(str(address))
    while not stop.wait(SIGNAL_S):
        pass
    service.stop()


class Server:
    """One such process. It is ended with the `with` block, and its jobs' processes as well where it is the last on its home."""

    def __init__(self, home: Path, port: int = 0, armed: Armed = (), **options: Any) -> None:
        """`options`: arguments of Service."""
        _load()
        told, say = _forking.Pipe(duplex=False)
        self.process: BaseProcess = _forking.Process(
            target=serve, args=(str(home), port, armed, options, say)
        )
        self.process.start()
        say.close()
        assert told.poll(60), "the service did not start within 60 s"
        self.address: str = told.recv()
        told.close()
        self.port = int(self.address.rpartition(":")[2])
        assert self.process.pid is not None
        self.pid = self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.is_alive()

    def end(self, how: signal.Signals, within_s: float = 30.0) -> int:
        """Sends a signal and waits for the end; returns the exit status, below 0 for a signal."""
        end: Callable[[], None] = self.process.kill if how == signal.SIGKILL else self.process.terminate
        end()
        return self.wait(within_s)

    def wait(self, within_s: float = 30.0) -> int:
        """Waits for its end."""
        self.process.join(within_s)
        status = self.process.exitcode
        if status is None:
            os.kill(self.pid, signal.SIGUSR1)
            self.process.join(1)
        assert status is not None, f"the service did not end within {within_s:g} s"
        return status


class Nursery:
    """Starts services on one home, each after the one before has ended."""

    def __init__(self, home: Path, **options: Any) -> None:
        """`options`: arguments of Service."""
        self.home, self.options = home, options
        self.server: Server | None = None

    def start(self, armed: Armed = ()) -> Server:
        """The next service, on the port of the first."""
        assert self.server is None or not self.server.alive
        self.server = Server(self.home, 0 if self.server is None else self.server.port, armed, **self.options)
        return self.server

    def close(self) -> None:
        """Ends what is left of the service and of its jobs."""
        if self.server is not None and self.server.alive:
            self.server.end(signal.SIGKILL)
        end_jobs(self.home)
