"""Thirty steps of each optimizer and schedule beside torch's, in float64."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch as real

import gradwire as torch

RULES = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.01, "maximize": True, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1, "amsgrad": True}),
    ("Adam", {"lr": 0.1, "maximize": True}),
    ("AdamW", {"lr": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "alpha": 0.9, "momentum": 0.9, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1}),
]
START = np.random.default_rng(0).standard_normal((3, 4))
OTHER = np.random.default_rng(1).standard_normal(5)


def parameters(t):
    return [t.tensor(START, requires_grad=True), t.tensor(OTHER, requires_grad=True)]


def run(t, optimizer, ps, steps, first=0):
    """A bowl with a wave; the second parameter is left out of every third step."""
    path = []
    for i in range(first, first + steps):
        optimizer.zero_grad()
        loss = (ps[0] * ps[0]).sum() + (ps[0] * 0.5 + i).sin().sum()
        if i % 3 != 2:
            loss = loss + ((ps[1] - 1) ** 2).sum()
        loss.backward()
        optimizer.step()
        path.append(np.concatenate([p.detach().numpy().reshape(-1).copy() for p in ps]))
    return np.array(path)


@pytest.mark.parametrize("name,options", RULES, ids=[f"{n} {', '.join(o)}" for n, o in RULES])
def test_thirty_steps_are_torchs(name, options):
    def whole(t):
        ps = parameters(t)
        return run(t, getattr(t.optim, name)(ps, **options), ps, 30)

    np.testing.assert_allclose(whole(torch), whole(real), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name,options", RULES, ids=[f"{n} {', '.join(o)}" for n, o in RULES])
def test_a_saved_state_goes_on_where_it_was(name, options):
    ps = parameters(torch)
    o = getattr(torch.optim, name)(ps, **options)
    run(torch, o, ps, 7)
    state, values = copy.deepcopy(o.state_dict()), [p.detach().clone() for p in ps]
    expected = run(torch, o, ps, 5, 7)
    again = [v.clone().requires_grad_() for v in values]
    p = getattr(torch.optim, name)(again, lr=9.0)
    p.load_state_dict(state)
    np.testing.assert_array_equal(run(torch, p, again, 5, 7), expected)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_groups_have_their_own_options_as_in_torch(name):
    def whole(t):
        ps = parameters(t)
        o = getattr(t.optim, name)(
            [{"params": [ps[0]], "lr": 0.2}, {"params": ps[1], "weight_decay": 0.1}], lr=0.01
        )
        return run(t, o, ps, 10)

    np.testing.assert_allclose(whole(torch), whole(real), rtol=1e-10, atol=1e-12)


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
        run(t, o, ps, 2)
        d = o.state_dict()
        return {k: sorted(v) for k, v in d["state"].items()}, [g["params"] for g in d["param_groups"]]

    assert shape(torch) == shape(real)


def test_a_closure_is_called_with_gradients_on_and_its_loss_returned():
    (p,) = parameters(torch)[:1]
    o = torch.optim.SGD([p], lr=0.1)

    def closure():
        o.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with torch.no_grad():
        assert o.step(closure).item() == pytest.approx((START**2).sum())
    np.testing.assert_allclose(p.detach().numpy(), START * 0.8)


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t, p: t.optim.SGD([], lr=1), ValueError, "optimizer got an empty parameter list"),
        (lambda t, p: t.optim.SGD(p, lr=1), TypeError, "should be an iterable of Tensors or dicts"),
        (lambda t, p: t.optim.SGD([p * 1], lr=1), ValueError, "can't optimize a non-leaf Tensor"),
        (lambda t, p: t.optim.SGD([p], lr=-1), ValueError, "Invalid learning rate: -1"),
        (lambda t, p: t.optim.SGD([p], momentum=-1), ValueError, "Invalid momentum value: -1"),
        (lambda t, p: t.optim.SGD([p], nesterov=True), ValueError, "Nesterov momentum requires a momentum and zero dampening"),
        (lambda t, p: t.optim.Adam([p], betas=(1.0, 0.9)), ValueError, "Invalid beta parameter at index 0: 1.0"),
        (lambda t, p: t.optim.Adam([p], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda t, p: t.optim.RMSprop([p], weight_decay=-1), ValueError, "Invalid weight_decay value: -1"),
        (lambda t, p: t.optim.RMSprop([p], momentum=-1), ValueError, "Invalid momentum value: -1"),
        (lambda t, p: t.optim.RMSprop([p], alpha=-1), ValueError, "Invalid alpha value: -1"),
        (lambda t, p: t.optim.RMSprop([p], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda t, p: t.optim.Adagrad([p], lr_decay=-1), ValueError, "Invalid lr_decay value: -1"),
        (lambda t, p: t.optim.Adagrad([p], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda t, p: t.optim.SGD([{"params": [p]}, {"params": [p]}]), ValueError, "some parameters appear in more than one parameter group"),
        (lambda t, p: t.optim.SGD([3]), TypeError, "optimizer can only optimize Tensors, but one of the params is int"),
    ],
)  # fmt: skip
def test_a_wrong_optimizer_is_refused_in_torchs_words(t, call, error, message):
    with pytest.raises(error, match=message):
        call(t, t.ones(2, requires_grad=True))


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adagrad"])
def test_an_optimizers_repr_names_its_options(name):
    text = repr(getattr(torch.optim, name)(parameters(torch), lr=0.25))
    assert text.startswith(f"{name} (\nParameter Group 0\n") and "\n    lr: 0.25\n" in text


SCHEDULES = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 5, 5, 11], "gamma": 0.3}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 7}),
    ("CosineAnnealingLR", {"T_max": 10, "eta_min": 0.01}),
    ("LambdaLR", {"lr_lambda": lambda n: 1 / (1 + n)}),
    ("LambdaLR", {"lr_lambda": [lambda n: 0.9**n, lambda n: 1 + n]}),
]


def schedule(t, name, options, steps, state=None):
    ps = parameters(t)
    o = t.optim.SGD([{"params": [ps[0]], "lr": 0.5}, {"params": [ps[1]]}], lr=0.2)
    s = getattr(t.optim.lr_scheduler, name)(o, **options)
    if state is not None:
        s.load_state_dict(state)
    rates = [s.get_last_lr()]
    for _ in range(steps):
        o.step()
        s.step()
        rates.append([g["lr"] for g in o.param_groups])
    return rates, s.state_dict()


@pytest.mark.parametrize("name,options", SCHEDULES, ids=[f"{n} {', '.join(o)}" for n, o in SCHEDULES])
def test_a_schedules_rates_are_torchs(name, options):
    np.testing.assert_allclose(
        schedule(torch, name, options, 25)[0], schedule(real, name, options, 25)[0], rtol=1e-12
    )


@pytest.mark.parametrize("name,options", SCHEDULES, ids=[f"{n} {', '.join(o)}" for n, o in SCHEDULES])
def test_a_saved_schedule_goes_on_where_it_was(name, options):
    whole, _ = schedule(torch, name, options, 12)
    _, state = schedule(torch, name, options, 5)
    assert schedule(torch, name, options, 7, state)[0] == whole[5:]
