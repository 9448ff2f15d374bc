"""Dropout, Adam, clipping, a schedule, evaluation, and a last batch smaller than the number of shards."""

import gradwire as torch
from gradwire import Job, nn
from gradwire.nn import functional as F
from gradwire.utils.data import TensorDataset


class Mlp(Job):
    epochs = 3
    batch_size = 24
    lr = 0.01
    clip_grad_norm = 0.5
    checkpoint_every = 2
    fail_at = 0
    slow_s = 0.0

    def model(self):
        return nn.Sequential(
            nn.Linear(6, 40), nn.ReLU(), nn.Dropout(0.3), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 3)
        )

    def data(self, rows):
        x = torch.randn(rows, 6)
        return TensorDataset(x, (x.sum(dim=1) > 0).long() + (x[:, 0] > 1).long())

    def train_data(self):
        return self.data(77)

    def eval_data(self):
        return self.data(29)

    def optimizer(self, model):
        return torch.optim.Adam(model.parameters(), lr=self.lr)

    def scheduler(self, optimizer):
        return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)

    def loss(self, model, batch):
        x, y = batch
        scores = model(x)
        return {"loss": F.cross_entropy(scores, y), "accuracy": (scores.argmax(dim=1) == y).float().mean()}


if __name__ == "__main__":
    torch.run(Mlp)
