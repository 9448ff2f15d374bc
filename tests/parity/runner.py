"""Runs a program under PyTorch and under gradwire, with the same data and initial weights."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import zlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from . import programs
from .given import Given

TOLERANCE = 1e-5
STEPS = 20


@dataclass(frozen=True)
class Outcome:
    """The losses of one program under both libraries, and how far apart the losses may be."""

    name: str
    gradwire: list[float]
    pytorch: list[float]
    tolerance: float

    @property
    def differences(self) -> np.ndarray:
        """Step by step, relative to PyTorch's loss."""
        ours, theirs = np.array(self.gradwire), np.array(self.pytorch)
        return np.abs(ours - theirs) / np.maximum(np.abs(theirs), np.finfo(np.float32).tiny)


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(programs.__path__))


def module_of(name: str) -> ModuleType:
    return importlib.import_module(f"{programs.__name__}.{name}")


def run(name: str, steps: int = STEPS, device: str = "cpu") -> Outcome:
    """device: gradwire's default device meanwhile; PyTorch runs on the CPU, on one thread: its bits hang on their number."""
    import torch

    import gradwire

    module = module_of(name)
    weights: list[dict[str, np.ndarray]] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        pytorch = _losses(module, torch, weights, steps, first=True)
    finally:
        torch.set_num_threads(threads)
    before = gradwire.get_default_device()
    gradwire.set_default_device(device)
    try:
        ours = _losses(module, gradwire, weights, steps, first=False)
    finally:
        gradwire.set_default_device(before)
    return Outcome(name, ours, pytorch, getattr(module, "TOLERANCE", TOLERANCE))


def _losses(
    module: ModuleType, torch: Any, weights: list[dict[str, np.ndarray]], steps: int, *, first: bool
) -> list[float]:
    seed = zlib.crc32(module.__name__.encode())
    torch.manual_seed(seed)
    data = Given(torch, seed, weights, first=first)
    return [float(loss) for loss in itertools.islice(module.program(torch, data), steps)]
