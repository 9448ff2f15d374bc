"""A small training as people write it, with everything of optim in it, beside PyTorch: every loss the same."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch as real

import gradwire as torch

from .problems import NAMES

X = np.random.default_rng(0).standard_normal((48, 6))
Y = (X.sum(1) > 0).astype(np.int64)
BEGIN = real.nn.Sequential(
    real.nn.Linear(6, 8), real.nn.LayerNorm(8), real.nn.Tanh(), real.nn.Linear(8, 2)
).double()
BEGIN = {k: v.numpy().copy() for k, v in BEGIN.state_dict().items()}


def model(t):
    nn = t.nn
    m = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 2)).double()
    m.load_state_dict({k: t.tensor(v) for k, v in BEGIN.items()})
    return m


def trained(t, name, where="cpu"):
    m = model(t).to(where)
    groups = [
        {"params": [p for n, p in m.named_parameters() if "bias" not in n], "weight_decay": 0.01},
        {"params": [p for n, p in m.named_parameters() if "bias" in n]},
    ]
    if name == "Rprop":
        groups = [{"params": m.parameters()}]
    o = getattr(t.optim, name)(groups, lr=0.02)
    lrs = t.optim.lr_scheduler
    schedule = lrs.SequentialLR(o, [lrs.LinearLR(o, 0.2, total_iters=5), lrs.CosineAnnealingLR(o, 25)], [5])
    u = t.optim.swa_utils
    average = u.AveragedModel(m, multi_avg_fn=u.get_ema_multi_avg_fn(0.9))
    x, y = t.tensor(X).to(where), t.tensor(Y).to(where)
    losses = []
    for step in range(30):
        rows = slice(step % 3 * 16, step % 3 * 16 + 16)
        for half in (slice(0, 8), slice(8, 16)):  # two gradients added up
            loss = t.nn.functional.cross_entropy(m(x[rows][half]), y[rows][half]) / 2
            loss.backward()
        total = t.nn.utils.clip_grad_norm_(m.parameters(), 0.5)
        o.step()
        o.zero_grad(set_to_none=step % 2 == 0)
        schedule.step()
        average.update_parameters(m)
        losses.append([loss.item(), total.item(), *schedule.get_last_lr()])
        if step == 9:
            m[0].weight.requires_grad_(False)
        if step == 14:
            m[0].weight.requires_grad_(True)
        if step == 19:  # as after a restart
            saved = copy.deepcopy((m.state_dict(), o.state_dict(), schedule.state_dict()))
            m.load_state_dict(saved[0])
            o.load_state_dict(saved[1])
            schedule.load_state_dict(saved[2])
    losses.append([t.nn.functional.cross_entropy(average(x), y).item()] * len(losses[0]))
    return np.array(losses)


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler")
@pytest.mark.parametrize("name", NAMES)
def test_losses_are_torchs(name):
    np.testing.assert_allclose(trained(torch, name), trained(real, name), rtol=1e-7)


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler")
@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam"])
def test_losses_are_the_same_on_every_device(name, device):
    np.testing.assert_allclose(trained(torch, name, device), trained(torch, name), rtol=1e-7)
