"""A stand-in for training: a real process that reports as its overrides say, with numbers that follow from the step.

Overrides: steps, step_s, fail_at, die_at (kill -9 of itself, in the first attempt alone), lines, say (printed as it is, @long@ as a long line), lr_at_start, form_s (seconds from a
resize to the new group), start_s (seconds until the first attempt's group stands), hold_at (before that step it waits for a file `go` in the job's folder), checkpoint_every (steps; else after step 2).
It goes on from its newest checkpoint; the loss is lr / step.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from gradwire.services.commands import Commands, Pause, Resize, Update
from gradwire.services.launcher import Launch
from gradwire.services.local_program import Tell, run
from gradwire.workers import reports as w
from gradwire.workers.checkpoint import Checkpoint, newest_valid, summary, write


def chain_of(before: str, step: int, lr: float) -> str:
    return hashlib.sha256(f"{before} {step} {lr}".encode()).hexdigest()


def checkpoint(launch: Launch, step: int, chain: str, lr: float) -> tuple[Path, str]:
    content = Checkpoint(step, 0, step, {"w": np.full(3, step, np.float32)}, {})
    # First, so that a checkpoint never lacks it.
    (launch.directory / f"scripted-{step}.json").write_text(json.dumps([chain, lr]))
    saved = write(launch.checkpoints, content)
    return saved.path, saved.parameters_sha256


def newest(launch: Launch) -> tuple[int, str, float]:
    """Step, chain and learning rate of the newest checkpoint."""
    path = newest_valid(launch.checkpoints, print)
    if path is None:
        return 0, "", 1.0
    step = summary(path)[0].step
    chain, lr = json.loads((launch.directory / f"scripted-{step}.json").read_text())
    return step, chain, lr


def train(launch: Launch, tell: Tell, commands: Commands) -> None:
    script = launch.overrides
    steps, step_s = int(script.get("steps", 3)), float(script.get("step_s", 0))
    every = int(script.get("checkpoint_every", 0))
    form_s = float(script.get("form_s", 0))
    start, chain, lr = newest(launch)
    lr = float(script.get("lr_at_start", lr))
    generation, workers = 1, launch.workers
    wanted, due = workers, 0.0
    order = max((change.order for change in launch.options_history), default=0)
    if launch.attempt == 1:
        time.sleep(float(script.get("start_s", 0)))
    tell(w.Formed(generation, workers, start, "the attempt begins"))
    tell(w.Started(steps, 1))
    for k in range(int(script.get("lines", 0))):
        print(f"line {k} of [bold]text[/bold]")
    print(script.get("say", "").replace("@long@", "€" * 12_000), end="")
    for step in range(start + 1, steps + 1):
        time.sleep(step_s)
        done = step - 1
        for change in launch.options_history:
            if change.step == done:
                lr = change.options["lr"]
                tell(change)
        while True:
            for command in commands.poll():
                match command:
                    case Resize(count):
                        wanted, due = count, time.monotonic() + form_s
                    case Update(options, _):
                        lr, order = options["lr"], order + 1
                        tell(w.OptionsChanged(done, options, order))
                    case Pause():
                        path, sha = checkpoint(launch, done, chain, lr)
                        tell(w.CheckpointWritten(done, str(path), sha))
                        tell(w.Paused(done, str(path)))
                        return
            if wanted != workers and time.monotonic() >= due:
                generation, workers = generation + 1, wanted
                tell(w.Formed(generation, workers, done, "resized"))
            if step != int(script.get("hold_at", 0)) or (launch.directory / "go").exists():
                break
            time.sleep(0.02)
        if step == int(script.get("fail_at", 0)):
            tell(w.Failed("USER_CODE", "ValueError: no more", "Traceback …\nValueError: no more\n"))
            return
        if step == int(script.get("die_at", 0)) and launch.attempt == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        chain = chain_of(chain, step, lr)
        tell(w.StepFinished(step, 1, {"loss": lr / step}, 32, step_s, workers, chain, step_s / 4))
        if (step % every == 0 and step < steps) if every else step == 2:
            path, sha = checkpoint(launch, step, chain, lr)
            tell(w.CheckpointWritten(step, str(path), sha))
    tell(w.EvaluationFinished(steps, 1, {"loss": lr / steps, "accuracy": 0.5}, 10))
    path, sha = checkpoint(launch, steps, chain, lr)
    tell(w.CheckpointWritten(steps, str(path), sha))
    tell(w.Finished(sha, str(path)))


if __name__ == "__main__":
    sys.exit(run(train, Path(sys.argv[1]), int(sys.argv[2])))
