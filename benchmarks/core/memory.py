"""Peak memory of forward and backward: gradwire against PyTorch, each in a process of its own.

Peak resident memory of a step above what was there before it, in MiB, by the kernel's count (VmHWM, Linux). A small step of
the same kind comes first, so that what libraries set up at their first use is not counted.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import gc
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def layers(t: Any) -> Callable[[int], None]:
    """Twelve linear layers of 512, with relu, on 8,192 rows."""
    model = t.nn.Sequential(*(m for _ in range(12) for m in (t.nn.Linear(512, 512), t.nn.ReLU())))

    def step(part: int) -> None:
        model.zero_grad()
        model(t.rand(8192 // part, 512)).sum().backward()

    return step


def elementwise(t: Any) -> Callable[[int], None]:
    """A chain of products, sums and functions of two million elements."""

    def step(part: int) -> None:
        x, y = (t.rand(2_000_000 // part, requires_grad=True) for _ in range(2))
        z = x
        for _ in range(6):
            z = (z * y + x).tanh().exp() / 2
        z.sum().backward()

    return step


def images(t: Any) -> Callable[[int], None]:
    """Two convolutions with pooling on 512 images of 28 x 28."""
    model = t.nn.Sequential(
        t.nn.Conv2d(1, 16, 3), t.nn.ReLU(), t.nn.MaxPool2d(2), t.nn.Conv2d(16, 32, 3), t.nn.ReLU(), t.nn.MaxPool2d(2),
        t.nn.Flatten(), t.nn.Linear(800, 10),
    )  # fmt: skip

    def step(part: int) -> None:
        model.zero_grad()
        model(t.rand(512 // part, 1, 28, 28)).sum().backward()

    return step


CASES = {f.__name__: f for f in (layers, elementwise, images)}


def _status(field: str) -> int:
    text = Path("/proc/self/status").read_text()
    return int(text.split(field + ":")[1].split()[0])


def measured(library: str, case: str) -> float:
    t = importlib.import_module(library)
    if library == "torch":
        t.set_num_threads(1)
    step = CASES[case](t)
    step(128)
    gc.collect()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from here
    step(1)
    return (_status("VmHWM") - before) / 1024


def main() -> None:
    if len(sys.argv) == 3:
        print(json.dumps(measured(*sys.argv[1:])))
        return
    if not Path("/proc/self/clear_refs").exists():
        print("memory is measured on Linux alone")
        return
    for case, function in CASES.items():
        sizes = []
        for library in ("gradwire", "torch"):
            answer = subprocess.run(
                [sys.executable, __file__, library, case], check=True, capture_output=True, text=True
            )
            sizes.append(json.loads(answer.stdout.splitlines()[-1]))
        ours, theirs = sizes
        print(
            f"{case} ({function.__doc__}) {ours:.0f} MiB, PyTorch {theirs:.0f} MiB, ratio {ours / max(theirs, 1):.2f}"
        )


if __name__ == "__main__":
    main()
