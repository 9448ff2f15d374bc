"""Muon and Adafactor, which see parameters whole, and Lion, beside PyTorch's or the paper's formula."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch as real

import gradwire as torch

from .problems import SHAPES, ids, parameters, run

ADAFACTOR = [
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.1, "weight_decay": 0.1, "d": 2.0}),
    ("Adafactor", {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-4, 1e-2), "maximize": True}),
]
MUON = [
    ("Muon", {}),
    ("Muon", {"lr": 0.02, "nesterov": False, "weight_decay": 0.0}),
    ("Muon", {"lr": 0.02, "momentum": 0.5, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3}),
    ("Muon", {"lr": 0.02, "ns_coefficients": (2.0, -1.5, 0.5), "adjust_lr_fn": "original", "eps": 0.5}),
]
MATRICES = [(3, 4), (8, 5), (1, 6), (4, 4)]


def path(t, name, options, shapes, dtype, device="cpu", steps=50):
    ps = parameters(t, dtype, device, shapes)
    o = getattr(t.optim, name)(ps, **options)
    return run(o, ps, steps)


@pytest.mark.parametrize("name,options", ADAFACTOR, ids=ids(ADAFACTOR))
@pytest.mark.parametrize("dtype,tolerance", [("float64", 1e-10), ("float32", 1e-4)])
def test_adafactor_is_torchs(name, options, dtype, tolerance, device):
    shapes = [*SHAPES, (2, 2, 3, 2)]
    steps = 50 if device == "cpu" else 4
    ours = path(torch, name, options, shapes, dtype, device, steps)
    np.testing.assert_allclose(
        ours, path(real, name, options, shapes, dtype, steps=steps), rtol=tolerance, atol=tolerance / 10
    )


@pytest.mark.parametrize("name,options", MUON, ids=ids(MUON))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_muon_is_torchs_as_far_as_bfloat16_goes(name, options, dtype, device):
    ours = path(torch, name, options, MATRICES, dtype, device, 20)
    theirs = path(real, name, options, MATRICES, dtype, steps=20)
    np.testing.assert_allclose(ours[0], theirs[0], atol=options.get("lr", 1e-3) * 0.02)
    np.testing.assert_allclose(ours, theirs, atol=options.get("lr", 1e-3) * 0.2)


def test_muon_makes_singular_values_alike():
    p = torch.zeros(6, 4, requires_grad=True)
    p.grad = torch.tensor(np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32))
    torch.optim.Muon([p], lr=1.0, weight_decay=0.0).step()
    values = np.linalg.svd(p.detach().numpy() / np.sqrt(6 / 4), compute_uv=False)
    assert values.min() > 0.5 and values.max() < 1.5


@pytest.mark.parametrize(
    "name,options,shapes", [(*c, SHAPES) for c in ADAFACTOR[:2]] + [(*c, MATRICES) for c in MUON[:2]]
)
def test_states_go_on_and_have_torchs_entries(name, options, shapes):
    def saved(t):
        ps = parameters(t, shapes=shapes)
        o = getattr(t.optim, name)(ps, **options)
        run(o, ps, 3)
        return ps, o, copy.deepcopy(o.state_dict())

    (ps, o, state), (_, _, expected) = saved(torch), saved(real)
    for number, entries in expected["state"].items():
        mine = state["state"][number]
        assert {k: (tuple(v.shape), str(v.dtype)) for k, v in mine.items()} == {
            k: (tuple(v.shape), str(v.dtype)) for k, v in entries.items()
        }
    assert {k: v for k, v in state["param_groups"][0].items() if k != "params"} == {
        k: v for k, v in expected["param_groups"][0].items() if k != "params"
    }
    again = [p.detach().clone().requires_grad_() for p in ps]
    q = getattr(torch.optim, name)(again)
    q.load_state_dict(state)
    np.testing.assert_array_equal(run(q, again, 4, 3), run(o, ps, 4, 3))


def leaf(t):
    return t.ones(2, 2, requires_grad=True)


BAD = [
    lambda t: t.optim.Muon([leaf(t)], lr=-1),
    lambda t: t.optim.Muon([leaf(t)], momentum=-1),
    lambda t: t.optim.Muon([leaf(t)], weight_decay=-1),
    lambda t: t.optim.Muon([leaf(t)], adjust_lr_fn="x"),
    lambda t: t.optim.Muon([t.ones(3, requires_grad=True)]),
    lambda t: t.optim.Adafactor([leaf(t)], lr=-1),
    lambda t: t.optim.Adafactor([leaf(t)], beta2_decay=1),
    lambda t: t.optim.Adafactor([leaf(t)], eps=(-1, 1e-3)),
    lambda t: t.optim.Adafactor([leaf(t)], eps=(None, -1)),
    lambda t: t.optim.Adafactor([leaf(t)], d=0.5),
    lambda t: t.optim.Adafactor([leaf(t)], weight_decay=-1),
]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_wrong_options_are_refused_in_torchs_words(number):
    def error(t):
        with pytest.raises(Exception) as caught:
            BAD[number](t)
        return caught.type, str(caught.value)

    assert error(torch) == error(real)


def test_muons_iteration_has_bounds():
    for options, message in (
        ({"ns_steps": 100}, "less than 100"),
        ({"ns_coefficients": (1.0, 2.0)}, "exactly 3"),
    ):
        p = leaf(torch)
        p.grad = torch.ones(2, 2)
        with pytest.raises(ValueError, match=message):
            torch.optim.Muon([p], **options).step()


@pytest.mark.parametrize("options", [{}, {"lr": 0.01, "betas": (0.8, 0.9), "weight_decay": 0.3}])
@pytest.mark.parametrize("maximize", [False, True])
def test_lion_is_the_papers(options, maximize, device):
    """Algorithm 2 of arXiv:2302.06675 in tensor operations of PyTorch."""
    ps = parameters(torch, device=device)
    ours = run(torch.optim.Lion(ps, maximize=maximize, **options), ps, 50)
    lr, (beta1, beta2) = options.get("lr", 1e-4), options.get("betas", (0.9, 0.99))

    class Lion(real.optim.Optimizer):
        def step(self):
            with real.no_grad():
                for p in self.param_groups[0]["params"]:
                    if p.grad is None:
                        continue
                    m = self.state[p].setdefault("m", real.zeros_like(p))
                    g = -p.grad if maximize else p.grad
                    c = beta1 * m + (1 - beta1) * g
                    p -= lr * (c.sign() + options.get("weight_decay", 0) * p)
                    m.copy_(beta2 * m + (1 - beta2) * g)

    others = parameters(real)
    np.testing.assert_allclose(ours, run(Lion(others, {}), others, 50), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "options", [{"lr": -1}, {"betas": (1.0, 0.9)}, {"betas": (0.9, -1)}, {"weight_decay": -1}]
)
def test_lion_refuses_what_adam_does(options):
    with pytest.raises(ValueError, match="Invalid"):
        torch.optim.Lion([leaf(torch)], **options)
