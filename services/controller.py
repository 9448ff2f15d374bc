"""The controller of one attempt of a job: a Ray actor in which the group's supervisor lives.

It keeps the reports, numbered from 1, until the job service has taken them: a service that is restarted goes on where it
was, and training goes on without it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

from gradwire.services.optimizer import SliceOptimizer
from gradwire.workers.member import MemberSpec
from gradwire.workers.ray_crew import RayCrew, Slots
from gradwire.workers.reports import Failed, OptionsChanged, Report
from gradwire.workers.supervisor import LOSSES_LIMIT, STOP_GRACE_S, Supervisor

__all__ = ["Controller"]

BATCH = 1000
WAIT_S = 0.5
WAITING_LIMIT = 200_000
"""Reports kept while no service takes them; then training waits for one, and loses nothing."""


class Controller:
    """Runs `workers` workers to the job's end. A plain class; `ray_launcher` puts it on Ray."""

    def __init__(
        self,
        spec: MemberSpec,
        workers: int,
        slots: Slots,
        name: str = "",
        history: Sequence[OptionsChanged] = (),
        losses_limit: int = LOSSES_LIMIT,
        spares: int = 0,
        place_within_s: float = 60.0,
        gang: int = 0,
        one_host: bool = False,
    ) -> None:
        """place_within_s, gang, one_host: how its workers are placed; see RayCrew."""
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves all GPUs visible to an actor that asked for none
        self._reports: deque[tuple[int, Report]] = deque()
        self._told = 0
        self._changed = threading.Condition()
        self._stopped = False
        self._done = threading.Event()
        crew = RayCrew(spec, SliceOptimizer, slots, name, place_within_s, gang, one_host)
        self._supervisor = Supervisor(spec, workers, crew, self._tell, history, spares, losses_limit)
        threading.Thread(target=self._run, name="controller", daemon=True).start()

    def reports(self, after: int, wait_s: float) -> tuple[int, list[tuple[int, Report]]]:
        """(1, reports numbered above `after`), waiting at most `wait_s` for the first; those up to `after` are forgotten."""
        deadline = time.monotonic() + wait_s
        with self._changed:
            while self._reports and self._reports[0][0] <= after:
                self._reports.popleft()
            self._changed.notify_all()
            while not self._reports and not self._done.is_set() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return 1, [self._reports[i] for i in range(min(BATCH, len(self._reports)))]

    def over(self) -> bool:
        """Whether there will be no further report."""
        return self._done.is_set()

    def resize(self, workers: int) -> None:
        """Goes on with that many workers from a step boundary on, when they are there."""
        self._supervisor.resize(workers)

    def pause(self) -> None:
        """Leaves a checkpoint at the next step boundary and ends; the last report is Paused."""
        self._supervisor.pause()

    def update(self, options: Mapping[str, float], number: int = 0) -> None:
        """Changes options of all parameter groups at the next step boundary; see Supervisor.update."""
        self._supervisor.update(options, number)

    def stop(self, reason: str) -> None:
        """Ends the workers and returns when they are gone."""
        self._stopped = True
        self._supervisor.stop(reason)
        self._done.wait(2 * STOP_GRACE_S)

    def _tell(self, report: Report) -> None:
        with self._changed:
            while len(self._reports) >= WAITING_LIMIT and not self._stopped:
                self._changed.wait(WAIT_S)
            self._told += 1
            self._reports.append((self._told, report))
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            self._supervisor.run()
        except Exception as error:
            self._tell(Failed("INTERNAL", f"the controller failed: {type(error).__name__}: {error}", ""))
        finally:
            self._done.set()
            with self._changed:
                self._changed.notify_all()
