"""Named places where a rank can die or stall between two states, and faults that tests put there.

Without faults, reaching a place costs one comparison. Members reach them in the order of `POINTS`.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["POINTS", "WAITING_AFTER", "Fault", "FaultPoints", "InjectedDeath"]

POINTS = (
    "loaded",
    "connecting",
    "connected",
    "told-status",
    "finished-forward",
    "handed-over",
    "computing",
    "computed-a-leaf",
    "computed",
    "reduced",
    "passed-on",
    "prepared",
    "passed",
    "applied",
    "gathered",
    "committed",
    "evaluated",
    "capturing",
    "captured",
    "settled",
    "writing",
    "written",
    "leaving",
)
"""Every place, in the order of a member's life: formation, step, what follows a step, the end."""


WAITING_AFTER = frozenset(
    {"connecting", "connected", "told-status", "computed", "reduced", "passed-on", "prepared", "applied"}
)
"""Places after which a rank waits for others: who is there does not hang, whoever misses it."""


class InjectedDeath(BaseException):
    """What ends a member that is a thread, in place of kill -9."""


@dataclass(frozen=True)
class Fault:
    """What happens when `member` reaches `point` while making step `step` (from 1), for the `count`-th time.

    action: "kill" (SIGKILL to its own process, or the end of its thread) or "hang" (SIGSTOP, or a long sleep).
    """

    member: int
    point: str
    step: int
    action: str = "kill"
    count: int = 1


class FaultPoints:
    """The faults of one member. `thread`: it is a thread, whose process must live on; called before it dies."""

    def __init__(
        self, faults: Sequence[Fault], member: int, thread: Callable[[], None] | None = None
    ) -> None:
        for fault in faults:
            if fault.point not in POINTS or fault.action not in ("kill", "hang"):
                raise ValueError(f"no such fault: {fault}; points are {', '.join(POINTS)}")
        self._faults = [fault for fault in faults if fault.member == member]
        self._reached: dict[Fault, int] = {}
        self._thread = thread
        self.point, self.step = "", 1
        self.hangs = False
        self.since = time.monotonic()

    def reach(self, point: str, step: int) -> None:
        """Notes that this place is reached in step `step` (from 1), for heartbeats, and does what a test put there."""
        self.point, self.step, self.since = point, step, time.monotonic()
        if self._faults:
            self._look(point, step)

    def reach_aside(self, point: str, step: int) -> None:
        """`reach` from a thread that works beside the member's life."""
        if self._faults:
            self._look(point, step)

    def _look(self, point: str, step: int) -> None:
        for fault in self._faults:
            if (fault.point, fault.step) == (point, step):
                self._reached[fault] = self._reached.get(fault, 0) + 1
                if self._reached[fault] == fault.count:
                    self._do(fault.action)

    def _do(self, action: str) -> None:
        if self._thread is None:
            os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)
        elif action == "kill":
            self._thread()
            raise InjectedDeath
        else:
            self.hangs = True
            threading.Event().wait()
