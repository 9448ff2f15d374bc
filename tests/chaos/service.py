"""A job of the real service on Ray, through gRPC, under random kill -9 of workers, its controller and the server itself.

The harms come from the seed, in order; when they strike depends on the machine.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradwire.services.records import Code, SourceFile
from gradwire.services.states import JobState
from tests.chaos.processes import JOB, ChaosError, expectation, send
from tests.services.test_ray import Served, ray_processes

HARMS = {
    "kill worker": 6,
    "kill two workers": 2,
    "stop worker": 1,
    "stop worker and continue": 2,
    "kill controller": 2,
    "kill server": 3,
    "resize": 3,
}
"""What is done, and how often in relation to the others. A worker that is stopped is found after half a minute."""


@dataclass
class ServiceRun:
    """One job of `steps` steps, and at most `harms` harms with at most `every_s` between them."""

    seed: int
    folder: Path
    steps: int
    every_s: float
    harms: int
    weights: Mapping[str, int] = field(default_factory=lambda: HARMS)
    done: list[str] = field(default_factory=list)

    def suffer(self, within_s: float) -> str:
        """Runs it to its end; what happened in one line."""
        rng, home = random.Random(self.seed), self.folder / "home"
        epochs = str(self.steps // 6)
        expected = expectation(epochs)
        self.served = Served(home)
        frozen: list[tuple[float, int]] = []
        began = time.monotonic()
        try:
            code = Code(JOB.name, (SourceFile(JOB.name, JOB.read_bytes()),))
            overrides = {"epochs": epochs, "pause_s": "0.004"}
            job_id = self.served.client.submit(
                code, workers=3, min_workers=1, max_workers=5, overrides=overrides
            ).id
            left, next_at = self.harms, 0.0
            while not (job := self.served.client.job(job_id).get()).state.terminal:
                now = time.monotonic()
                if now - began > within_s:
                    raise self.failure(f"not at its end after {within_s:.0f} s: {job}")
                for at, pid in [f for f in frozen if f[0] <= now]:
                    send(pid, signal.SIGCONT)
                    frozen.remove((at, pid))
                if job.step and left and now >= next_at:
                    if (what := self.harm(rng, home, job_id, frozen)) is not None:
                        self.done.append(f"{now - began:6.2f} s, step {job.step}: {what}")
                        left -= 1
                    next_at = now + rng.uniform(0.2, self.every_s)
                time.sleep(0.05)
            self.check(job_id, expected)
        finally:
            for _, pid in frozen:
                send(pid, signal.SIGCONT)
            self.served.stop()
        return f"seed {self.seed}: {self.harms - left} harms in {time.monotonic() - began:.0f} s"

    def harm(
        self, rng: random.Random, home: Path, job_id: str, frozen: list[tuple[float, int]]
    ) -> str | None:
        what = rng.choices(list(self.weights), list(self.weights.values()))[0]
        dice, number = (rng.random(), rng.random()), rng.randint(1, 5)
        title = "ray::Controller" if "controller" in what else "ray::MemberActor"
        found = sorted(ray_processes(home, title))
        if not found and what not in ("kill server", "resize"):
            return None
        match what:
            case "kill worker" | "kill controller":
                send(found[int(dice[0] * len(found))], signal.SIGKILL)
            case "kill two workers":
                for d in dice:
                    send(found[int(d * len(found))], signal.SIGKILL)
            case "stop worker":
                send(found[int(dice[0] * len(found))], signal.SIGSTOP)
            case "stop worker and continue":
                victim = found[int(dice[0] * len(found))]
                send(victim, signal.SIGSTOP)
                frozen.append((time.monotonic() + 3 * dice[1], victim))
            case "kill server":
                self.served.client.close()
                self.served.process.kill()
                self.served.process.wait()
                assert self.served.process.stdout is not None
                self.served.process.stdout.close()
                self.served = Served(home)
            case "resize":
                self.served.client.job(job_id).resize(number)
                return f"resize to {number}"
        return what

    def check(self, job_id: str, expected: Any) -> None:
        job = self.served.client.job(job_id)
        ended = job.get()
        if ended.state != JobState.SUCCEEDED:
            raise self.failure(f"it ended as {ended.state.name}: {ended.error}")
        events = list(job.watch())
        if [e.number for e in events] != list(range(1, len(events) + 1)):
            raise self.failure("events are numbered with gaps")
        steps = [e.kind for e in events if type(e.kind).__name__ == "StepFinished"]
        if [s.step for s in steps] != list(range(1, expected.steps + 1)):
            raise self.failure(f"steps are missing, doubled or out of order: {[s.step for s in steps]}")
        if [dict(s.metrics) for s in steps] != expected.history:
            raise self.failure("metrics differ")
        if ended.parameters_sha256 != expected.parameters_sha256:
            raise self.failure("parameters differ")

    def failure(self, why: str) -> ChaosError:
        log = self.folder / "serve.log"
        tail = log.read_text()[-3000:] if log.exists() else ""
        return ChaosError("\n".join([f"seed {self.seed}: {why}", *self.done, "the server's log:", tail]))
