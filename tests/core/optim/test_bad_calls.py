"""What optimizers refuse: in PyTorch's words where it refuses too, and in clear ones where only this library does."""

from __future__ import annotations

import importlib
import warnings

import pytest
import torch as real

import gradwire as torch

from .problems import NAMES, parameters


def leaf(t):
    return t.ones(2, requires_grad=True)


def adds(t, group, names=False):
    o = t.optim.SGD([("a", leaf(t))] if names else [leaf(t)], lr=1)
    o.add_param_group(group)


BAD = [
    lambda t: t.optim.SGD([], lr=1),
    lambda t: t.optim.SGD(leaf(t), lr=1),
    lambda t: t.optim.SGD(leaf(t).double().detach(), lr=1),
    lambda t: t.optim.SGD([leaf(t) * 1], lr=1),
    lambda t: t.optim.SGD([3]),
    lambda t: t.optim.SGD(["w"]),
    lambda t: t.optim.SGD([leaf(t)], lr=-1),
    lambda t: t.optim.SGD([leaf(t)], lr=t.tensor([0.1, 0.2])),
    lambda t: t.optim.SGD([leaf(t)], momentum=-1),
    lambda t: t.optim.SGD([leaf(t)], weight_decay=-1),
    lambda t: t.optim.SGD([leaf(t)], nesterov=True),
    lambda t: t.optim.SGD([leaf(t)], fused=True, foreach=True),
    lambda t: t.optim.SGD([leaf(t)], fused=True, differentiable=True),
    lambda t: t.optim.SGD([leaf(t)], 0.1, 0, 0, 0, False, True),
    lambda t: t.optim.SGD([leaf(t)], learning_rate=1),
    lambda t: t.optim.Adam([leaf(t)], lr=t.tensor(0.1), foreach=True),
    lambda t: t.optim.Adam([leaf(t)], betas=(1.0, 0.9)),
    lambda t: t.optim.Adam([leaf(t)], betas=(0.9, -0.1)),
    lambda t: t.optim.Adam([leaf(t)], betas=(t.tensor(0.9), 0.99)),
    lambda t: t.optim.Adam([leaf(t)], eps=-1),
    lambda t: t.optim.AdamW([leaf(t)], weight_decay=-1),
    lambda t: t.optim.RMSprop([leaf(t)], weight_decay=-1),
    lambda t: t.optim.RMSprop([leaf(t)], momentum=-1),
    lambda t: t.optim.RMSprop([leaf(t)], alpha=-1),
    lambda t: t.optim.RMSprop([leaf(t)], eps=-1),
    lambda t: t.optim.Adagrad([leaf(t)], lr_decay=-1),
    lambda t: t.optim.Adagrad([leaf(t)], eps=-1),
    lambda t: t.optim.Adagrad([leaf(t)], initial_accumulator_value=-1),
    lambda t: t.optim.Adadelta([leaf(t)], rho=1.1),
    lambda t: t.optim.Adamax([leaf(t)], betas=(0.9, 1)),
    lambda t: t.optim.NAdam([leaf(t)], momentum_decay=-1),
    lambda t: t.optim.RAdam([leaf(t)], lr=-0.1),
    lambda t: t.optim.Rprop([leaf(t)], etas=(1.1, 1.2)),
    lambda t: t.optim.ASGD([leaf(t)], weight_decay=-1),
    lambda t: t.optim.LBFGS([leaf(t)], lr=-1),
    lambda t: t.optim.LBFGS([{"params": [leaf(t)]}, {"params": [leaf(t)]}]),
    lambda t: t.optim.SGD([{"params": (ps := [leaf(t)])}, {"params": ps}]),
    lambda t: t.optim.SGD([{"params": {leaf(t)}}]),
    lambda t: t.optim.SGD([("a", leaf(t)), leaf(t)]),
    lambda t: adds(t, [leaf(t)]),
    lambda t: adds(t, {"params": [("a", leaf(t))]}),
    lambda t: adds(t, {"params": [leaf(t)]}, names=True),
    lambda t: t.optim.Optimizer([leaf(t)], {"lr": importlib.import_module(f"{t.__name__}.optim.optimizer").required}),
]  # fmt: skip


def first_line(t, call):
    with pytest.raises(Exception) as caught:
        call(t)
    return caught.type, str(caught.value).split("\n")[0].split(" at 0x")[0]


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_wrong_optimizer_is_refused_in_torchs_words(number):
    ours, theirs = first_line(torch, BAD[number]), first_line(real, BAD[number])
    if theirs[0] is TypeError and "argument" in theirs[1]:  # Python's own words name the function
        assert (
            ours[0] is TypeError
            and ours[1].replace("gradwire", "torch").split(".")[-1] == theirs[1].split(".")[-1]
        )
    else:
        assert ours == (theirs[0], theirs[1].replace("torch.optim", "gradwire.optim"))


MODES = [
    (name, mode)
    for name in NAMES
    for mode in ("capturable", "differentiable")
    if mode in getattr(real.optim, name)([leaf(real)]).defaults
]


@pytest.mark.parametrize("name,mode", MODES)
def test_modes_that_would_change_the_step_are_refused(name, mode):
    with pytest.raises(NotImplementedError, match=f"{name}: {mode}=True is not supported"):
        getattr(torch.optim, name)([leaf(torch)], **{mode: True})


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
def test_a_parameter_given_twice_is_warned_of_and_stepped_twice(t):
    p = leaf(t)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        o = t.optim.SGD([p, p], lr=0.25)
    for _ in range(3):
        o.zero_grad()
        p.sum().backward()
        o.step()
    assert p.tolist() == [-0.5, -0.5]


def test_a_base_without_update_says_what_it_lacks():
    p = leaf(torch)
    o = torch.optim.Optimizer([p], {})
    p.sum().backward()
    with pytest.raises(NotImplementedError, match="lacks update"):
        o.step()


def test_state_that_no_longer_fits_its_parameter_is_refused():
    ps = parameters(torch)
    o = torch.optim.Adam(ps)
    for p in ps:
        p.grad = torch.ones_like(p)
    o.step()
    ps[0].data = torch.ones(2, 2, dtype=torch.float64)
    ps[0].grad = torch.ones_like(ps[0])
    with pytest.raises(RuntimeError, match=r"'exp_avg' has shape \[3, 4\]"):
        o.step()
    ps[0].data = torch.ones(3, 4)
    ps[0].grad = torch.ones_like(ps[0])
    with pytest.raises(RuntimeError, match=r"dtype torch\.float64, which does not fit"):
        o.step()


def test_a_gradient_that_no_longer_fits_is_refused():
    ps = parameters(torch)
    o = torch.optim.SGD(ps, lr=0.1)
    with warnings.catch_warnings():
        for _ in range(2):
            for p in ps:
                p.grad = torch.ones_like(p)
            o.step()
    ps[1].grad.data = torch.ones(1, dtype=torch.float64)
    with pytest.raises(RuntimeError, match=r"has a gradient of shape \[1\]"):
        o.step()
