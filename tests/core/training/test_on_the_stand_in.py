"""A whole job gives the CPU's bits on the stand-in: nothing on the way depends on where the arrays are.

Operations may have steps of their own for NumPy's memory (layer norm has): then the last bits differ, and nothing else.
"""

from __future__ import annotations

import numpy as np
import pytest

import gradwire
from gradwire import nn
from gradwire.nn import functional as F
from gradwire.training import train_solo
from gradwire.utils.data import TensorDataset


def _data(*shape):
    x = np.random.default_rng(5).standard_normal(shape, np.float32)
    y = (x.reshape(shape[0], -1).sum(1) > 0).astype(np.int64)
    return TensorDataset(gradwire.from_numpy(x), gradwire.from_numpy(y))


class SmallConvNet(gradwire.Job):
    """Convolution, batch statistics, an integer buffer, dropout, held-out data and momentum."""

    epochs = 2
    batch_size = 12

    def model(self):
        return nn.Sequential(
            nn.Conv2d(2, 3, 3, stride=2, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Dropout(0.3), nn.Linear(12, 2),
        )  # fmt: skip

    def train_data(self):
        return _data(27, 2, 8, 8)

    def eval_data(self):
        return _data(9, 2, 8, 8)

    def optimizer(self, model):
        return gradwire.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)

    def loss(self, model, batch):
        x, y = batch
        return F.cross_entropy(model(x), y, label_smoothing=0.1)


class ClippedPerceptron(gradwire.Job):
    """Adam, clipping, a schedule, normalized rows, and metrics beside the loss."""

    epochs = 2
    batch_size = 10
    clip_grad_norm = 0.05

    def model(self):
        return nn.Sequential(nn.Linear(6, 8), nn.RMSNorm(8), nn.GELU(), nn.Linear(8, 2))

    def train_data(self):
        return _data(23, 6)

    def optimizer(self, model):
        return gradwire.optim.Adam(model.parameters(), lr=1e-2, amsgrad=True)

    def scheduler(self, optimizer):
        return gradwire.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)

    def loss(self, model, batch):
        x, y = batch
        out = model(x)
        return {"loss": F.cross_entropy(out, y), "accuracy": (out.argmax(1) == y).float().mean()}


@pytest.mark.parametrize("job", [SmallConvNet, ClippedPerceptron])
def test_a_job_ends_with_the_same_sha256_on_every_device(job, device):
    here, on_cpu = train_solo(job(), shards=4, device=device), train_solo(job(), shards=4)
    assert here.parameters_sha256 == on_cpu.parameters_sha256
    assert here.history == on_cpu.history
    assert here.evaluation == on_cpu.evaluation
    assert {str(p.device.type) for p in here.model.parameters()} == {device}


class LayerNormed(ClippedPerceptron):
    """Layer norm, which goes block by block through NumPy's memory."""

    def model(self):
        return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 2))


def test_a_job_with_layer_norm_differs_in_its_last_bits_alone(device):
    here, on_cpu = train_solo(LayerNormed(), shards=4, device=device), train_solo(LayerNormed(), shards=4)
    losses = [[h["loss"] for h in run.history] for run in (here, on_cpu)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    again = train_solo(LayerNormed(), shards=4, device=device)
    assert again.parameters_sha256 == here.parameters_sha256


class Overflowing(ClippedPerceptron):
    """Steps left out, a scale that finds its way, shards in parts."""

    on_non_finite = "skip"
    loss_scale = "dynamic"
    accumulate = 2

    def train_data(self):
        data = _data(23, 6)
        data.tensors[0][4] = float("inf")
        return data

    def loss(self, model, batch):
        bias = model[-1].bias
        return super().loss(model, batch)["loss"] + (bias.sum() - bias.detach().sum()) * 1e-34 * 1e34


def test_steps_are_left_out_alike_on_every_device(device):
    here, on_cpu = train_solo(Overflowing(), shards=4, device=device), train_solo(Overflowing(), shards=4)
    assert here.parameters_sha256 == on_cpu.parameters_sha256
    assert repr(here.history) == repr(on_cpu.history)
    assert here.chains == on_cpu.chains
    assert {h["skipped"] for h in here.history} == {0.0, 1.0}


def test_what_went_wrong_is_named_alike_on_every_device(device):
    messages = set()
    for where in (device, "cpu"):
        job = Overflowing()
        job.on_non_finite, job.loss_scale = "fail", 1.0
        with pytest.raises(ArithmeticError, match=r"made NaN \(test_on_the_stand_in.py, line \d+") as caught:
            train_solo(job, shards=4, device=where)
        messages.add(str(caught.value))
    assert len(messages) == 1
