"""Losses that overflow now and then: a scale that finds its way, bad rows left out, statistics that must not be touched by them."""

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset


class Follow(nn.Module):
    """Follows the mean of what passes, and counts."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, x):
        if self.training:
            self.mean.mul_(0.9).add_(0.1 * x.detach().mean(dim=0))
            self.count += 1
        return x - self.mean


class Overflow(Job):
    epochs = 3
    batch_size = 24
    lr = 0.05
    checkpoint_every = 2
    accumulate = 2
    on_non_finite = "skip"
    loss_scale = "dynamic"
    clip_grad_norm = 2.0
    bad_row = 17

    def model(self):
        return nn.Sequential(
            nn.Linear(5, 40), Follow(40), nn.Dropout(0.2), nn.Tanh(), nn.Linear(40, 40), nn.Linear(40, 3)
        )

    def train_data(self):
        x = torch.randn(86, 5)
        y = (x.sum(dim=1) > 0).long()
        if self.bad_row >= 0:
            x[self.bad_row] = float("inf")  # a loss that is NaN, in one step of each epoch
        return TensorDataset(x, y)

    def optimizer(self, model):
        return torch.optim.Adam(model.parameters(), lr=self.lr)

    def scheduler(self, optimizer):
        return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.7)

    def loss(self, model, batch):
        x, y = batch
        bias = model[-1].bias
        # Zero, with a gradient of one that overflows on its way where scale times rows is above 34000.
        detour = (bias.sum() - bias.detach().sum()) * 1e-34 * 1e34
        return F.cross_entropy(model(x), y) + detour
