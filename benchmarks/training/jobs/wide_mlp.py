"""A wide perceptron on random data, for timing."""

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset


class WideMlp(Job):
    epochs = 1
    batch_size = 512
    width = 1024
    steps = 30

    def model(self):
        return nn.Sequential(
            nn.Linear(784, self.width),
            nn.ReLU(),
            nn.Linear(self.width, self.width),
            nn.ReLU(),
            nn.Linear(self.width, 10),
        )

    def train_data(self):
        n = self.batch_size * self.steps
        return TensorDataset(torch.randn(n, 784), torch.randint(0, 10, (n,)))

    def optimizer(self, model):
        return torch.optim.Adam(model.parameters(), lr=1e-3)

    def loss(self, model, batch):
        return F.cross_entropy(model(batch[0]), batch[1])
