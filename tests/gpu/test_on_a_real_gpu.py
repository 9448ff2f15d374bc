"""The real thing, where there is an NVIDIA GPU: `make gpu-check`. Skipped elsewhere, with the reason."""

from __future__ import annotations

import numpy as np
import pytest

import gradwire as torch
from gradwire import nn
from gradwire.backends import cuda_device_count
from gradwire.nn import functional as F
from gradwire.training import train_solo
from gradwire.utils.data import TensorDataset

COUNT, REASON = cuda_device_count()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not COUNT, reason=f"no CUDA device: {REASON}")]


class SmallConvNet(torch.Job):
    epochs = 2
    batch_size = 24

    def model(self):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64, 3),
        )

    def train_data(self):
        x = np.random.default_rng(0).standard_normal((70, 1, 8, 8), np.float32)
        return TensorDataset(
            torch.from_numpy(x), torch.from_numpy((x.mean((1, 2, 3)) * 20).astype(np.int64) % 3)
        )

    def optimizer(self, model):
        return torch.optim.Adam(model.parameters(), lr=1e-2)

    def loss(self, model, batch):
        x, y = batch
        return F.cross_entropy(model(x), y)


def test_a_job_gives_the_same_bits_twice_on_the_gpu():
    assert (
        train_solo(SmallConvNet(), device="cuda").parameters_sha256
        == train_solo(SmallConvNet(), device="cuda").parameters_sha256
    )


def test_the_gpu_agrees_with_the_cpu_to_rounding():
    on_gpu, on_cpu = train_solo(SmallConvNet(), device="cuda"), train_solo(SmallConvNet(), device="cpu")
    np.testing.assert_allclose(
        [h["loss"] for h in on_gpu.history], [h["loss"] for h in on_cpu.history], rtol=2e-3
    )


@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (0, 4), (33, 65)])
def test_matmul_and_its_gradients_agree_with_the_cpu(shape):
    a = np.random.default_rng(1).standard_normal(shape)
    b = np.random.default_rng(2).standard_normal(shape[::-1])
    results = []
    for device in ("cpu", "cuda"):
        x, y = (torch.tensor(v, device=device, requires_grad=True) for v in (a, b))
        (x @ y).sum().backward()
        results.append([x.grad.cpu().numpy(), y.grad.cpu().numpy()])
    for on_cpu, on_gpu in zip(*results, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=1e-10, atol=1e-12)
