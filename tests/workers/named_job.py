"""A net whose data may be named by URL: by the setting `url`, or instead of train_data; its own is the same in memory."""

import os

import numpy as np

import gradwire as torch
from gradwire import Job, nn, optim
from gradwire.data import from_url
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset

ROWS, WIDTH = 96, 1024


def arrays():
    """x of 4 KiB a row, and y."""
    drawn = np.random.default_rng(7)
    return drawn.standard_normal((ROWS, WIDTH)).astype(np.float32), drawn.integers(0, 3, ROWS)


class Named(Job):
    batch_size = 16
    lr = 1e-2
    url = ""

    def model(self):
        return nn.Sequential(nn.Linear(WIDTH, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 3))

    def train_data(self):
        if self.url:
            headers = {"X-Reader": str(os.getpid())}
            return from_url(self.url, columns=("x", "y"), storage_options={"headers": headers})
        return TensorDataset(*map(torch.from_numpy, arrays()))

    def optimizer(self, model):
        return optim.Adam(model.parameters(), lr=self.lr)

    def loss(self, model, batch):
        x, y = batch
        return F.cross_entropy(model(x), y)
