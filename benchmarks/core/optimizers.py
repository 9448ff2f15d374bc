"""Time of an optimizer's step and of whole training steps: gradwire against PyTorch in one run, one thread each.

Steps of optimizers over the parameters of MLPs with gradients given, then training of the small one with Adam (forward,
backward, zero_grad and step). Prints microseconds (median of rounds) and the ratio to PyTorch with its spread; below 1 is
faster than PyTorch.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import platform
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch

import gradwire

ROUNDS = 30
SMALL, LARGE = (64, 64, 10), (784, 512, 512, 10)
OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.01}), ("SGD", {"lr": 0.01, "momentum": 0.9}), ("Adam", {}), ("AdamW", {"amsgrad": True}), ("RMSprop", {}),
    ("Adagrad", {}), ("Adadelta", {}), ("Adamax", {}), ("NAdam", {}), ("RAdam", {}), ("Rprop", {}), ("ASGD", {}),
]  # fmt: skip


def mlp(lib: Any, sizes: tuple[int, ...]) -> Any:
    layers: list[Any] = []
    for a, b in pairwise(sizes):
        layers += [lib.nn.Linear(a, b), lib.nn.ReLU()]
    return lib.nn.Sequential(*layers[:-1])


def steps(lib: Any, sizes: tuple[int, ...], name: str, options: dict[str, Any]) -> Callable[[], None]:
    rng = np.random.default_rng(0)
    ps = list(mlp(lib, sizes).parameters())
    for p in ps:
        p.grad = lib.tensor(rng.standard_normal(tuple(p.shape)).astype(np.float32))
    optimizer = getattr(lib.optim, name)(ps, **options)
    return lambda: optimizer.step()  # type: ignore[no-any-return]


def training(lib: Any, sizes: tuple[int, ...], batch: int) -> Callable[[], None]:
    rng = np.random.default_rng(0)
    model = mlp(lib, sizes)
    optimizer = lib.optim.Adam(model.parameters())
    x = lib.tensor(rng.standard_normal((batch, sizes[0])).astype(np.float32))
    y = lib.tensor(rng.integers(0, sizes[-1], batch))
    loss = lib.nn.CrossEntropyLoss()

    def run() -> None:
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return run


def compare(title: str, case: Callable[[Any], Callable[[], None]], repeats: int) -> None:
    ours, theirs = case(gradwire), case(torch)

    def seconds(run: Callable[[], None]) -> float:
        started = time.perf_counter()
        for _ in range(repeats):
            run()
        return (time.perf_counter() - started) / repeats

    for run in (ours, theirs):
        for _ in range(3):
            run()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]  # in turn, so that drift hits both
    ratios = sorted(a / b for a, b in pairs)
    a, b = (statistics.median(p[i] for p in pairs) * 1e6 for i in (0, 1))
    spread = f"{ratios[len(ratios) // 10]:.2f} to {ratios[-len(ratios) // 10]:.2f}"
    print(f"{title}: {a:.0f} us, PyTorch {b:.0f} us, ratio {statistics.median(ratios):.2f} ({spread})")


def main() -> None:
    torch.set_num_threads(1)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}, PyTorch {torch.__version__}"
    )
    for sizes, repeats in ((SMALL, 50), (LARGE, 2)):
        for name, options in OPTIMIZERS:
            shown = ", ".join([name, *(f"{k}={v}" for k, v in options.items() if k != "lr")])
            title = f"{shown}, MLP {'-'.join(map(str, sizes))}"
            compare(title, lambda lib, s=sizes, n=name, o=options: steps(lib, s, n, o), repeats)  # type: ignore[misc]
    compare("training, MLP 64-64-10, batch 32, Adam", lambda lib: training(lib, SMALL, 32), 20)
    compare("training, MLP 784-512-512-10, batch 128, Adam", lambda lib: training(lib, LARGE, 128), 2)


if __name__ == "__main__":
    main()
