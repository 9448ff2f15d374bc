"""A rank as a Ray actor: the only file that makes workers remote. Started and followed by `group.py`.

The rank's loop runs in a thread of its own; Ray calls only start it, read its reports and stop it. Steps never wait
for Ray.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import Any

import ray

from gradwire.workers.output import OutputCapture
from gradwire.workers.reports import LogLine, Report, StepFinished
from gradwire.workers.sockets import Address, SocketListener
from gradwire.workers.step import OwnerFactory
from gradwire.workers.transport import Transport
from gradwire.workers.worker import RankEnded, Worker, WorkerSpec

__all__ = ["BATCH", "RankActor", "start_actor"]

BATCH = 1000
"""Reports in one answer."""
GATHER_S = 0.05
"""How long an answer waits for more reports once there is one."""
WAITING_LIMIT = 100_000
"""Reports kept for a controller that does not ask; then the rank waits, and loses nothing."""
CALLS = 4
"""Ray calls at one time: one that waits for reports, and room for stop."""


class RankActor:
    """One rank in a process. A plain class; `start_actor` puts it on Ray."""

    def __init__(
        self, spec: WorkerSpec, rank: int, world_size: int, make_owner: OwnerFactory, host: str
    ) -> None:
        self._reports: deque[Report] = deque()
        self._changed = threading.Condition()
        self._ended: RankEnded | None = None
        self._begun = False
        self._rank = rank
        self._listener = SocketListener(host or _node_address())
        self._worker = Worker(spec, rank, world_size, self._tell, make_owner)
        self._spec = spec
        if not spec.device.startswith("cuda"):
            # Ray leaves all GPUs visible to an actor that asked for none.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""

    def address(self) -> Address:
        """Where this rank listens for the others."""
        return self._listener.address

    def begin(self, addresses: list[Address], generation: int, secret: bytes, resume: str | None) -> None:
        """Starts the rank's loop and returns."""
        os.chdir(self._spec.directory or ".")

        def connect() -> Transport:
            return self._listener.form(
                self._rank, addresses, generation=generation, secret=secret, deadline_s=self._spec.deadline_s
            )

        def run() -> None:
            capture = OutputCapture(lambda stream, text: self._tell(LogLine(self._rank, stream, text)))
            capture.start()
            try:
                ended = self._worker.run(connect, resume)
            finally:
                capture.stop()
            with self._changed:
                self._ended = ended
                self._changed.notify_all()

        threading.Thread(target=run, name=f"rank-{self._rank}", daemon=True).start()

    def reports(self, taken: int, wait_s: float) -> tuple[list[Report], RankEnded | None]:
        """Forgets the first `taken` reports (those of the last answer) and returns the next, or how the rank ended."""
        deadline = time.monotonic() + wait_s
        with self._changed:
            for _ in range(taken):
                self._reports.popleft()
            self._changed.notify_all()
            while not self._reports and self._ended is None and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            # A call a step would cost as much as a small step: what comes soon after goes along, except at the beginning.
            gather_until = min(deadline, time.monotonic() + GATHER_S) if self._begun else 0.0
            while (
                self._ended is None
                and len(self._reports) < BATCH
                and (left := gather_until - time.monotonic()) > 0
            ):
                self._changed.wait(left)
            self._begun = self._begun or any(isinstance(r, StepFinished) for r in self._reports)
            found = [self._reports[i] for i in range(min(BATCH, len(self._reports)))]
            return found, self._ended if len(found) == len(self._reports) else None

    def stop(self, reason: str) -> None:
        """Ends the loop at the next step boundary, or at once where it waits for others."""
        self._worker.stop(reason)

    def _tell(self, report: Report) -> None:
        with self._changed:
            while len(self._reports) >= WAITING_LIMIT:
                self._changed.wait()
            self._reports.append(report)
            self._changed.notify_all()


def _node_address() -> str:
    """The address under which this node joined the cluster: the one that the others reach it at."""
    own = ray.get_runtime_context().get_node_id()
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return next(str(node["NodeManagerAddress"]) for node in nodes if node["NodeID"] == own)


def start_actor(
    spec: WorkerSpec, rank: int, world_size: int, make_owner: OwnerFactory, group: Any, cpus: float, host: str
) -> Any:
    """The handle of a new actor for `rank` in bundle `rank` of the placement group; it may still be starting.

    It has no environment of its own: one made by Ray costs seconds. Threads are pinned by the worker at run time, and
    PYTHONHASHSEED is in the environment that the cluster was started with.
    """
    gpus = 1 if spec.device.startswith("cuda") else 0
    remote: Any = ray.remote(RankActor)
    return remote.options(
        num_cpus=cpus,
        num_gpus=gpus,
        max_restarts=0,
        max_concurrency=CALLS,
        scheduling_strategy=ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(group, rank),
    ).remote(spec, rank, world_size, make_owner, host)
