"""An activation that writes to a layer's output, where PyTorch lets it: what the layer needs for its gradient is kept apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch as theirs

import gradwire as ours

LAYERS = {
    "linear": (lambda t: t.nn.Linear(6, 5), (4, 6)),
    "conv1d": (lambda t: t.nn.Conv1d(2, 3, 2), (2, 2, 5)),
    "conv2d": (lambda t: t.nn.Conv2d(2, 4, 3, groups=2), (2, 2, 5, 5)),
    "conv_transpose2d": (lambda t: t.nn.ConvTranspose2d(2, 3, 2), (2, 2, 3, 3)),
    "batch_norm1d": (lambda t: t.nn.BatchNorm1d(6), (4, 6)),
    "batch_norm2d": (lambda t: t.nn.BatchNorm2d(3), (4, 3, 2, 2)),
    "batch_norm2d-plain": (lambda t: t.nn.BatchNorm2d(3, affine=False), (4, 3, 2, 2)),
    "batch_norm2d-eval": (lambda t: t.nn.BatchNorm2d(3).eval(), (4, 3, 2, 2)),
    "layer_norm": (lambda t: t.nn.LayerNorm(6), (4, 6)),
    "layer_norm-plain": (lambda t: t.nn.LayerNorm(6, elementwise_affine=False), (4, 6)),
    "group_norm": (lambda t: t.nn.GroupNorm(2, 4), (3, 4, 5)),
    "instance_norm": (lambda t: t.nn.InstanceNorm1d(3, affine=True), (2, 3, 5)),
    "rms_norm": (lambda t: t.nn.RMSNorm(6), (4, 6)),
    "local_response_norm": (lambda t: t.nn.LocalResponseNorm(2), (2, 4, 5)),
    "max_pool2d": (lambda t: t.nn.MaxPool2d(2), (2, 3, 4, 4)),
    "avg_pool2d": (lambda t: t.nn.AvgPool2d(2), (2, 3, 4, 4)),
    "adaptive_avg_pool2d": (lambda t: t.nn.AdaptiveAvgPool2d(2), (2, 3, 5, 4)),
    "upsample": (lambda t: t.nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 3, 3)),
    "pixel_shuffle": (lambda t: t.nn.PixelShuffle(2), (1, 4, 3, 3)),
    "gelu": (lambda t: t.nn.GELU(), (4, 6)),
    "silu": (lambda t: t.nn.SiLU(), (4, 6)),
    "prelu": (lambda t: t.nn.PReLU(), (4, 6)),
    "flatten": (lambda t: t.nn.Flatten(), (2, 3, 4)),
    "bilinear": (lambda t: _Twice(t), (4, 3)),
}


class _Twice:
    def __init__(self, t):
        self.inner = t.nn.Bilinear(3, 3, 2)
        self.state_dict, self.load_state_dict = self.inner.state_dict, self.inner.load_state_dict
        self.parameters, self.to = self.inner.parameters, self._to

    def _to(self, *args):
        self.inner.to(*args)
        return self

    def __call__(self, x):
        return self.inner(x, x)


def _run(t, name, weights, device):
    make, shape = LAYERS[name]
    layer = make(t).to(device).to(t.float64)
    layer.load_state_dict({k: t.tensor(v).to(device) for k, v in weights.items()})
    leaf = t.from_numpy(np.cos(np.arange(np.prod(shape)) * 1.7).reshape(shape)).to(device).requires_grad_()
    out = layer(leaf * 1).relu_()
    (out * (out.detach() + 0.3)).sum().backward()
    arrays = [out.detach(), leaf.grad, *(p.grad for p in layer.parameters())]
    return [a.to("cpu").numpy() for a in arrays]


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_are_pytorchs(name, device):
    weights = {k: v.double().numpy() for k, v in LAYERS[name][0](theirs).state_dict().items()}
    for mine, expected in zip(
        _run(ours, name, weights, device), _run(theirs, name, weights, "cpu"), strict=True
    ):
        np.testing.assert_allclose(mine, expected, rtol=1e-10, atol=1e-12)
