"""Time of whole training steps of models: gradwire against PyTorch in one run, one thread each.

A step is zero_grad, forward, loss, backward and the optimizer's step, on the same data from the same initial weights; the losses
of the first steps must agree. Prints milliseconds of processor time of all threads, which other work
on the machine disturbs less than the clock (median of rounds), the ratio to PyTorch with its spread, and the ratio that is
aimed at; below 1 is faster than PyTorch. Names of models as arguments choose among them.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from itertools import cycle, pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

import gradwire

STEPS_COMPARED, TOLERANCE = 5, 1e-4
BATCHES = 16  # with one alone, units die and moments become denormal numbers, which take many times as long
SECONDS = 0.1  # of one measurement, at least


def mlp(lib: Any, *sizes: int) -> Any:
    layers: list[Any] = []
    for a, b in pairwise(sizes):
        layers += [lib.nn.Linear(a, b), lib.nn.ReLU()]
    return lib.nn.Sequential(*layers[:-1])


def recurrent(lib: Any, kind: str) -> Any:
    class Net(lib.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rnn = getattr(lib.nn, kind)(32, 64, batch_first=True)
            self.out = lib.nn.Linear(64, 10)

        def forward(self, x: Any) -> Any:
            return self.out(self.rnn(x)[0][:, -1])

    return Net()


def gpt(lib: Any, vocabulary: int = 96, layers: int = 4, width: int = 128, heads: int = 4) -> Any:
    nn = lib.nn

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

        def forward(self, x: Any) -> Any:
            b, t, _ = x.shape
            q, k, v = (
                part.view(b, t, heads, width // heads).transpose(1, 2)
                for part in self.qkv(self.norm1(x)).split(width, dim=2)
            )
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.proj(y.transpose(1, 2).contiguous().view(b, t, width))
            return x + self.mlp(self.norm2(x))

    class Net(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(128, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(layers)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

        def forward(self, x: Any) -> Any:
            x = self.tokens(x) + self.places(lib.arange(x.shape[1]))
            return self.head(self.norm(self.blocks(x))).flatten(0, 1)

    return Net()


def cnn(lib: Any) -> Any:
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


class Model(NamedTuple):
    """build(lib) is the model, x the shape of its input (of tokens, where `tokens` gives their number), goal a ratio to PyTorch's time."""

    title: str
    build: Callable[[Any], Any]
    x: tuple[int, ...]
    classes: int
    optimizer: str
    options: dict[str, Any]
    goal: float
    tokens: int = 0


MODELS = {
    "mlp": Model("MLP 64-64-10, batch 32", lambda lib: mlp(lib, 64, 64, 10), (32, 64), 10, "Adam", {}, 0.4),
    "wide": Model("MLP 784-512-512-10, batch 128", lambda lib: mlp(lib, 784, 512, 512, 10), (128, 784), 10, "Adam", {}, 0.8),
    "lstm": Model("LSTM 32-64, batch 16, 20 steps", lambda lib: recurrent(lib, "LSTM"), (16, 20, 32), 10, "Adam", {}, 1.0),
    "gru": Model("GRU 32-64, batch 16, 20 steps", lambda lib: recurrent(lib, "GRU"), (16, 20, 32), 10, "Adam", {}, 1.0),
    "gpt": Model("GPT 4 x 128, batch 8, 128 tokens", gpt, (8, 128), 96, "AdamW", {}, 1.3, tokens=96),
    "cnn": Model("CNN 28x28, batch 64", cnn, (64, 1, 28, 28), 10, "SGD", {"lr": 0.01, "momentum": 0.9}, 1.5),
}  # fmt: skip


def training(model: Model) -> tuple[Callable[[], float], Callable[[], float]]:
    """A step of the model under gradwire, and under PyTorch from the same weights; each gives the loss before it."""
    rng = np.random.default_rng(0)
    x_shape = (BATCHES, *model.x)
    values = (
        rng.integers(0, model.tokens, x_shape) if model.tokens else rng.standard_normal(x_shape, np.float32)
    )
    rows = int(np.prod(model.x)) if model.tokens else model.x[0]
    labels = rng.integers(0, model.classes, (BATCHES, rows))
    torch.manual_seed(0)
    theirs, ours = model.build(torch), model.build(gradwire)
    ours.load_state_dict({k: gradwire.tensor(v.numpy()) for k, v in theirs.state_dict().items()})

    def stepper(lib: Any, net: Any) -> Callable[[], float]:
        optimizer = getattr(lib.optim, model.optimizer)(net.parameters(), **model.options)
        loss_of = lib.nn.CrossEntropyLoss()
        batches = cycle([(lib.tensor(x), lib.tensor(y)) for x, y in zip(values, labels, strict=True)])

        def step() -> float:
            x, y = next(batches)
            optimizer.zero_grad()
            loss = loss_of(net(x), y)
            loss.backward()
            optimizer.step()
            return float(loss.item())

        return step

    return stepper(gradwire, ours), stepper(torch, theirs)


def compare(model: Model, rounds: int) -> None:
    ours, theirs = training(model)
    for i in range(STEPS_COMPARED):
        a, b = ours(), theirs()
        if abs(a - b) > TOLERANCE * abs(b):
            raise SystemExit(f"{model.title}: losses differ at step {i}: {a} and PyTorch's {b}")

    def seconds(run: Callable[[], float], repeats: int) -> float:
        started = time.process_time()
        for _ in range(repeats):
            run()
        return (time.process_time() - started) / repeats

    repeats = max(1, round(SECONDS / seconds(theirs, 3)))
    pairs = [
        (seconds(ours, repeats), seconds(theirs, repeats)) for _ in range(rounds)
    ]  # in turn, so that drift hits both
    ratios = sorted(a / b for a, b in pairs)
    a, b = (statistics.median(p[i] for p in pairs) * 1e3 for i in (0, 1))
    spread = f"{ratios[len(ratios) // 10]:.2f} to {ratios[-1 - len(ratios) // 10]:.2f}"
    print(
        f"{model.title}, {model.optimizer}: {a:.2f} ms, PyTorch {b:.2f} ms, "
        f"ratio {statistics.median(ratios):.2f} ({spread}), goal {model.goal}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("models", nargs="*", help=f"among {', '.join(MODELS)}; all where none is given")
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    unknown = [name for name in arguments.models if name not in MODELS]
    if unknown:
        parser.error(f"no model named {', '.join(unknown)}; there are {', '.join(MODELS)}")
    torch.set_num_threads(1)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}, PyTorch {torch.__version__}"
    )
    for name in arguments.models or MODELS:
        compare(MODELS[name], arguments.rounds)


if __name__ == "__main__":
    main()
