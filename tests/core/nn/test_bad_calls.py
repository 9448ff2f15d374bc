"""What PyTorch refuses is refused, with the same type of error; and float16 sums have room."""

from __future__ import annotations

import numpy as np
import pytest
import torch as theirs

import gradwire as ours

BOTH = pytest.mark.parametrize("t", [ours, theirs], ids=["gradwire", "torch"])
F = {ours: ours.nn.functional, theirs: theirs.nn.functional}

BAD = {
    "layer_norm-weight": lambda t, f: f.layer_norm(t.ones(2, 3), (3,), t.ones(1)),
    "batch_norm-no-statistics": lambda t, f: f.batch_norm(t.ones(4, 3), None, None),
    "batch_norm-statistics": lambda t, f: f.batch_norm(t.rand(4, 3), t.zeros(1), t.ones(1), training=True),
    "batch_norm-weight": lambda t, f: f.batch_norm(t.rand(4, 3), t.zeros(3), t.ones(3), t.ones(1)),
    "conv2d-bias": lambda t, f: f.conv2d(t.ones(1, 1, 3, 3), t.ones(3, 1, 2, 2), t.ones(1)),
    "conv2d-stride": lambda t, f: f.conv2d(t.ones(1, 1, 3, 3), t.ones(3, 1, 2, 2), stride=0),
    "conv2d-padding": lambda t, f: f.conv2d(t.ones(1, 1, 3, 3), t.ones(3, 1, 2, 2), padding=-1),
    "avg_pool2d-stride": lambda t, f: f.avg_pool2d(t.ones(1, 1, 3, 3), 2, stride=0),
    "bce-range": lambda t, f: f.binary_cross_entropy(t.tensor([1.5, 0.5]), t.tensor([1.0, 0.0])),
    "bce-nan": lambda t, f: f.binary_cross_entropy(t.tensor([float("nan")]), t.tensor([1.0])),
    "nll_loss-int32": lambda t, f: f.nll_loss(t.zeros(2, 3), t.zeros(2, dtype=t.int32)),
    "cross_entropy-int32": lambda t, f: f.cross_entropy(t.zeros(2, 3), t.zeros(2, dtype=t.int32)),
    "embedding-int16": lambda t, f: f.embedding(t.zeros(2, dtype=t.int16), t.zeros(2, 3)),
}


@BOTH
@pytest.mark.parametrize("name", BAD)
def test_a_bad_call_raises(t, name):
    with pytest.raises(RuntimeError):
        BAD[name](t, F[t])


def test_layer_norm_of_half_precision_has_room_for_its_sums():
    results = []
    for t in (ours, theirs):
        x = t.tensor([[300.0, 600.0, 900.0, 1200.0]], dtype=t.float16, requires_grad=True)
        weight = t.tensor([1.0, 2.0, 1.0, 0.5], dtype=t.float16)
        out = F[t].layer_norm(x, (4,), weight)
        (out * t.tensor([1.0, 0.0, -1.0, 2.0], dtype=t.float16)).sum().backward()
        assert str(out.dtype) == "torch.float16"
        results.append((out.detach().numpy(), x.grad.numpy()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=2e-3)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=2e-2, atol=1e-5)


def test_batch_norm_of_half_precision_has_room_for_its_sums():
    results = []
    for t in (ours, theirs):
        x = t.tensor([[300.0, 5.0], [600.0, 7.0], [1200.0, 8.0]], dtype=t.float16)
        mean, var = t.zeros(2), t.ones(2)
        out = F[t].batch_norm(x, mean, var, training=True)
        assert str(out.dtype) == "torch.float16"
        results.append((out.numpy(), mean.numpy(), var.numpy()))
    for mine, expected in zip(*results, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=2e-3)


@BOTH
def test_batch_norm_without_statistics_uses_the_batchs_in_evaluation_too(t):
    layer = t.nn.BatchNorm1d(2, track_running_stats=False).eval()
    out = layer(t.tensor([[1.0, 2.0], [3.0, 6.0]]))
    np.testing.assert_allclose(out.detach().numpy(), [[-1, -1], [1, 1]], atol=1e-4)


@BOTH
def test_a_part_of_an_expanded_tensor_without_overlap_is_written(t):
    base = t.zeros(3, 1)
    base.expand(3, 4)[:, 0].add_(2)
    assert base.tolist() == [[2], [2], [2]]
