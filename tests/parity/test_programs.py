"""Whole training programs give the same losses under gradwire as under PyTorch."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradwire.backends import standin, use_cuda_module

from .runner import STEPS, module_of, names, run

# PyTorch's own, of what it calls: torch.func.hessian scripts its decompositions.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


@pytest.mark.parametrize("name", names())
def test_a_program_gives_the_losses_that_it_gives_under_pytorch(name):
    outcome = run(name)
    assert len(outcome.pytorch) == STEPS
    assert all(map(math.isfinite, outcome.pytorch))
    assert len(set(outcome.pytorch)) > STEPS // 2, "a program whose losses stand still shows nothing"
    worst = int(outcome.differences.argmax())
    assert outcome.differences[worst] <= outcome.tolerance, (
        f"step {worst + 1}: {outcome.gradwire[worst]!r} under gradwire, {outcome.pytorch[worst]!r} under PyTorch"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_a_program_ends_where_it_ends_under_pytorch(name):
    """After many steps roundings have grown, in a GAN to percents of a loss, so it is the mean of the last that counts."""
    outcome = run(name, steps=60)
    ours, theirs = np.array(outcome.gradwire[-15:]), np.array(outcome.pytorch[-15:])
    assert abs(ours.mean() - theirs.mean()) <= 0.02 * abs(theirs).mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in names() if not hasattr(module_of(name), "CPU_ALONE")])
def test_a_program_gives_the_same_losses_where_cuda_is_the_default_device(name):
    """Over the stand-in for CuPy, which refuses arrays of the host: so nothing that a program makes stays there."""
    before = use_cuda_module(standin)
    try:
        outcome = run(name, steps=3, device="cuda")
    finally:
        use_cuda_module(before)
    assert (outcome.differences <= outcome.tolerance).all()
