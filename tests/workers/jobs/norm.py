"""Batch statistics, momentum, two groups, and a graph that differs from batch to batch and leaves a layer out."""

import gradwire as torch
from gradwire import Job, nn
from gradwire.utils.data import TensorDataset


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(5, 16)
        self.norm = nn.BatchNorm1d(16)
        self.rare = nn.Linear(16, 16)
        self.last = nn.Linear(16, 1)

    def forward(self, x):
        h = self.norm(self.first(x)).relu()
        if x.shape[0] > 1 and float(x[0, 0]) > 1.5:
            h = h + self.rare(h)
        return self.last(h)


class Norm(Job):
    epochs = 4
    batch_size = 40

    def model(self):
        return Net()

    def train_data(self):
        x = torch.randn(100, 5)
        return TensorDataset(x, x[:, :1] * 2 - x[:, 1:2])

    def optimizer(self, model):
        rest = [*model.norm.parameters(), *model.rare.parameters(), *model.last.parameters()]
        return torch.optim.SGD(
            [{"params": model.first.parameters(), "lr": 0.02}, {"params": rest}], lr=0.01, momentum=0.9
        )

    def loss(self, model, batch):
        x, y = batch
        return ((model(x) - y) ** 2).mean()
