"""Every test that takes `device` runs on the CPU and on the strict stand-in for CuPy; every test draws the same numbers."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import gradwire
from gradwire.backends import standin, use_cuda_module


@pytest.fixture(autouse=True)
def the_same_random_numbers():
    """Whatever other tests ran before, in whatever order."""
    gradwire.manual_seed(0)
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)


@pytest.fixture(params=["cpu", "cuda"])
def device(request):
    if request.param == "cpu":
        yield "cpu"
        return
    before = use_cuda_module(standin)
    try:
        yield "cuda"
    finally:
        use_cuda_module(before)
