"""Time per recorded operation, forward and backward: gradwire against PyTorch in one run, one thread each.

A chain of 100 multiplies of 4 x 4, and one of 30 matmul + bias + relu at 32 x 64. Prints microseconds per operation
(median of rounds) and the ratio to PyTorch with its spread; below 1 is faster than PyTorch.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import gradwire

ROUNDS, REPEATS = 30, 10


def multiplies(lib: Any) -> tuple[Callable[[], None], int]:
    x = lib.ones(4, 4, requires_grad=True)
    y = lib.full((4, 4), 1.001, requires_grad=True)

    def run() -> None:
        z = x
        for _ in range(100):
            z = z * y
        z.sum().backward()
        x.grad = y.grad = None

    return run, 100


def layers(lib: Any) -> tuple[Callable[[], None], int]:
    rng = np.random.default_rng(0)
    x = lib.tensor(rng.standard_normal((32, 64), np.float32))
    w = lib.tensor(rng.standard_normal((64, 64), np.float32) / 8, requires_grad=True)
    b = lib.tensor(rng.standard_normal(64, np.float32), requires_grad=True)

    def run() -> None:
        z = x
        for _ in range(30):
            z = (z @ w + b).relu()
        z.sum().backward()
        w.grad = b.grad = None

    return run, 90


def seconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    for _ in range(REPEATS):
        run()
    return (time.perf_counter() - started) / REPEATS


def main() -> None:
    torch.set_num_threads(1)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}, PyTorch {torch.__version__}"
    )
    for title, case in (("multiply 4x4", multiplies), ("matmul + bias + relu 32x64", layers)):
        (ours, n), (theirs, _) = case(gradwire), case(torch)
        ours(), theirs()
        pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]  # in turn, so that drift hits both
        ratios = sorted(a / b for a, b in pairs)
        a, b = (statistics.median(p[i] for p in pairs) / n * 1e6 for i in (0, 1))
        spread = f"{ratios[len(ratios) // 10]:.2f} to {ratios[-len(ratios) // 10]:.2f}"
        print(
            f"{title}: {a:.2f} us/op, PyTorch {b:.2f} us/op, ratio {statistics.median(ratios):.2f} ({spread})"
        )


if __name__ == "__main__":
    main()
