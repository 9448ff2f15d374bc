"""Names of the torch namespace beside the catalogue's functions: constants, in-place functions, promises of exactness."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import torch as real

import gradwire as torch
from gradwire.functions import _IN_PLACE

VALUES = np.array([0.2, 0.5, 0.9, 0.7], np.float32)
MORE = {
    "clamp_": (0.3, 0.6),
    "clip_": (0.3, 0.6),
    "clamp_max_": (0.6,),
    "clamp_min_": (0.6,),
    "fill_": (2.5,),
}


def arguments(t, name):
    if name == "addmv_":
        return t.ones(4, 2), t.ones(2)
    return (t.ones(4) * 2,) if name == "xlogy_" else MORE.get(name, ())


@pytest.mark.parametrize("name", _IN_PLACE)
def test_an_in_place_function_does_what_pytorchs_does(name):
    results = []
    for t in (torch, real):
        x = t.from_numpy(VALUES + 1 if name in ("acosh_", "arccosh_") else VALUES.copy())
        out = getattr(t, name)(x, *arguments(t, name))
        assert out is x
        results.append(x.tolist())
    np.testing.assert_allclose(*results, rtol=2e-6, atol=1e-6)
    with pytest.raises((TypeError, AttributeError)):
        getattr(torch, name)(3, *arguments(torch, name))


def test_pytorch_has_all_of_these_functions():
    assert [n for n in _IN_PLACE if not hasattr(real, n)] == []


def test_constants_are_pytorchs():
    assert (torch.pi, torch.e, torch.inf, torch.newaxis) == (real.pi, real.e, real.inf, real.newaxis)
    assert math.isnan(torch.nan)
    assert torch.arange(3)[torch.newaxis].shape == (1, 3)


def test_what_asks_for_exactness_is_granted_and_less_changes_nothing():
    torch.use_deterministic_algorithms(True)
    torch.use_deterministic_algorithms(False, warn_only=True)
    assert torch.are_deterministic_algorithms_enabled()
    for t in (torch, real):
        t.set_float32_matmul_precision("highest")
        assert t.get_float32_matmul_precision() == "highest"
        with pytest.warns(UserWarning, match="low is not one of 'highest', 'high', or 'medium'"):
            t.set_float32_matmul_precision("low")
        assert t.get_float32_matmul_precision() == "highest"
    torch.set_float32_matmul_precision("medium")
    assert torch.get_float32_matmul_precision() == "highest"
    with pytest.raises(TypeError):
        torch.use_deterministic_algorithms("yes")


def test_cuda_and_cpu_have_one_generator():
    torch.cuda.manual_seed(5)
    first = torch.rand(2).tolist()
    torch.cuda.manual_seed_all(5)
    state = torch.cuda.get_rng_state()
    assert torch.rand(2).tolist() == first and torch.cuda.initial_seed() == 5 == torch.initial_seed()
    torch.cuda.set_rng_state(state)
    assert torch.rand(2).tolist() == first
    torch.cuda.seed()
    one = torch.initial_seed()
    torch.cuda.seed_all()
    assert one != torch.initial_seed()


@pytest.mark.parametrize(
    "ask",
    [
        lambda t: t.is_signed(t.ones(1)),
        lambda t: t.is_signed(t.ones(1, dtype=t.uint8)),
        lambda t: t.is_same_size(t.ones(2), t.zeros(2)),
        lambda t: t.is_same_size(t.ones(2), t.zeros(1)),
        lambda t: t.get_device(t.ones(1)),
        lambda t: t.detach(t.ones(1, requires_grad=True)).requires_grad,
    ],
)
def test_questions_to_tensors_are_answered_as_by_pytorch(ask):
    assert ask(torch) == ask(real)


def test_functions_of_the_namespace_are_described():
    undescribed = [
        n for n in dir(torch) if inspect.isfunction(getattr(torch, n)) and not n.startswith("_") and n.endswith("_like")
        and not getattr(torch, n).__doc__
    ]  # fmt: skip
    assert not undescribed
