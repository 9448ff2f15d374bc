"""What a checkpoint costs training: gradwire's, written beside the steps, against torch.save, in one run.

A perceptron with 25 million parameters and Adam (300 MB of state) makes forward and backward steps on one thread.
Prints how long a step waits for a checkpoint and at which bandwidth that copies, how long the writing goes on beside the
steps and how much of a core it takes, and both as a share of time at one checkpoint a minute. Where a core is free the second
costs nothing; where all compute, steps are slower by it.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gradwire.backends.allocator import keep_freed_memory
from gradwire.services.optimizer import SliceOptimizer
from gradwire.training import state_arrays
from gradwire.workers.checkpoint import read
from gradwire.workers.exchange import Exchange
from gradwire.workers.in_process import InProcessNetwork
from gradwire.workers.reports import Warned
from gradwire.workers.snapshots import Snapshots
from gradwire.workers.step import Slices
from gradwire.workers.training_state import TrainingState

JOB = Path(__file__).parents[1] / "training" / "jobs" / "wide_mlp.py"
BATCH = 32
EVERY_S = 60.0


def job_state(width: int) -> TrainingState:
    overrides = {"width": str(width), "batch_size": str(BATCH), "steps": "1"}
    state = TrainingState(
        str(JOB), overrides, 8, "cpu", SliceOptimizer, lambda name, step: None, lambda: None, 1 << 22
    )
    state.begin(Slices(state.owner(0, 1), None, 0, 0), None)
    return state


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def stepper(state: TrainingState) -> Callable[[], None]:
    batch = state.job.train_data()[0:BATCH]

    def step() -> None:
        state.model.zero_grad()
        loss: Any = state.job.loss(state.model, batch)
        loss.backward()

    return step


def peer_state(state: TrainingState) -> dict[str, Any]:
    """The same values as PyTorch's state dicts: parameters and both moments."""
    model = {name: torch.from_numpy(array.copy()) for name, array in state_arrays(state.model).items()}
    moments = {
        n: {"exp_avg": torch.zeros_like(t), "exp_avg_sq": torch.zeros_like(t)} for n, t in model.items()
    }
    return {"model": model, "optimizer": moments}


def save_synced(content: Any, path: Path) -> None:
    with open(path, "wb") as out:
        torch.save(content, out)
        out.flush()
        os.fsync(out.fileno())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--width", type=int, default=4600)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--folder", help="where checkpoints are written; a temporary folder where not given")
    chosen = options.parse_args()
    keep_freed_memory()
    state = job_state(chosen.width)
    assert state.slices is not None
    size = sum(a.nbytes for a in state_arrays(state.model).values())
    size += sum(a.nbytes for _, _, a in state.slices.own.state_slices())
    step = stepper(state)
    exchange = Exchange(InProcessNetwork().form(1)[0], 8)
    told: list[Any] = []
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        snapshots = Snapshots(folder, told.append, lambda name, step: None)
        step()
        alone = [seconds(step) for _ in range(8)]
        stalls, cores, writing = [], [], []
        for k in range(chosen.rounds + 1):
            state.finished = k + 1  # another step's, so that each is written
            stall = seconds(lambda: snapshots.take(state, exchange, {}))
            start, thread = time.perf_counter(), snapshots._thread
            of_all, of_steps = time.process_time(), time.thread_time()
            while thread is not None and thread.is_alive():
                step()
            took = time.perf_counter() - start
            of_writing = (time.process_time() - of_all) - (time.thread_time() - of_steps)
            if k:  # the first one touches new memory
                stalls.append(stall)
                cores.append(of_writing)
                writing.append(took)
        saved = snapshots.settle()
        warned = [report for report in told if isinstance(report, Warned)]
        if saved is None or warned:
            raise SystemExit(f"the checkpoints were not written: {warned}")
        again = read(saved.location)
        for name, array in state_arrays(state.model).items():
            np.testing.assert_array_equal(again.model[name], array)
        content = peer_state(state)
        path = Path(folder) / "peer.pt"
        torch.save(content, path)
        saves = [seconds(lambda: torch.save(content, path)) for _ in range(chosen.rounds)]
        synced = [seconds(lambda: save_synced(content, path)) for _ in range(chosen.rounds)]
        plain = np.ones(size, np.uint8)
        target = plain.copy()
        copies = [seconds(lambda: np.copyto(target, plain)) for _ in range(5)]
    middle = statistics.median
    stall, core = middle(stalls), middle(cores)
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs; {size / 1e6:.0f} MB of state"
    )
    print(f"a step                        {1e3 * middle(alone):8.0f} ms")
    print(f"the step waits (copy)         {1e3 * stall:8.0f} ms   {size / stall / 1e9:.1f} GB/s")
    print(
        f"one plain copy                {1e3 * middle(copies):8.0f} ms   {size / middle(copies) / 1e9:.1f} GB/s"
    )
    print(f"written and synced beside in  {1e3 * middle(writing):8.0f} ms   {core:.2f} s of a core")
    for text, took in (("torch.save", saves), ("torch.save and fsync", synced)):
        print(f"{text:29} {1e3 * middle(took):8.0f} ms   {middle(took) / stall:.1f} x the wait")
    print(
        f"at one checkpoint a minute: {100 * stall / EVERY_S:.2f} % of the time waits (goal: below 1 %), "
        f"{100 * core / EVERY_S:.2f} % of a core writes; torch.save waits {100 * middle(saves) / EVERY_S:.2f} %"
    )


if __name__ == "__main__":
    main()
