"""A member as a Ray actor: the only file that makes members remote. Hired and followed by `ray_crew.py`.

The member's life is a thread of its own; Ray calls only start it, read its reports and tell it things. Steps never wait
for Ray.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import ray

from gradwire.backends.allocator import keep_freed_memory
from gradwire.workers.formation import Formation
from gradwire.workers.member import Member, MemberEnded, MemberSpec, Progress
from gradwire.workers.output import OutputCapture
from gradwire.workers.process_limits import WATCH_S, Watch, apply, use_temporary, watch_beside
from gradwire.workers.reports import Failed, LogLine, Report, StepFinished
from gradwire.workers.shared_memory import HostListener
from gradwire.workers.step import OwnerFactory

__all__ = ["BATCH", "MemberActor", "start_actor"]

BATCH = 1000
"""Reports in one answer."""
GATHER_S = 0.05
"""How long an answer waits for more reports once there is one."""
WAITING_LIMIT = 100_000
"""Reports kept for a controller that does not ask; then the member waits, and loses nothing."""
CALLS = 6
"""Ray calls at one time: one that waits for reports, and room for the others."""


class MemberActor:
    """One member in a process. A plain class; `start_actor` puts it on Ray."""

    def __init__(self, spec: MemberSpec, member: int, make_owner: OwnerFactory, host: str) -> None:
        """host: the address to listen on; '' means the node's own."""
        self._reports: deque[Report] = deque()
        self._changed = threading.Condition()
        self._ended: MemberEnded | None = None
        self._begun = False
        if not spec.device.startswith("cuda"):
            # Ray leaves all GPUs visible to an actor that asked for none.
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        keep_freed_memory()
        address = host or _node_address()
        self._member = Member(spec, member, self._tell, make_owner, lambda: HostListener(address))
        os.chdir(spec.directory or ".")
        use_temporary(spec.temporary)
        capture = OutputCapture(lambda stream, text, end: self._tell(LogLine(member, stream, text, end)))
        if spec.limits.processes and os.getpgrp() != os.getpid():
            os.setpgid(0, 0)
        held = apply(spec.limits)
        watch = Watch(os.getpid(), spec.limits, held)

        def life() -> None:
            capture.start()
            try:
                ended = self._member.run()
            finally:
                capture.stop()
            with self._changed:
                self._ended = ended
                self._changed.notify_all()

        def seen() -> Iterator[str]:
            while not (told := watch.look()):
                time.sleep(WATCH_S)
            yield told

        def look() -> None:
            failed = False
            for told in watch_beside(spec.limits, held) if spec.limits.processes else seen():
                if not failed:
                    self._tell(Failed("PROCESS_LIMIT", told, ""))
                    self._member.stop("it used more than it may")
                failed = True

        threading.Thread(target=life, name=f"member-{member}", daemon=True).start()
        if watch.needed:
            threading.Thread(target=look, name="limits", daemon=True).start()

    def host(self) -> str:
        """The node it lives on."""
        return str(ray.get_runtime_context().get_node_id())

    def prepare(self, generation: int) -> Any:
        """See Member."""
        return self._member.prepare(generation)

    def form(self, formation: Formation) -> None:
        """See Member."""
        self._member.form(formation)

    def order(self, number: int, what: Mapping[str, Any]) -> None:
        """See Member."""
        self._member.order(number, what)

    def progress(self) -> Progress:
        """See Member."""
        return self._member.progress()

    def reports(self, taken: int, wait_s: float) -> tuple[list[Report], MemberEnded | None]:
        """Forgets the first `taken` reports (those of the last answer) and returns the next, or how the member ended."""
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
        """See Member."""
        self._member.stop(reason)

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


WORKER_ENVIRONMENT = {"PYTHONHASHSEED": "0"}
"""What must be set before a worker's Python starts. Threads are pinned by the worker at run time."""


def start_actor(
    spec: MemberSpec,
    member: int,
    make_owner: OwnerFactory,
    group: Any,
    bundle: int,
    cpus: float,
    host: str,
    prepared: bool = True,
) -> Any:
    """The handle of a new actor for `member` in a bundle of a placement group; it may still be starting.

    `prepared`: the nodes were started with WORKER_ENVIRONMENT, so that the actor can be one of Ray's idle processes.
    Elsewhere Ray makes an environment for it, which takes longer (measured: 0.4 to 15 s).
    """
    gpus = 1 if spec.device.startswith("cuda") else 0
    remote: Any = ray.remote(MemberActor)
    return remote.options(
        num_cpus=cpus,
        num_gpus=gpus,
        max_restarts=0,
        max_concurrency=CALLS,
        runtime_env=None if prepared else {"env_vars": WORKER_ENVIRONMENT},
        scheduling_strategy=ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(group, bundle),
    ).remote(spec, member, make_owner, host)
