"""A small job with dropout, batch norm, clipping and an uneven last batch, and ways to misbehave on demand."""

import time

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset


class Small(Job):
    epochs = 3
    batch_size = 20
    lr = 1e-2
    clip_grad_norm = 1.0
    checkpoint_every = 5
    pause_s = 0.0
    raise_at = 0
    vector_loss = False
    steps = 0

    def model(self):
        return nn.Sequential(
            nn.Linear(6, 40), nn.BatchNorm1d(40), nn.ReLU(), nn.Dropout(0.3), nn.Linear(40, 3)
        )

    def train_data(self):
        x = torch.randn(77, 6)
        return TensorDataset(x, (x.sum(1) > 0).long() + (x[:, 0] > 1).long())

    def eval_data(self):
        return self.train_data()

    def optimizer(self, model):
        return torch.optim.AdamW(model.parameters(), lr=self.lr)

    def loss(self, model, batch):
        x, y = batch
        if model.training:
            time.sleep(self.pause_s)
        if self.raise_at and self.seen(model) >= self.raise_at:
            raise ValueError("the seventh step is cursed")
        losses = F.cross_entropy(model(x), y, reduction="none")
        return losses if self.vector_loss else losses.mean()

    def seen(self, model):
        return int(model[1].num_batches_tracked) + 1
