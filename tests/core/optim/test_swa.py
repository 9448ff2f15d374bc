"""Averaged models and the statistics of batch norms beside PyTorch's."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch as real

import gradwire as torch


def model(t, device="cpu"):
    nn = t.nn
    m = nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2), nn.BatchNorm1d(2, momentum=None)
    ).double()
    with t.no_grad():
        for k, p in enumerate(m.parameters()):
            p.copy_(t.linspace(-1, 1 + k, p.numel(), dtype=t.float64).reshape(p.shape))
    return m.to(device)


def batches(t, n=5):
    rng = np.random.default_rng(0)
    return [(t.tensor(rng.standard_normal((6, 3))), t.tensor(i)) for i in range(n)]


def arrays(m):
    return {k: v.detach().cpu().numpy() for k, v in m.state_dict().items()}


WAYS = {
    "the mean": lambda u: {},
    "an average of one's own": lambda u: {"avg_fn": lambda a, p, n: 0.7 * a + 0.3 * p},
    "swa": lambda u: {"avg_fn": u.get_swa_avg_fn()},
    "swa, lists": lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
    "ema": lambda u: {"avg_fn": u.get_ema_avg_fn(0.9)},
    "ema, lists": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9)},
    "ema by default": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn()},
    "buffers too": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.5), "use_buffers": True},
    "buffers too, the mean": lambda u: {"use_buffers": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_averages_over_training_are_torchs(way, device):
    def trained(t, device):
        m = model(t, device)
        average = t.optim.swa_utils.AveragedModel(m, **WAYS[way](t.optim.swa_utils))
        o = t.optim.SGD(m.parameters(), lr=0.01)  # Adam would magnify the rounding in gradients that are 0
        for x, _ in batches(t, 8):
            o.zero_grad()
            m(x.to(device)).pow(2).mean().backward()
            o.step()
            average.update_parameters(m)
        average.eval()
        return arrays(average), average(x.to(device)).detach().cpu().numpy()

    ours, theirs = trained(torch, device), trained(real, "cpu")
    assert list(ours[0]) == list(theirs[0])
    for k, expected in theirs[0].items():
        np.testing.assert_allclose(ours[0][k], expected, rtol=1e-8, atol=1e-10, err_msg=k)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-7, atol=1e-9)


def test_the_average_is_a_copy():
    m = model(torch)
    average = torch.optim.swa_utils.AveragedModel(m)
    before = copy.deepcopy(arrays(average))
    o = torch.optim.SGD(m.parameters(), lr=1.0)
    for x, _ in batches(torch):
        o.zero_grad()
        m(x).sum().backward()
        o.step()
    for k, v in arrays(average).items():
        np.testing.assert_array_equal(v, before[k])


@pytest.mark.parametrize("as_pairs", [True, False])
def test_statistics_of_batch_norms_are_computed_anew(as_pairs):
    def updated(t):
        m = model(t).eval()
        m(batches(t)[0][0])
        t.optim.swa_utils.update_bn([b if as_pairs else b[0] for b in batches(t)], m)
        assert not m.training and [m[1].momentum, m[4].momentum] == [0.1, None]
        return arrays(m)

    ours, theirs = updated(torch), updated(real)
    for k, expected in theirs.items():
        np.testing.assert_allclose(ours[k], expected, rtol=1e-10, err_msg=k)


def test_a_model_without_batch_norms_is_left_alone():
    m = torch.nn.Linear(2, 2)
    torch.optim.swa_utils.update_bn(iter([]), m)  # the loader is not even looked at
    assert m.training


@pytest.mark.parametrize("t", [torch, real], ids=["gradwire", "torch"])
def test_two_averages_at_once_are_refused(t):
    u = t.optim.swa_utils
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn should be provided"):
        u.AveragedModel(model(t), avg_fn=u.get_swa_avg_fn(), multi_avg_fn=u.get_swa_multi_avg_fn())
