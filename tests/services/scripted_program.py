"""A stand-in for training: a real process that reports as its overrides say, with numbers that follow from the step.

Overrides: steps, step_s, fail_at, die_at (kill -9 of itself, in the first attempt alone), lines.
"""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from gradwire.services.launcher import Launch
from gradwire.services.local_program import Tell, run
from gradwire.workers import reports as w
from gradwire.workers.checkpoint import Checkpoint, write


def loss(step: int) -> float:
    return 1.0 / step


def checkpoint(launch: Launch, step: int) -> tuple[Path, str]:
    content = Checkpoint(step, 0, step, {"w": np.full(3, step, np.float32)}, {})
    saved = write(launch.checkpoints, content)
    return saved.path, saved.parameters_sha256


def train(launch: Launch, tell: Tell) -> None:
    script = launch.overrides
    steps, step_s = int(script.get("steps", 3)), float(script.get("step_s", 0))
    tell(w.Started(steps, 1))
    for k in range(int(script.get("lines", 0))):
        print(f"line {k} of [bold]text[/bold]")
    for step in range(1, steps + 1):
        time.sleep(step_s)
        if step == int(script.get("fail_at", 0)):
            tell(w.Failed("USER_CODE", "ValueError: no more", "Traceback …\nValueError: no more\n"))
            return
        if step == int(script.get("die_at", 0)) and launch.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        tell(w.StepFinished(step, 1, {"loss": loss(step)}, 32, step_s))
        if step == 2:
            path, sha = checkpoint(launch, step)
            tell(w.CheckpointWritten(step, str(path), sha))
    tell(w.EvaluationFinished(steps, 1, {"loss": loss(steps), "accuracy": 0.5}, 10))
    path, sha = checkpoint(launch, steps)
    tell(w.CheckpointWritten(steps, str(path), sha))
    tell(w.Finished(sha, str(path)))


if __name__ == "__main__":
    sys.exit(run(train, Path(sys.argv[1]), int(sys.argv[2])))
