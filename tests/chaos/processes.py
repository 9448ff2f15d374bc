"""A job on real processes under random kill -9, SIGSTOP, resize, pause, and kill -9 of the supervisor itself.

The harms come from the seed, in order; when they strike depends on the machine.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradwire.training import SoloResult, load_job, train_solo

JOB = Path(__file__).parent / "job.py"
HARMS = {
    "kill": 6,
    "kill two": 3,
    "stop": 2,
    "stop and continue": 3,
    "resize": 4,
    "pause": 1,
    "kill supervisor": 2,
}
"""What is done, and how often in relation to the others."""


class ChaosError(AssertionError):
    """The job did not end as an undisturbed one; the message says what was done to it."""


@dataclass
class Run:
    """One job. `steps`: how many it makes, five an epoch. `every_s`: longest pause between two of at most `harms` harms."""

    seed: int
    folder: Path
    steps: int
    every_s: float
    harms: int
    pause_s: float = 0.004
    deadline_s: float = 3.0
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.workers = self.rng.randint(2, 4)
        self.spares = self.rng.choice([0, 0, 1])
        self.began = time.monotonic()
        self.seen: set[int] = set()
        self.frozen: list[tuple[float, int]] = []

    @property
    def epochs(self) -> str:
        return str(-(-self.steps // 6))

    def start(self) -> subprocess.Popen[str]:
        options = {
            "workers": self.workers,
            "spares": self.spares,
            "overrides": {"epochs": self.epochs, "pause_s": str(self.pause_s)},
            "deadline_s": self.deadline_s,
        }
        return subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.supervised", str(self.folder), json.dumps(options)],
            stdin=subprocess.PIPE,
            text=True,
        )

    def events(self) -> list[dict[str, Any]]:
        path = self.folder / "events.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def note(self, text: str) -> None:
        step = max((e["step"] for e in self.events() if e["kind"] == "StepFinished"), default=0)
        self.done.append(f"{time.monotonic() - self.began:6.2f} s, step {step}: {text}")

    def suffer(self, within_s: float) -> str:
        """Runs it to its end; what happened in one line."""
        supervisor = self.start()
        left = self.harms
        try:
            next_at = time.monotonic() + self.rng.uniform(0.2, self.every_s)
            while not self.over():
                if time.monotonic() - self.began > within_s:
                    raise self.failure(f"not at its end after {within_s:.0f} s")
                if supervisor.poll() is not None:
                    if (code := supervisor.returncode) not in (0, -signal.SIGKILL):
                        raise self.failure(f"the supervisor ended with exit code {code}")
                    if self.over():
                        break
                    supervisor = self.start()
                self.thaw()
                if left and time.monotonic() >= next_at:
                    left -= self.harm(supervisor)
                    next_at = time.monotonic() + self.rng.uniform(0.05, self.every_s)
                time.sleep(0.02)
            supervisor.wait(20)
        finally:
            self.seen |= set(members_of(supervisor.pid))
            supervisor.kill()
            supervisor.wait()
            self.end_members()
        self.check()
        return f"seed {self.seed}: {self.harms - left} harms in {time.monotonic() - self.began:.0f} s"

    def over(self) -> bool:
        return any(event["kind"] in ("Finished", "Failed") for event in self.events())

    def harm(self, supervisor: subprocess.Popen[str]) -> bool:
        """Does something; False where there is nobody to do it to."""
        what = self.rng.choices(list(HARMS), list(HARMS.values()))[0]
        dice = self.rng.random(), self.rng.random(), self.rng.randint(1, 5)
        members = members_of(supervisor.pid)
        self.seen |= set(members)
        if not members and what in ("kill", "kill two", "stop", "stop and continue"):
            return False
        victims = [members[int(d * len(members))] for d in dice[:2]] if members else []
        match what:
            case "kill":
                send(victims[0], signal.SIGKILL)
            case "kill two":
                for victim in victims:
                    send(victim, signal.SIGKILL)
            case "stop":
                send(victims[0], signal.SIGSTOP)
            case "stop and continue":
                send(victims[0], signal.SIGSTOP)
                self.frozen.append((time.monotonic() + dice[1] * self.deadline_s * 1.5, victims[0]))
            case "resize":
                self.workers = dice[2]
                what = f"resize to {self.workers}"
                self.tell(supervisor, f"resize {self.workers}")
            case "pause":
                self.tell(supervisor, "pause")
            case "kill supervisor":
                send(supervisor.pid, signal.SIGKILL)
                supervisor.wait()
        self.note(what)
        return True

    @staticmethod
    def tell(supervisor: subprocess.Popen[str], line: str) -> None:
        assert supervisor.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            supervisor.stdin.write(line + "\n")
            supervisor.stdin.flush()

    def thaw(self) -> None:
        now = time.monotonic()
        for _, pid in [f for f in self.frozen if f[0] <= now]:
            send(pid, signal.SIGCONT)
        self.frozen = [f for f in self.frozen if f[0] > now]

    def end_members(self) -> None:
        """A stopped member outlives a killed supervisor: it can't see that its other end is closed."""
        for pid in self.seen:
            if is_member(pid):
                send(pid, signal.SIGKILL)

    def check(self) -> None:
        events = self.events()
        expected = expectation(self.epochs)
        if problem := self.steps_lost(events):
            raise self.failure(problem)
        last = next(e for e in reversed(events) if e["kind"] in ("Finished", "Failed"))
        if last["kind"] == "Failed":
            raise self.failure(f"it failed: {last}")
        if found := [e for e in events if e["kind"] == "Contradiction"]:
            raise self.failure(f"a step that was made again gave something else: {found}")
        steps = [e for e in events if e["kind"] == "StepFinished"]
        if [e["step"] for e in steps] != list(range(1, expected.steps + 1)):
            raise self.failure(f"steps are missing, doubled or out of order: {[e['step'] for e in steps]}")
        if [e["metrics"] for e in steps] != expected.history:
            raise self.failure("metrics differ")
        if last["parameters_sha256"] != expected.parameters_sha256:
            raise self.failure("parameters differ")

    @staticmethod
    def steps_lost(events: list[dict[str, Any]]) -> str:
        """Whether it ever went on from before the newest checkpoint."""
        checkpoint = 0
        for event in events:
            if event["kind"] in ("CheckpointWritten", "Paused"):
                checkpoint = max(checkpoint, event["step"])
            elif event["kind"] == "Formed" and event["step"] < checkpoint:
                return f"went on from step {event['step']}, where there was a checkpoint of {checkpoint}"
        return ""

    def failure(self, why: str) -> ChaosError:
        tail = [e for e in self.events() if e["kind"] != "StepFinished"][-12:]
        return ChaosError(
            "\n".join([f"seed {self.seed}: {why}", *self.done, "the last events:", *map(json.dumps, tail)])
        )


def expectation(epochs: str) -> SoloResult:
    """What an undisturbed run gives."""
    with contextlib.redirect_stdout(io.StringIO()):
        return train_solo(load_job(JOB, {"epochs": epochs}), 8)


def send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def is_member(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"gradwire.workers.member_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def members_of(pid: int) -> list[int]:
    """The processes of the members that a supervisor started and that live, oldest first."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return sorted(member for member in found if is_member(member))
