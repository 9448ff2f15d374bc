"""What all chaos is done to: dropout, batch statistics, Adam, clipping, a schedule by steps, evaluation, uneven batches."""

import os
import time

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset


class Steady(Job):
    epochs = 30
    batch_size = 24
    clip_grad_norm = 0.5
    schedule_every = "step"
    checkpoint_every = 7
    pause_s = 0.0

    def model(self):
        print(f"pid {os.getpid()}", flush=True)
        return nn.Sequential(
            nn.Linear(6, 48),
            nn.BatchNorm1d(48),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(48, 48),
            nn.Tanh(),
            nn.Linear(48, 3),
        )

    def data(self, rows):
        x = torch.randn(rows, 6)
        return TensorDataset(x, (x.sum(dim=1) > 0).long() + (x[:, 0] > 1).long())

    def train_data(self):
        return self.data(136)

    def eval_data(self):
        return self.data(29)

    def optimizer(self, model):
        return torch.optim.Adam(model.parameters(), lr=0.01)

    def scheduler(self, optimizer):
        return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.999)

    def loss(self, model, batch):
        time.sleep(self.pause_s)
        x, y = batch
        scores = model(x)
        return {"loss": F.cross_entropy(scores, y), "accuracy": (scores.argmax(dim=1) == y).float().mean()}
