"""Libraries from the package index that import torch run on gradwire in its place, with PyTorch's numbers."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .program import NAMES

RECENT = ("x_transformers",)  # environments made before it was asked for lack it
PROGRAM = Path(__file__).with_name("program.py")


def run(*command, **options):
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, **options)


def told(*command):
    done = run("-W", "ignore", *command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def both():
    return told("-m", "gradwire.as_torch", str(PROGRAM), "some", "arguments"), told(str(PROGRAM))


@pytest.mark.parametrize("name", NAMES)
def test_a_library_computes_what_it_does_on_torch(name, both):
    mine, expected = both
    if name in RECENT and name not in mine["told"]:
        pytest.skip(f"{name} is not installed: run `make test`, which installs it")
    assert (
        mine["library"] == "gradwire"
        and expected["library"] == "torch"
        and mine["arguments"] == ["some", "arguments"]
    )
    for a, b in zip(mine["told"][name], expected["told"][name], strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-5, atol=2e-6)


def test_submodules_are_gradwires_own():
    done = run(
        "-c",
        "import gradwire.as_torch, torch, torch.nn.functional as F, gradwire\n"
        "from torch.utils.data import DataLoader\nfrom torch.optim.lr_scheduler import StepLR\n"
        "assert torch is gradwire and F is gradwire.nn.functional and DataLoader is gradwire.data.DataLoader\n"
        "assert gradwire.__spec__.name == 'gradwire' and F.__name__ == 'gradwire.nn.functional'\n",
    )
    assert done.returncode == 0, done.stderr


def test_what_gradwire_has_not_is_a_missing_module():
    done = run("-c", "import gradwire.as_torch, torch.distributed")
    assert (
        "No module named 'torch.distributed' in gradwire" in done.stderr and "from-pytorch.md" in done.stderr
    )


def test_pytorch_must_not_be_there_already():
    done = run("-c", "import torch, gradwire.as_torch")
    assert "PyTorch is imported already" in done.stderr


def test_a_script_must_be_named():
    done = run("-m", "gradwire.as_torch")
    assert done.returncode == 1 and "usage: python -m gradwire.as_torch SCRIPT" in done.stderr


def test_the_libraries_are_installed():
    assert all(importlib.util.find_spec(name) for name in NAMES if name not in RECENT)
