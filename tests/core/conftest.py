"""Every test that takes `device` runs on the CPU and on the strict stand-in for CuPy."""

from __future__ import annotations

import pytest

from gradwire.backends import standin, use_cuda_module


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
