"""Time of convolutions and pooling, forward and backward: gradwire against PyTorch in one run, one thread each.

Prints milliseconds (the least of the rounds) and the ratio to PyTorch with its spread; below 1 is faster than PyTorch.
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

ROUNDS = 20
Shape = tuple[int, ...]

CASES: list[tuple[str, Shape, Shape, dict[str, Any], int]] = [
    ("28x28, 1 to 16 channels, pooled", (32, 1, 28, 28), (16, 1, 3, 3), {"padding": 1}, 2),
    ("14x14, 16 to 32 channels, pooled", (32, 16, 14, 14), (32, 16, 3, 3), {"padding": 1}, 2),
    ("28x28, 64 to 64 channels", (8, 64, 28, 28), (64, 64, 3, 3), {"padding": 1}, 0),
    ("14x14, 1x1 kernel", (16, 64, 14, 14), (128, 64, 1, 1), {}, 0),
    ("64x64, 7x7 kernel by 2", (8, 3, 64, 64), (32, 3, 7, 7), {"padding": 3, "stride": 2}, 0),
    ("28x28, depthwise", (8, 32, 28, 28), (32, 1, 3, 3), {"padding": 1, "groups": 32}, 0),
]


def case(lib: Any, x_shape: Shape, w_shape: Shape, options: dict[str, Any], pool: int) -> Callable[[], None]:
    draw, f = np.random.default_rng(0), lib.nn.functional
    x, w, b = (
        lib.tensor(draw.standard_normal(s).astype(np.float32), requires_grad=True)
        for s in (x_shape, w_shape, w_shape[:1])
    )

    def run() -> None:
        y = f.conv2d(x, w, b, **options)
        if pool:
            y = f.max_pool2d(y.relu(), pool)
        y.sum().backward()
        x.grad = w.grad = b.grad = None

    return run


def seconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    torch.set_num_threads(1)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}, PyTorch {torch.__version__}"
    )
    for title, *arguments in CASES:
        ours, theirs = case(gradwire, *arguments), case(torch, *arguments)
        ours(), theirs()
        pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]  # in turn, so that drift hits both
        ratios = sorted(a / b for a, b in pairs)
        a, b = (min(p[i] for p in pairs) * 1e3 for i in (0, 1))
        spread = f"{ratios[len(ratios) // 10]:.2f} to {ratios[-len(ratios) // 10]:.2f}"
        print(f"{title}: {a:.2f} ms, PyTorch {b:.2f} ms, ratio {statistics.median(ratios):.2f} ({spread})")


if __name__ == "__main__":
    main()
