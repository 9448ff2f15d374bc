"""AdaptiveLogSoftmaxWithLoss: all classes at once, and what is most probable, beside PyTorch's; skip_init."""

from __future__ import annotations

import numpy as np
import pytest
import torch as theirs

import gradwire as ours
from tests.core.stories import same


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_log_probabilities_and_predictions_of_all_classes_are_torchs(scale, device):
    x = np.random.default_rng(0).standard_normal((40, 8)) * scale
    expected = theirs.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [3, 10], 2.0).double()
    mine = ours.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [3, 10], 2.0).double()
    mine.load_state_dict({k: ours.tensor(v.numpy()) for k, v in expected.state_dict().items()})
    mine.to(device)
    found, wanted = mine.log_prob(ours.tensor(x, device=device)), expected.log_prob(theirs.tensor(x))
    np.testing.assert_allclose(found.detach().cpu().numpy(), wanted.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(found.exp().sum(1).detach().cpu().numpy(), 1.0)
    classes = mine.predict(ours.tensor(x, device=device))
    assert classes.tolist() == expected.predict(theirs.tensor(x)).tolist() and len(set(classes.tolist())) > 1


def test_each_target_has_its_log_probability_among_all_classes():
    layer = ours.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [3, 10], 2.0)
    x, target = ours.randn(20, 8), ours.arange(20)
    found = layer(x, target)
    assert ours.allclose(found.output, layer.log_prob(x).diagonal(), atol=1e-6)
    assert ours.allclose(found.loss, -found.output.mean())
    assert layer(x[:0], target[:0]).output.shape == (0,)


def test_skip_init_draws_nothing_and_gives_the_module_its_shapes():
    ours.manual_seed(1)
    before = ours.get_rng_state()
    layer = ours.nn.utils.skip_init(ours.nn.Linear, 3, 4, dtype=ours.float64)
    assert ours.equal(before, ours.get_rng_state()) and layer.weight.requires_grad
    assert layer.weight.shape == (4, 3) and layer.weight.dtype == ours.float64
    assert same(lambda t: repr(t.nn.utils.skip_init(t.nn.Conv2d, 1, 2, 3)))


@pytest.mark.parametrize(
    "act", [lambda t: t.nn.utils.skip_init(t.nn.ReLU), lambda t: t.nn.utils.skip_init(dict)]
)
def test_skip_init_refuses_what_it_cannot_make(act):
    same(act)
