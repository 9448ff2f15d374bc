"""Fifty steps of each optimizer beside PyTorch's, in float64 and float32, and what optimizers refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch as real

import gradwire as torch

from .problems import NAMES, RULES, ids, parameters, run


@pytest.mark.parametrize("name,options", RULES, ids=ids(RULES))
@pytest.mark.parametrize("dtype,tolerance", [("float64", 1e-10), ("float32", 2e-4)])
def test_fifty_steps_are_torchs(name, options, dtype, tolerance):
    def path(t):
        ps = parameters(t, dtype)
        return run(getattr(t.optim, name)(ps, **options), ps, 50)

    np.testing.assert_allclose(path(torch), path(real), rtol=tolerance, atol=tolerance / 100)


@pytest.mark.parametrize("name,options", RULES, ids=ids(RULES))
def test_the_steps_are_the_same_on_every_device(name, options, device):
    def path(where):
        ps = parameters(torch, "float32", where)
        return run(getattr(torch.optim, name)(ps, **options), ps, 10)

    np.testing.assert_allclose(path(device), path("cpu"), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name,options", [(n, {"lr": 0.05}) for n in NAMES] + [("AdamW", {"amsgrad": True})])
@pytest.mark.parametrize("dtype,tolerance", [("float16", 0.01), ("bfloat16", 0.08)])
def test_halves_are_torchs_within_their_rounding(name, options, dtype, tolerance):
    def path(t):
        ps = [p.detach().to(getattr(t, dtype)).requires_grad_() for p in parameters(t, "float32")]
        o = getattr(t.optim, name)(ps, **options)
        rng = np.random.default_rng(0)
        result = []
        for _ in range(15):
            for p in ps:
                p.grad = t.tensor(rng.standard_normal(tuple(p.shape)).astype(np.float32)).to(p.dtype)
            o.step()
            result.append(np.concatenate([p.detach().float().numpy().reshape(-1) for p in ps]))
        assert all(p.dtype is getattr(t, dtype) for p in ps)
        return np.array(result)

    np.testing.assert_allclose(path(torch), path(real), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_scalars_follow_the_default_dtype_as_torchs_do(name):
    def path(t):
        before = t.get_default_dtype()
        t.set_default_dtype(t.float64)
        try:
            ps = parameters(t)
            return run(getattr(t.optim, name)(ps), ps, 20)
        finally:
            t.set_default_dtype(before)

    np.testing.assert_allclose(path(torch), path(real), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_groups_have_their_own_options_as_in_torch(name):
    def path(t):
        ps = parameters(t)
        o = getattr(t.optim, name)([{"params": ps[:2], "lr": 0.2}, {"params": ps[2]}], lr=0.01)
        o.add_param_group({"params": ps[3:], "lr": t.tensor(0.02, dtype=t.float64), "maximize": True})
        return run(o, ps, 10)

    np.testing.assert_allclose(path(torch), path(real), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_options_may_change_between_steps(name):
    def path(t):
        ps = parameters(t)
        o = getattr(t.optim, name)(ps, lr=0.01)
        first = run(o, ps, 5)
        for group in o.param_groups:
            group["lr"] *= 0.5
            for option, value in (("weight_decay", 0.1), ("momentum", 0.5), ("betas", (0.5, 0.6))):
                if option in group and name != "RMSprop":
                    group[option] = value
        return np.concatenate([first, run(o, ps, 10, 5)])

    np.testing.assert_allclose(path(torch), path(real), rtol=1e-8, atol=1e-10)


def test_a_run_that_diverges_does_so_silently():
    p = torch.full((2,), 1e30, requires_grad=True)
    o = torch.optim.SGD([p], lr=1e30, momentum=0.9)
    for _ in range(3):
        o.zero_grad()
        (p * p).sum().backward()
        o.step()
    assert not torch.isfinite(p).any()


def test_the_state_dict_has_torchs_shape():
    def shape(t):
        ps = parameters(t)
        o = t.optim.Adam(ps, lr=0.1)
        run(o, ps, 2)
        d = o.state_dict()
        return {k: sorted(v) for k, v in d["state"].items()}, [g["params"] for g in d["param_groups"]]

    assert shape(torch) == shape(real)


def test_a_closure_is_called_with_gradients_on_and_its_loss_returned():
    p = parameters(torch)[0]
    start = p.detach().numpy().copy()
    o = torch.optim.SGD([p], lr=0.1)

    def closure():
        o.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert o.step(closure).item() == pytest.approx((start**2).sum())
    np.testing.assert_allclose(p.detach().numpy(), start * 0.8)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_and_repr_are_torchs(name):
    def seen(t):
        ps = parameters(t)
        kind = getattr(t.optim, name)
        o = kind([{"params": ps[:1]}, {"params": ps[1:], "lr": 0.25, "own": "x"}])
        return kind(ps).defaults, repr(o)

    assert seen(torch) == seen(real)
